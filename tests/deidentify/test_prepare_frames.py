"""Frames of a clip as DICOM and pictures prepare them: times, phases, and pixels that are not square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from heart2heart.datasets.picture_reader import PictureReader
from heart2heart.deidentify.prepare_frames import PreparedFrames, mean_frame_time, prepare_frames
from heart2heart.deidentify.text_finding import TextFinding, unite_areas
from heart2heart.dicom.inspect_clip import ClipInspection
from heart2heart.dicom.regions import ScanArea
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames


@pytest.fixture
def reader(tmp_path: Path) -> PictureReader:
    pages = [Image.fromarray(frame) for frame in speckle_frames(6)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    return PictureReader(tmp_path / "x.tif")


KEEP = TextPolicy.QUARANTINE  # does not change pixels
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
    wide = prepare_frames(reader, WHOLE, rule, geometry, times=None, phases={}, text_policy=KEEP, aspect=(1.0, 2.0))
    square = prepare_frames(reader, WHOLE, rule, geometry, times=None, phases={}, text_policy=KEEP)
    x0, y0, x1, y1 = square.box
    assert wide.box == square.box
    height = (wide.pixels[0] > 0).any(axis=1).sum()
    assert height == pytest.approx(64 * (y1 - y0) / (2 * (x1 - x0)), abs=2)
    spaced = ScanArea(None, (0, 0, 128, 96), (0.1, 0.2), (ClipFlag.NO_REGION,))
    same = prepare_frames(reader, spaced, rule, geometry, times=None, phases={}, text_policy=KEEP)
    np.testing.assert_array_equal(same.pixels, wide.pixels)


def test_mean_frame_time_is_none_without_two_times() -> None:
    assert mean_frame_time(None) is None
    assert mean_frame_time(np.zeros(1)) is None
    assert mean_frame_time(np.array([0.0, 10, 40])) == 20


LARGE = ScanArea(None, (0, 0, 512, 384), None, (ClipFlag.NO_REGION,))


@pytest.fixture
def reader_of_text(tmp_path: Path) -> PictureReader:
    """Return a clip with a name in two frames that are not among those from which the sector is estimated."""
    calm = np.random.default_rng(0).normal(60, 8, (18, 384, 512)).clip(0, 255).astype(np.uint8)
    pages = [Image.fromarray(frame) for frame in calm]
    inspected = FrameRule("even", 6).choose(18).tolist()
    for kept in [frame for frame in range(18) if frame not in inspected][3:5]:
        draw = ImageDraw.Draw(pages[kept])
        draw.rectangle((150, 170, 370, 220), fill=0)
        draw.text((160, 174), "DOE JANE", fill=230, font_size=36)
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    return PictureReader(tmp_path / "x.tif")


def prepared_text(reader: PictureReader, policy: TextPolicy) -> PreparedFrames:
    rule = FrameRule.parse("all")
    return prepare_frames(reader, LARGE, rule, Geometry(), times=None, phases={}, text_policy=policy)


def test_prepare_frames_blanks_or_quarantines_text_that_two_frames_show(reader_of_text: PictureReader) -> None:
    blanked = prepared_text(reader_of_text, TextPolicy.BLANK)
    kept = prepared_text(reader_of_text, TextPolicy.QUARANTINE)
    assert blanked.flags == (ClipFlag.NO_REGION, ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_BLANKED)
    assert kept.flags == (ClipFlag.NO_REGION, ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED)
    changed = (kept.pixels != blanked.pixels).any(axis=0)
    assert (blanked.pixels[:, changed] == 0).all()
    assert changed[38:48, 34:80].all()  # where the name is
    assert 0.02 < changed.mean() < 0.3


def test_prepare_frames_refuses_text_under_that_policy(reader_of_text: PictureReader) -> None:
    with pytest.raises(DicomError) as refused:
        prepared_text(reader_of_text, TextPolicy.REFUSE)
    assert refused.value.code == StatusCode.EXCLUDED_TEXT_IN_SCAN


@pytest.mark.parametrize(("is_unsure", "rows"), [(True, 20), (False, 384)], ids=["a doubt beside it", "nearly all"])
def test_prepare_frames_quarantines_text_that_it_cannot_bound(
    is_unsure: bool, rows: int, reader_of_text: PictureReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    area = np.zeros((384, 512), bool)
    area[:rows] = True

    def finding(inspection: ClipInspection) -> TextFinding:
        x0, y0, x1, y1 = inspection.box
        return unite_areas([area[y0:y1, x0:x1]], inspection.mask, is_unsure=is_unsure)

    monkeypatch.setattr("heart2heart.deidentify.prepare_frames.find_text", finding)
    flags = prepared_text(reader_of_text, TextPolicy.BLANK).flags
    blanked = (ClipFlag.TEXT_BLANKED,) if is_unsure else ()
    assert flags == (ClipFlag.NO_REGION, ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED, *blanked)


@pytest.mark.parametrize(("frames", "searched"), [("all", 0), ("even:2", 1)])
def test_prepare_frames_searches_the_inspected_frames_only_where_the_kept_ones_are_not_all_whole(
    frames: str, searched: int, reader: PictureReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def finding(inspection: ClipInspection) -> TextFinding:
        calls.append(inspection)
        return TextFinding(None, 0.0, is_unsure=False)

    monkeypatch.setattr("heart2heart.deidentify.prepare_frames.find_text", finding)
    prepare_frames(reader, WHOLE, FrameRule.parse(frames), Geometry(), times=None, phases={})
    assert len(calls) == searched


def test_prepare_frames_has_no_doubt_about_text_that_one_of_two_searches_blanks(
    reader_of_text: PictureReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search of the reduced frames, sure of nothing, is told what the inspected frames show."""
    area = np.zeros((384, 512), bool)
    area[160:230, 140:380] = True

    def finding(inspection: ClipInspection) -> TextFinding:
        x0, y0, x1, y1 = inspection.box
        return unite_areas([area[y0:y1, x0:x1]], inspection.mask, is_unsure=False)

    monkeypatch.setattr("heart2heart.deidentify.burned_in_text._SURE", np.inf)
    assert ClipFlag.TEXT_QUARANTINED in prepared_text(reader_of_text, TextPolicy.BLANK).flags
    monkeypatch.setattr("heart2heart.deidentify.prepare_frames.find_text", finding)
    assert ClipFlag.TEXT_QUARANTINED not in prepared_text(reader_of_text, TextPolicy.BLANK).flags
