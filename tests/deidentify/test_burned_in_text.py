from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.burned_in import judge
from benchmarks.burned_variants import KINDS, Kind, plant
from benchmarks.planted_text import QUALITIES, SIZES, compressed, plant_text
from benchmarks.scan_regions import scan_and_frames
from heart2heart.deidentify import burned_in_text
from heart2heart.deidentify.burned_in_text import TextSearch, text_finding, text_mask
from heart2heart.deidentify.upright_lines import UprightText
from heart2heart.dicom.image_pixel import luma

Bytes = npt.NDArray[np.uint8]
ROWS, COLUMNS = 240, 320
WORDS = "PLANTED NAME"


def tissue(n: int, seed: int = 0) -> Bytes:
    """Return uint8 `(n, ROWS, COLUMNS)`: speckle that changes from frame to frame, with a bright moving wall."""
    draw = np.random.default_rng(seed)
    frames = np.clip(draw.gamma(2.0, 28.0, (n, ROWS // 2, COLUMNS // 2)), 0, 255).repeat(2, 1).repeat(2, 2)
    for index in range(n):
        frames[index, 100 + 2 * index : 108 + 2 * index, 40:280] = 230
    return frames.astype(np.uint8)


def drawn(frames: Bytes, words: str, *, size: int = 14, level: int = 210, step: int = 0) -> Bytes:
    """Write into every frame, `step` pixels further down each time."""
    out = []
    for index, frame in enumerate(frames):
        layer = Image.new("L", (COLUMNS, ROWS))
        corner = (90, 150 + index * step)
        ImageDraw.Draw(layer).text(corner, words, fill=level, font=ImageFont.load_default(size=size))
        out.append(np.maximum(frame, np.asarray(layer)))
    return np.stack(out)


INSIDE = np.ones((ROWS, COLUMNS), bool)


@pytest.mark.parametrize("size", [12, 16, 18])
@pytest.mark.parametrize("level", [190, 255])
def test_text_mask_covers_text(size: int, level: int) -> None:
    clean = tissue(6)
    written = drawn(clean, WORDS, size=size, level=level)
    mask = text_mask(written, INSIDE)
    assert mask is not None
    ink = (drawn(np.zeros_like(clean[:1]), WORDS, size=size, level=level) > level // 2)[0]
    assert (mask & ink).sum() >= 0.9 * ink.sum()
    assert mask.mean() < 0.15


def test_text_mask_covers_text_on_a_single_frame() -> None:
    assert text_mask(drawn(np.full((1, ROWS, COLUMNS), 30, np.uint8), WORDS), INSIDE) is not None


@pytest.mark.parametrize("seed", range(8))
def test_text_mask_leaves_moving_tissue(seed: int) -> None:
    assert text_mask(tissue(6, seed), INSIDE) is None


def test_text_mask_covers_writing_that_moves() -> None:
    calm = np.random.default_rng(0).normal(60, 8, (6, ROWS, COLUMNS)).clip(0, 255).astype(np.uint8)
    written = drawn(calm, WORDS, step=9)
    mask, ink = text_mask(written, INSIDE), drawn(np.zeros_like(written), WORDS, step=9) > 105
    assert mask is not None
    assert (ink & mask).sum() >= 0.9 * ink.sum()


@pytest.fixture(scope="module")
def real_clip() -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Return 12 frames of a real clip without text, and its sector."""
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "examples_ybr_color.dcm"
    seen, frames = scan_and_frames(path, 12)
    return frames, seen.mask


def test_text_finding_is_empty_for_a_real_clip(real_clip: tuple[Bytes, npt.NDArray[np.bool_]]) -> None:
    assert not text_finding(*real_clip).is_found


def nothing_upright(shape: tuple[int, ...]) -> UprightText:
    return UprightText(np.zeros(shape, bool), np.full(shape, -np.inf, np.float32))


def test_text_finding_is_unsure_of_faint_letters_that_it_does_not_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that is sure of nothing blanks nothing, but holds the clip back."""
    clean = np.random.default_rng(0).normal(60, 8, (6, ROWS, COLUMNS)).clip(0, 255).astype(np.uint8)
    written = drawn(clean, WORDS, size=40)
    assert not text_finding(clean, INSIDE).is_found
    monkeypatch.setattr(burned_in_text, "_SURE", np.inf)
    monkeypatch.setattr(
        burned_in_text, "upright_lines", lambda planes, inside, possible: nothing_upright(possible.shape)
    )
    finding = text_finding(written, INSIDE)
    assert (finding.mask, finding.is_unsure, finding.is_bounded) == (None, True, False)


ROW = np.zeros((30, 40), bool)
ROW[15, 10:20] = True


def with_odds(monkeypatch: pytest.MonkeyPatch, columns: slice, odds: float, upright: UprightText) -> None:
    """Let the networks score some cells of one row as said, and no other cell."""
    scores = np.full(ROW.shape, -9.0, np.float32)
    scores[15, columns] = odds
    monkeypatch.setattr(burned_in_text, "text_log_odds", lambda planes: scores.copy())
    monkeypatch.setattr(burned_in_text, "upright_lines", lambda planes, inside, possible: upright)


@pytest.mark.parametrize(("small", "blanked"), [(-1.0, False), (0.0, False), (5.0, True)])
def test_text_finding_is_surer_where_both_networks_score_text(
    monkeypatch: pytest.MonkeyPatch, small: float, blanked: bool
) -> None:
    upright = nothing_upright(ROW.shape)
    upright.odds[15, 10:20] = small
    with_odds(monkeypatch, slice(10, 20), 1.0, upright)
    finding = text_finding(np.zeros((1, ROWS, COLUMNS), np.uint8), INSIDE)
    assert (finding.mask is not None, finding.is_unsure) == (blanked, not blanked)


@pytest.mark.parametrize(("faint", "blanked"), [(-0.5, True), (-1.5, False)])
def test_text_finding_takes_faint_letters_beside_a_line_of_small_text(
    monkeypatch: pytest.MonkeyPatch, faint: float, blanked: bool
) -> None:
    with_odds(monkeypatch, slice(20, 23), faint, UprightText(ROW, np.full(ROW.shape, -np.inf, np.float32)))
    mask = text_finding(np.zeros((1, ROWS, COLUMNS), np.uint8), INSIDE).mask
    assert mask is not None
    assert mask[8 * 15, 8 * 10 : 8 * 20].all()
    assert mask[8 * 15, 8 * 21] == blanked


def test_text_search_takes_text_that_another_search_knows() -> None:
    search = TextSearch(INSIDE)
    search.add(np.zeros((1, ROWS, COLUMNS), np.uint8))
    known = np.zeros(INSIDE.shape, bool)
    known[100:110, 50:90] = True
    assert search.finding().mask is None
    mask = search.finding(known).mask
    assert mask is not None
    assert mask[known].all()
    assert mask.mean() < 0.05


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_text_finding_blanks_or_withholds_text_of_every_kind_in_a_real_clip(
    kind: Kind, real_clip: tuple[Bytes, npt.NDArray[np.bool_]]
) -> None:
    frames, inside = real_clip
    letters = left = 0
    for seed in range(3):
        variant = plant(frames, inside, kind, random.Random(seed))
        if variant is not None:
            judged = judge(variant, inside, 85, ocr=False)
            letters += judged.letters
            left += 0 if judged.is_withheld else judged.left
    assert letters
    assert left <= (0.5 if "30" in kind.name else 0.1) * letters


def test_text_mask_covers_coloured_text_as_light_as_the_tissue() -> None:
    frames = np.full((2, ROWS, COLUMNS, 3), 76, np.uint8)
    ink = drawn(np.zeros((1, ROWS, COLUMNS), np.uint8), WORDS, size=16)[0] > 105
    frames[:, ink] = (255, 0, 0)  # luma 76
    mask = text_mask(frames, INSIDE)
    assert mask is not None
    assert mask[ink].mean() > 0.9
    assert text_mask(luma(frames), INSIDE) is None


def test_text_mask_leaves_calipers_ticks_and_a_cursor_line() -> None:
    frames = tissue(6)
    for x, y in ((80, 60), (150, 200), (260, 90)):  # three crosses
        frames[:, y - 5 : y + 6, x] = frames[:, y, x - 5 : x + 6] = 240
    frames[:, 20:220:20, 300:306] = 240  # depth ticks, one above the other
    frames[:, 20:220:6, 160] = 240  # a dotted line down
    frames[:, 230, 20:300:8] = 240  # a dotted line along
    mask = text_mask(frames, INSIDE)
    assert mask is None or mask.mean() < 0.15


def test_text_mask_ignores_what_is_outside_the_visible_part() -> None:
    inside = INSIDE.copy()
    inside[140:180] = False
    assert text_mask(drawn(tissue(6), WORDS), inside) is None


def test_text_mask_covers_a_unit_alone() -> None:
    mask = text_mask(drawn(np.full((1, ROWS, COLUMNS), 12, np.uint8), "cm"), INSIDE)
    assert mask is not None
    assert mask[150:166, 90:110].any()


def test_text_mask_passes_over_a_picture_too_small_for_text() -> None:
    assert text_mask(np.full((1, 12, 300), 255, np.uint8), np.ones((12, 300), bool)) is None


def test_text_mask_covers_invented_lines_of_every_kind() -> None:
    draw, planted, detected = random.Random(1), 0, 0
    for index in range(60):
        written = plant_text(tissue(6, 1000 + index), INSIDE, draw, size=draw.randint(*SIZES))
        if written is not None:
            mask = text_mask(compressed(written.frames, draw.choice(QUALITIES)), INSIDE)
            planted += 1
            detected += mask is not None and float(mask[written.ink].mean()) >= 0.8
    assert planted >= 50
    assert detected >= 0.95 * planted  # this tissue is coarser and brighter than any that was measured
