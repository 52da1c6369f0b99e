"""The real ultrasound that pip can install, and every file around it, with the status and mode each must get."""

from collections import Counter
from pathlib import Path

import data_store
import deid_data
import numpy as np
import pydicom
import pytest

from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import DicomError
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.geometry import Geometry

STORE = Path(data_store.__file__).parent / "data"
BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
DEID = Path(deid_data.__file__).parent / "data"

TEXT = ("text_suspected", "text_blanked")
WITHHELD = ("text_suspected", "text_quarantined")
"""Captions and vessels, more than a quarter of the scan."""
UNBOUNDED = ("text_suspected", "text_quarantined", "text_blanked")
"""Speckle of few levels, which the search takes for text here and there."""

CLIPS = [
    # file, mode, maker, frames, box of the crop, flags
    (STORE / "JPGLosslessP14SV1_1s_1f_8b.dcm", "b_mode", "Philips", 1, (*TEXT,)),
    (STORE / "OBXXXX1A.dcm", "b_mode", "Philips", 1, ("no_sector", *TEXT, "not_a_heart_preset")),
    (STORE / "OBXXXX1A_2frame.dcm", "b_mode", "Philips", 2, (*TEXT, "not_a_heart_preset")),
    (STORE / "OBXXXX1A_expb.dcm", "b_mode", "Philips", 1, ("no_sector", *TEXT, "not_a_heart_preset")),
    (STORE / "OBXXXX1A_expb_2frame.dcm", "b_mode", "Philips", 2, (*UNBOUNDED, "not_a_heart_preset")),
    (STORE / "OBXXXX1A_rle.dcm", "b_mode", "Philips", 1, ("no_sector", *TEXT, "not_a_heart_preset")),
    (STORE / "OBXXXX1A_rle_2frame.dcm", "b_mode", "Philips", 2, (*TEXT, "not_a_heart_preset")),
    (STORE / "US1_J2KI.dcm", "colour", "GE", 1, ("no_region", *TEXT, "not_a_heart_preset")),
    (STORE / "US1_J2KR.dcm", "colour", "GE", 1, ("no_region", *TEXT, "not_a_heart_preset")),
    (STORE / "US1_UNCI.dcm", "colour", "GE", 1, ("no_region", *TEXT, "not_a_heart_preset")),
    (STORE / "US1_UNCR.dcm", "colour", "GE", 1, ("no_region", *TEXT, "not_a_heart_preset")),
    (STORE / "color-pl.dcm", "colour", "unknown maker", 1, ("no_region",)),
    (STORE / "color-px.dcm", "colour", "unknown maker", 1, ("no_region",)),
    (STORE / "color3d_jpeg_baseline.dcm", "b_mode", "SonoSite", 120, ()),
    (STORE / "gdcm-US-ALOKA-16.dcm", "b_mode", "Hitachi", 1, ("split_screen", *TEXT, "not_a_heart_preset")),
    (
        STORE / "gdcm-US-ALOKA-16_big.dcm",
        "b_mode",
        "Hitachi",
        1,
        ("split_screen", *TEXT, "not_a_heart_preset"),
    ),
    (BUNDLED / "ExplVR_BigEnd.dcm", "colour", "GE", 1, ("no_region",)),
    (BUNDLED / "examples_jpeg2k.dcm", "colour", "GE", 1, ("no_region", *TEXT, "not_a_heart_preset")),
    (BUNDLED / "examples_palette.dcm", "b_mode", "Philips", 1, ("no_sector", *TEXT, "not_a_heart_preset")),
    (BUNDLED / "examples_rgb_color.dcm", "colour", "GE", 1, ("no_region", *WITHHELD, "not_a_heart_preset")),
    (BUNDLED / "examples_ybr_color.dcm", "b_mode", "SonoSite", 30, ("region_mismatch",)),
    (DEID / "ultrasounds" / "GREYSCALE_IMAGE.dcm", "b_mode", "Philips", 1, (*TEXT, "not_a_heart_preset")),
    (
        DEID / "ultrasounds" / "RGB_IMAGE.dcm",
        "b_mode",
        "Siemens",
        1,
        ("no_sector", *TEXT, "not_a_heart_preset"),
    ),
    (DEID / "ultrasounds" / "ultrasound-multiframe.dcm", "colour", "Philips", 30, ()),
]


@pytest.mark.parametrize(("path", "mode", "maker", "frames", "flags"), CLIPS, ids=[clip[0].name for clip in CLIPS])
def test_load_clip_accepts_ultrasound_with_its_mode(
    path: Path, mode: str, maker: str, frames: int, flags: tuple[str, ...]
) -> None:
    clip = load_clip(path, geometry=Geometry("tmed2", 64), rule="even:3")
    assert (clip.facts.mode, clip.facts.manufacturer, clip.facts.n_source, clip.facts.flags) == (
        mode,
        maker,
        frames,
        flags,
    )
    assert clip.pixels.shape == (min(3, frames), 64, 64)
    assert all(frame["quality"] > 0.04 for frame in clip.frames)
    assert not clip.facts.synthetic
    assert (clip.pseudonyms.patient, clip.content) == ("", "")


def test_load_clip_gives_every_other_file_a_code() -> None:
    codes: Counter[str] = Counter()
    known = {clip[0] for clip in CLIPS}
    for root in (STORE, BUNDLED, DEID):
        for path in sorted(root.rglob("*")):
            if path.is_file() and path not in known and path.suffix != ".zip":
                with pytest.raises(DicomError) as error:
                    load_clip(path, geometry=Geometry("tmed2", 64), rule="even:1")
                codes[error.value.code] += 1
    assert set(codes) <= {
        "excluded:not_dicom", "excluded:not_ultrasound", "excluded:secondary_capture", "excluded:structured_report",
        "excluded:dicomdir", "failed:empty",
    }  # fmt: skip
    assert codes["excluded:not_ultrasound"] > 100
    assert codes["excluded:secondary_capture"] > 60


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm"),
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_rle_2frame.dcm"),
        ("color-pl.dcm", "color-px.dcm"),
        ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
    ],
)
def test_load_clip_gives_the_same_frames_of_one_picture_in_two_encodings(one: str, other: str) -> None:
    # Blanked areas may differ, because encodings are searched for text at the size at which they are decoded.
    first, second = (
        load_clip(STORE / name, geometry=Geometry("tmed2", 112), text_policy=TextPolicy.QUARANTINE)
        for name in (one, other)
    )
    assert np.array_equal(first.pixels, second.pixels)


def test_load_clip_of_the_real_apical_clip() -> None:
    clip = load_clip(STORE / "color3d_jpeg_baseline.dcm", geometry=Geometry("centred", 112), rule="every:50")
    assert clip.facts.frame_time_ms == pytest.approx(33.333)
    assert [frame["index"] for frame in clip.frames] == [0, 50, 100]
    assert [frame["time_ms"] for frame in clip.frames] == pytest.approx([0, 1666.65, 3333.3])
    assert clip.facts.spacing_mm == pytest.approx((0.51, 0.51), abs=0.01)
    assert clip.facts.model == "Turbo"
    assert (clip.facts.rows, clip.facts.columns) == (480, 640)
    x0, y0, x1, y1 = clip.facts.box
    assert x0 >= 84
    assert y0 >= 31
    assert x1 <= 596
    assert y1 <= 415
    assert clip.pixels[:, :8].mean() < 1.0  # padded above, as `centred` does; the region is wider than high


def test_load_clip_blanks_the_hospital_name_burned_in_beside_the_scan() -> None:
    large = load_clip(STORE / "US1_UNCR.dcm", geometry=Geometry("tmed2", 112))
    half = load_clip(BUNDLED / "examples_rgb_color.dcm", geometry=Geometry("tmed2", 112))
    assert large.facts.box[1] > 95  # the caption ends at row 95 of 480
    assert half.facts.box[1] > 47
