"""Frames of a clip as DICOM and pictures prepare them: times, phases, and pixels that are not square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heart2heart.datasets.picture_reader import PictureReader
from heart2heart.deidentify.prepare_frames import mean_frame_time, prepare_frames
from heart2heart.dicom.regions import ScanArea
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames


@pytest.fixture
def reader(tmp_path: Path) -> PictureReader:
    pages = [Image.fromarray(frame) for frame in speckle_frames(6)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    return PictureReader(tmp_path / "x.tif")


WHOLE = ScanArea(None, (0, 0, 128, 96), None, (ClipFlag.NO_REGION,))


def test_prepare_frames_numbers_times_and_names_the_kept_frames(reader: PictureReader) -> None:
    times = np.array([0.0, 10, 30, 60, 100, 150])
    prepared = prepare_frames(
        reader, WHOLE, FrameRule.parse("ed_es:2"), Geometry(size=64), times=times, phases={4: "ES"}
    )
    assert [(row["index"], row["time_ms"], row["phase"]) for row in prepared.rows] == [(4, 100, "ES")]
    assert prepared.pixels.shape == (1, 64, 64)
    assert prepared.mode == ClipMode.B_MODE
    assert prepared.flags == (ClipFlag.NO_REGION,)


def test_prepare_frames_makes_pixels_square_by_their_aspect(reader: PictureReader) -> None:
    rule, geometry = FrameRule.parse("even:1"), Geometry(size=64)
    wide = prepare_frames(reader, WHOLE, rule, geometry, times=None, phases={}, aspect=(1.0, 2.0))
    square = prepare_frames(reader, WHOLE, rule, geometry, times=None, phases={})
    x0, y0, x1, y1 = square.box
    assert wide.box == square.box
    height = (wide.pixels[0] > 0).any(axis=1).sum()
    assert height == pytest.approx(64 * (y1 - y0) / (2 * (x1 - x0)), abs=2)
    spaced = ScanArea(None, (0, 0, 128, 96), (0.1, 0.2), (ClipFlag.NO_REGION,))
    same = prepare_frames(reader, spaced, rule, geometry, times=None, phases={})
    np.testing.assert_array_equal(same.pixels, wide.pixels)


def test_mean_frame_time_is_none_without_two_times() -> None:
    assert mean_frame_time(None) is None
    assert mean_frame_time(np.zeros(1)) is None
    assert mean_frame_time(np.array([0.0, 10, 40])) == 20
