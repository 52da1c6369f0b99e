"""Text in pictures is read in the frame in which it stands, inside and outside the scan."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from heart2heart.ingest.deidentify_files import deidentify_files
from heart2heart.verify import ocr
from heart2heart.verify.archive import collect_identities
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities
from heart2heart.verify.pictures import UnreadPictureError, distinct, frames_of
from tests.dicom.build import region, speckle_frames, write

WORD = "ZQXPLANT"
Picture = npt.NDArray[np.uint8]


@pytest.fixture
def identities() -> Identities:
    """Return one name, where tesseract is installed."""
    if not ocr.tesseract_available():
        if os.environ.get("CI"):
            pytest.fail("CI must have tesseract: no picture has been read")
        pytest.skip("tesseract is not installed: no picture has been read")
    planted = Identities()
    planted.add("name", f"{WORD}^VORNAME")
    return planted


def captioned(words: str = f"{WORD}, VORNAME  1943") -> Picture:
    """Return uint8 RGB `(2, 360, 480, 3)`: moving speckle in the middle and a banner above it."""
    layer = Image.new("L", (480, 360))
    ImageDraw.Draw(layer).text((20, 8), words, fill=235, font=ImageFont.load_default(size=17))
    draw = np.random.default_rng(0)
    frames = np.repeat(np.asarray(layer)[None], 2, axis=0).copy()
    for frame in frames:
        coarse = Image.fromarray(np.clip(draw.gamma(2.0, 25.0, (68, 80)), 0, 255).astype(np.uint8))
        frame[60:330, 80:400] = np.asarray(coarse.resize((320, 270), Image.Resampling.BICUBIC))
    return np.repeat(frames[..., None], 3, axis=-1)


def tissue(count: int) -> Picture:
    """Return uint8 `(count, 112, 112)`: smooth speckle in the middle of each frame."""
    draw, frames = np.random.default_rng(0), np.zeros((count, 112, 112), np.uint8)
    coarse = np.clip(draw.gamma(2.0, 25.0, (count, 40, 44)), 0, 255).astype(np.uint8)
    for frame, speckle in zip(frames, coarse, strict=True):
        frame[12:102, 8:104] = np.asarray(Image.fromarray(speckle).resize((96, 90), Image.Resampling.BICUBIC))
    return frames


def written(frame: Picture, *, fill: int = 240, turns: int = 0, size: int = 13) -> Picture:
    """Return the frame with the word written in its middle, turned by `turns` quarters."""
    image = Image.fromarray(np.ascontiguousarray(np.rot90(frame, turns)))
    ImageDraw.Draw(image).text((14, 46), WORD, fill=fill, font=ImageFont.load_default(size=size))
    return np.rot90(np.asarray(image), -turns)


def store_of(folder: Path, frames: Picture, names: list[str]) -> Path:
    """Write one shard of a store."""
    (folder / "frames").mkdir(parents=True)
    (folder / "store.json").write_text("{}")
    pq.write_table(pa.table({"clip": names}), folder / "frames" / "0001.parquet")
    np.save(folder / "frames" / "0001.npy", frames)
    return folder


def edits(a: str, b: str) -> int:
    """Levenshtein's distance as the recurrence says it."""
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y)))
        last = row
    return last[-1]


@given(st.text("ABC", min_size=6, max_size=8), st.text("ABC", min_size=4, max_size=9))
def test_match_words_allows_one_misread_letter(word: str, read: str) -> None:
    within = len(word) >= 7 and word in read
    assert bool(ocr.match_words({read}, {word: "name"})) == (within or edits(word, read) <= 1)


def test_match_words_needs_short_words_exactly() -> None:
    assert ocr.match_words({"LEEE"}, {"LEE1": "name"}) == set()
    assert ocr.match_words({"4711A71"}, {"4711171": "id"}) == {"id"}
    assert ocr.match_words({"47II00O"}, {"4711000": "id"}) == {"id"}
    assert ocr.match_words({"LEE1"}, {"LEE1": "name"}) == {"name"}


def test_identity_words_of_each_kind() -> None:
    planted = Identities()
    for kind, value in (
        ("name", "Müllerin^Geometry"),
        ("id", "0004711471"),
        ("date", "1943-11-22"),
        ("uid", "1.2.3456"),
    ):
        planted.add(kind, value)
    words = ocr.identity_words(planted)
    assert {"MUELLERIN", "MULLERIN", "0004711471", "4711471", "22111943", "19431122"} <= set(words)
    assert "GEOMETRY" not in words  # a word of this project
    assert "1943" not in words


def test_text_lines_of_an_empty_picture_are_none() -> None:
    assert list(ocr.text_lines(np.zeros((360, 480), np.uint8))) == []
    lines = list(ocr.text_lines(written(np.zeros((112, 112), np.uint8))))
    assert len(lines) >= 1
    assert max(line.shape[1] for line in lines) >= 3 * 60


def test_text_sheet_knows_each_picture() -> None:
    pictures = [(index, np.full((30 + index, 900), index, np.uint8)) for index in range(7)]
    sheet = ocr.TextSheet.of([*pictures])
    for index, (row, column) in enumerate(sheet.corners):
        assert (sheet.image[row : row + 30 + index, column : column + 900] == index).all()
        assert sheet.source_at(row + 10, column + 10) == index
    assert sheet.source_at(-1, 0) is None


def test_verify_reads_a_banner_and_nothing_once_it_is_blanked(tmp_path: Path, identities: Identities) -> None:
    items = [region((80, 60, 399, 329))]
    path = write(tmp_path / "in" / "a.dcm", captioned(), PatientName="NOBODY^ELSE", SequenceOfUltrasoundRegions=items)
    findings = verify([path], identities, read_pictures=True).findings
    assert {one.kind for one in findings} == {"name, legible"}
    assert WORD not in str(findings)
    deidentify_files([tmp_path / "in"], out=tmp_path / "out", key=tmp_path / "key", site="a")
    identities.exact |= collect_identities([tmp_path / "in"]).exact
    verdict = verify([tmp_path / "out"], identities, read_pictures=True)
    assert verdict.findings == ()
    assert verdict.pictures == 2


@pytest.mark.parametrize("case", ["one frame of twelve", "dark on tissue", "vertical", "upside down", "above the scan"])
def test_verify_reads_text_inside_the_scan(case: str, tmp_path: Path, identities: Identities) -> None:
    frames, names = tissue(12), ["a" * 24] * 6 + ["b" * 24] * 6
    if case == "dark on tissue":
        frames[:, 12:102, 8:104] = 170 + frames[:, 12:102, 8:104] // 4
    clean = verify([store_of(tmp_path / "clean", frames, names)], identities, read_pictures=True)
    assert clean.findings == ()
    assert clean.pictures == 12
    assert clean.verdict == "clean"
    if case == "above the scan":
        frames[7, :12] = 0
    fill, turns = (0 if case == "dark on tissue" else 240), {"vertical": 1, "upside down": 2}.get(case, 0)
    chosen = [7] if case == "one frame of twelve" else range(6, 12)
    for index in chosen:
        frames[index] = written(frames[index], fill=fill, turns=turns)
    result = verify([store_of(tmp_path / "store", frames, names)], identities, read_pictures=True)
    assert {(one.location, one.kind) for one in result.findings} == {("a kept picture", "name, legible")}
    assert result.verdict == "found"


def test_verify_reads_pictures_in_a_page(tmp_path: Path, identities: Identities) -> None:
    buffer = io.BytesIO()
    Image.fromarray(written(tissue(1)[0])).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    page = f'<p>x</p><img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    (tmp_path / "report.html").write_text(page)
    findings = verify([tmp_path], identities, read_pictures=True).findings
    assert {(one.file.split("/")[1], one.kind) for one in findings} == {
        ("a.png", "name, legible"), ("report.html", "name, legible"),
    }  # fmt: skip


def test_verify_is_incomplete_without_ocr_and_where_pictures_are_not_read(
    tmp_path: Path, identities: Identities
) -> None:
    store = store_of(tmp_path / "store", tissue(4), ["a"] * 4)
    result = verify([store], identities)
    assert result.verdict == "incomplete"
    assert any("--ocr" in reason for reason in result.checks_skipped)
    (store / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40))
    result = verify([store], identities, read_pictures=True)
    assert result.verdict == "incomplete"
    assert [part.reason for part in result.unread] == ["videos are not read"]


def test_distinct_frames_are_read_once(tmp_path: Path) -> None:
    frames = tissue(3)
    np.save(tmp_path / "a.npy", frames[[0, 1, 0, 2, 1]])
    assert [frame.turned for frame in distinct(frames_of(tmp_path / "a.npy"))] == [True, False, False]
    assert len(list(frames_of(tmp_path / "a.npy"))) == 5


def test_frames_of_refuses_a_picture_that_declares_too_many_pixels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", speckle_frames(1), Rows=60_000, Columns=60_000)
    with pytest.raises(UnreadPictureError):
        list(frames_of(path))
