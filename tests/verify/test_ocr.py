from __future__ import annotations

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
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities, collect_identities
from tests.dicom.build import region, write

WORD = "ZQXPLANT"


def captioned(words: str = f"{WORD}, VORNAME  1943") -> npt.NDArray[np.uint8]:
    """Return uint8 RGB `(4, 360, 480, 3)`: moving speckle in the middle and a banner above it."""
    layer = Image.new("L", (480, 360))
    ImageDraw.Draw(layer).text((20, 8), words, fill=235, font=ImageFont.load_default(size=17))
    draw = np.random.default_rng(0)
    frames = np.repeat(np.asarray(layer)[None], 4, axis=0).copy()
    frames[:, 60:330, 80:400] = np.clip(draw.gamma(2.0, 30.0, (4, 270, 320)), 0, 255)
    return np.repeat(frames[..., None], 3, axis=-1)


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
    assert bool(ocr.match_words({read}, {word: "name"})) == (edits(word, read) <= 1)


def test_match_words_needs_short_words_exactly() -> None:
    assert ocr.match_words({"LEEE"}, {"LEE1": "name"}) == set()
    assert ocr.match_words({"LEE1"}, {"LEE1": "name"}) == {"name"}


def test_margin_tiles_hold_something() -> None:
    picture = np.zeros((360, 480), np.uint8)
    assert list(ocr.margin_tiles(picture)) == []
    picture[8:24, 20:200] = 200
    tiles = list(ocr.margin_tiles(picture))
    assert tiles
    assert all(tile.max() == 200 for tile in tiles)
    assert all(min(tile.shape) <= 48 for tile in tiles)


def test_margin_tiles_cover_every_margin_pixel() -> None:
    for top, left in ((2, 240), (355, 240), (180, 3), (180, 475)):
        picture = np.zeros((360, 480), np.uint8)
        picture[top, left] = 255
        assert list(ocr.margin_tiles(picture)), (top, left)


def test_verify_reads_a_banner_and_nothing_once_it_is_blanked(tmp_path: Path) -> None:
    if not ocr.tesseract_available():
        if os.environ.get("CI"):
            pytest.fail("CI must have tesseract: no margin has been read")
        pytest.skip("tesseract is not installed: no margin has been read")
    items = [region((80, 60, 399, 329))]
    path = write(tmp_path / "in" / "a.dcm", captioned(), PatientName="NOBODY^ELSE", SequenceOfUltrasoundRegions=items)
    identities = Identities()
    identities.add("name", WORD)
    findings = verify([path], identities, read_margins=True).findings
    assert {one.kind for one in findings} == {"name, legible"}
    assert WORD not in str(findings)
    deidentify_files([tmp_path / "in"], out=tmp_path / "out", key=tmp_path / "key", site="a")
    identities.exact |= collect_identities([tmp_path / "in"]).exact
    verdict = verify([tmp_path / "out"], identities, read_margins=True)
    assert verdict.findings == ()
    assert "margins by tesseract (1 DICOM files)" in verdict.checks_made


def test_verify_reads_the_kept_pictures_of_a_store(tmp_path: Path) -> None:
    if not ocr.tesseract_available():
        if os.environ.get("CI"):
            pytest.fail("CI must have tesseract: no kept picture has been read")
        pytest.skip("tesseract is not installed: no kept picture has been read")
    layer = Image.new("L", (112, 112))
    ImageDraw.Draw(layer).text((8, 40), WORD, fill=235, font=ImageFont.load_default(size=13))
    clean = np.full((6, 112, 112), 20, np.uint8)
    clean[:, 20:90, 20:90] = np.random.default_rng(0).integers(0, 60, (6, 70, 70))
    (tmp_path / "store" / "frames").mkdir(parents=True)
    (tmp_path / "store" / "store.json").write_text("{}")
    names = ["a" * 24] * 3 + ["b" * 24] * 3
    pq.write_table(pa.table({"clip": names}), tmp_path / "store" / "frames" / "0001.parquet")
    identities = Identities()
    identities.add("name", WORD)
    np.save(tmp_path / "store" / "frames" / "0001.npy", clean)
    verdict = verify([tmp_path / "store"], identities, read_margins=True)
    assert verdict.findings == ()
    assert "kept pictures by tesseract (2 of 2 clips)" in verdict.checks_made
    clean[3:] = np.maximum(clean[3:], np.asarray(layer))
    np.save(tmp_path / "store" / "frames" / "0001.npy", clean)
    findings = verify([tmp_path / "store"], identities, read_margins=True).findings
    assert [(one.location, one.kind, one.count) for one in findings] == [("a kept picture", "name, legible", 1)]
