from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from heart2heart.dicom.burned_in import text_mask

Bytes = npt.NDArray[np.uint8]
ROWS, COLUMNS = 240, 320
WORDS = "PLANTED NAME"


def tissue(n: int, seed: int = 0) -> Bytes:
    """Return uint8 `(n, ROWS, COLUMNS)`: speckle that changes from frame to frame, with a bright moving wall."""
    draw = np.random.default_rng(seed)
    frames = np.clip(draw.gamma(2.0, 28.0, (n, ROWS // 2, COLUMNS // 2)), 0, 255).repeat(2, 1).repeat(2, 2)
    for number in range(n):
        frames[number, 100 + 2 * number : 108 + 2 * number, 40:280] = 230
    return frames.astype(np.uint8)


def drawn(frames: Bytes, words: str, *, size: int = 14, level: int = 210, step: int = 0) -> Bytes:
    """Write into every frame, `step` pixels further down each time."""
    out = []
    for number, frame in enumerate(frames):
        layer = Image.new("L", (COLUMNS, ROWS))
        place = (90, 150 + number * step)
        ImageDraw.Draw(layer).text(place, words, fill=level, font=ImageFont.load_default(size=size))
        out.append(np.maximum(frame, np.asarray(layer)))
    return np.stack(out)


INSIDE = np.ones((ROWS, COLUMNS), bool)


@pytest.mark.parametrize("size", [12, 16, 18])
@pytest.mark.parametrize("level", [190, 255])
def test_text_is_found_and_covered(size: int, level: int) -> None:
    clean = tissue(6)
    written = drawn(clean, WORDS, size=size, level=level)
    found = text_mask(written, INSIDE)
    assert found is not None
    ink = (drawn(np.zeros_like(clean[:1]), WORDS, size=size, level=level) > level // 2)[0]
    assert (found & ink).sum() >= 0.9 * ink.sum()
    assert found.mean() < 0.06


def test_text_on_a_single_frame_is_found() -> None:
    assert text_mask(drawn(np.full((1, ROWS, COLUMNS), 30, np.uint8), WORDS), INSIDE) is not None


@pytest.mark.parametrize("seed", range(8))
def test_moving_tissue_is_not_text(seed: int) -> None:
    assert text_mask(tissue(6, seed), INSIDE) is None


def test_what_moves_is_not_text() -> None:
    assert text_mask(drawn(tissue(6), WORDS, step=9), INSIDE) is None


def test_calipers_ticks_and_a_cursor_line_are_not_text() -> None:
    frames = tissue(6)
    for x, y in ((80, 60), (150, 200), (260, 90)):  # three crosses
        frames[:, y - 5 : y + 6, x] = frames[:, y, x - 5 : x + 6] = 240
    frames[:, 20:220:20, 300:306] = 240  # depth ticks, one above the other
    frames[:, 20:220:6, 160] = 240  # a dotted line down
    frames[:, 230, 20:300:8] = 240  # a dotted line along
    assert text_mask(frames, INSIDE) is None


def test_text_outside_what_is_visible_is_not_looked_for() -> None:
    inside = INSIDE.copy()
    inside[140:180] = False
    assert text_mask(drawn(tissue(6), WORDS), inside) is None


def test_short_words_count_once_the_picture_holds_writing() -> None:
    empty = np.zeros((1, ROWS, COLUMNS), np.uint8)
    assert text_mask(drawn(empty, "cm"), INSIDE) is None
    both = np.maximum(drawn(empty, WORDS), np.roll(drawn(empty, "cm"), -80, axis=1))
    found = text_mask(both, INSIDE)
    assert found is not None
    assert found[70:86].any()
