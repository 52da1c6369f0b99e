from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest

from benchmarks.burned_in_store import StoredText as Stored
from benchmarks.burned_in_store import stored_letters, table_rows, write_variant
from benchmarks.burned_variants import KINDS, BurnedVariant, plant
from benchmarks.scan_regions import scan_and_frames
from heart2heart.deidentify.clip import load_clip
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry

REAL = Path(pydicom.__file__).parent / "data" / "test_files" / "examples_ybr_color.dcm"
BIG = REAL.with_name("ExplVR_BigEnd.dcm")
NAMES = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize(("name", "path"), [("plain 25-40 px", REAL), ("colour red", REAL), ("plain 12-16 px", BIG)])
def test_write_variant_is_a_clip_that_shows_the_text(name: str, path: Path, tmp_path: Path) -> None:
    seen, frames = scan_and_frames(path, 6)
    variant = plant(frames, seen.mask, NAMES[name], random.Random(1))
    assert variant is not None
    write_variant(path, variant, seen.box, 95).save_as(tmp_path / "x.dcm", enforce_file_format=True)
    clip = load_clip(tmp_path / "x.dcm", geometry=Geometry(), text_policy=TextPolicy.QUARANTINE)
    assert len(clip.pixels) == len(frames)
    row = {"rows": clip.facts.rows, "columns": clip.facts.columns, "box": clip.facts.box}
    store = FrameStore.create(tmp_path / "store", Geometry())
    row["spacing_mm"] = clip.facts.spacing_mm
    assert stored_letters(variant, seen.box, row, store, clip.pixels, clip.pixels)[0] > 0


def variant_of(name: str, size: int) -> tuple[BurnedVariant, np.ndarray, np.ndarray]:
    """Return a variant of two letters of 16 x 16 pixels in a picture of 64 x 64, its glyphs, and its frame."""
    glyphs = np.zeros((1, 64, 64), np.uint8)
    glyphs[0, 8:24, 8:24], glyphs[0, 8:24, 32:48] = 1, 2
    frame = np.where(glyphs > 0, 200, 20).astype(np.uint8)
    return BurnedVariant(name, frame, glyphs > 0, "AB", glyphs, 0.0, size), glyphs, frame


@pytest.mark.parametrize(
    ("name", "size", "expected"), [("white", 16, (2, 1)), ("QR code", 4, (2, 1)), ("QR code", 1, (0, 0))]
)
def test_stored_letters_counts_what_is_not_blanked(
    name: str, size: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    variant, _, frame = variant_of(name, size)
    before = frame[:, ::2, ::2].copy()
    after = before.copy()
    after[:, :16, :14] = 0
    store = FrameStore.create(tmp_path / "store", Geometry(size=32))
    row = {"rows": 64, "columns": 64, "box": (0, 0, 64, 64), "spacing_mm": None}
    assert stored_letters(variant, (0, 0, 64, 64), row, store, before, after) == expected


def test_stored_letters_passes_over_letters_too_small_to_read(tmp_path: Path) -> None:
    variant, _, frame = variant_of("white", 16)
    store = FrameStore.create(tmp_path / "store", Geometry(size=16))
    row = {"rows": 64, "columns": 64, "box": (0, 0, 64, 64), "spacing_mm": None}
    small = frame[:, ::4, ::4].copy()
    assert stored_letters(variant, (0, 0, 64, 64), row, store, small, small) == (0, 0)


def test_table_rows_separate_clips_that_are_kept_back() -> None:
    results = [Stored("white", 8, 2, is_withheld=False), Stored("white", 8, 4, is_withheld=True)]
    assert list(table_rows(results)) == [
        ("white", 2, 1, 16, 2, "12.5 %", "25.0 %"),
        ("all", 2, 1, 16, 2, "12.5 %", "25.0 %"),
    ]
