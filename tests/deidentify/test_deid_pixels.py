"""What `benchmarks.deidentification` counts as hidden text, as scan, and as the area that moves."""

from __future__ import annotations

import os
import random
import shutil

import numpy as np
import pytest
from pydicom import Dataset

from benchmarks.burned_variants import BurnedVariant, Kind, plant
from benchmarks.deid_pixels import letters_left, motion_mask, read_frames, scan_area
from tests.dicom.build import dataset, region, speckle_frames


def burned(style: str) -> BurnedVariant:
    """Return a line of text on bright speckle."""
    frames = np.random.default_rng(2).integers(90, 150, (4, 160, 320), dtype=np.uint8)
    variant = plant(frames, np.ones((160, 320), bool), Kind("line", (20, 20), style=style), random.Random(4))
    assert variant is not None
    return variant


@pytest.mark.parametrize("style", ["white", "dark"])
def test_letters_left_of_an_unchanged_clip_are_all_letters(style: str) -> None:
    variant = burned(style)
    assert letters_left(variant, variant.frames) == (1.0, len(variant.text))


@pytest.mark.parametrize("style", ["white", "dark"])
def test_letters_left_of_a_black_clip_and_of_a_blanked_line_are_none(style: str) -> None:
    if shutil.which("tesseract") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have tesseract: no letter has been read")
        pytest.skip("tesseract is not installed: no letter has been read")
    variant = burned(style)
    rows, columns = np.nonzero(variant.ink.any(axis=0))
    line = variant.frames.copy()
    line[:, rows.min() - 3 : rows.max() + 4, columns.min() - 3 : columns.max() + 4] = 0
    for after in (np.zeros_like(variant.frames), line):
        left, read = letters_left(variant, after)
        assert left == 0
        assert read <= 2


def test_letters_left_of_half_a_line_are_about_half_of_the_letters() -> None:
    variant = burned("white")
    columns = np.flatnonzero(variant.ink.any(axis=(0, 1)))
    after = variant.frames.copy()
    after[..., : (columns.min() + columns.max()) // 2] = 0
    assert 0.25 < letters_left(variant, after)[0] < 0.75


def test_scan_area_is_what_moves_inside_the_regions() -> None:
    frames = speckle_frames(4)[..., 0]
    header = Dataset()
    header.SequenceOfUltrasoundRegions = [region((16, 8, 63, 87))]
    area = scan_area(header, frames)
    assert area[20:80, 40:64].mean() > 0.5
    assert not area[:, 64:].any()
    assert not area[:8].any()
    assert not scan_area(header, frames[:1]).any()


def test_motion_mask_keeps_the_fan_and_leaves_still_text_out() -> None:
    frames = speckle_frames(6)[..., 0]
    mask = motion_mask(frames)
    assert mask[30:70, 60:68].all()
    assert not mask[2:6, 4:30].any()
    assert not motion_mask(frames[:1]).any()


def test_read_frames_gives_rgb_frames_as_they_were_written() -> None:
    pictures = speckle_frames(3, colour=True)
    assert np.array_equal(read_frames(dataset(pictures)), pictures)
