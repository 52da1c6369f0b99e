"""Broken and misplaced files: each ends with its one code, and what is whole is kept and flagged."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from heart2heart.deidentify.clip import PreparedClip, load_clip
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.dicom.build import NATIVE, dataset, encoded, speckle_frames, write

N = 6


def load(path: Path, **options: Any) -> PreparedClip:
    return load_clip(path, geometry=Geometry("tmed2", 32), **options)


def outcome(path: Path) -> str:
    try:
        return "salvaged" if "salvaged" in load(path).facts.flags else "accepted"
    except DicomError as error:
        return error.code.partition(":")[0]


def code_of(path: Path, **options: Any) -> str:
    with pytest.raises(DicomError) as error:
        load(path, **options)
    assert str(path.name) not in str(error.value)
    return error.value.code


def test_load_clip_reads_and_flags_a_file_without_preamble(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encoded(dataset(speckle_frames(N)), preamble=False))
    clip = load(path)
    assert clip.facts.flags == ("no_preamble",)
    assert clip.facts.n_source == N


@pytest.mark.parametrize("syntax", [NATIVE[0], JPEGBaseline8Bit, RLELossless])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_load_clip_gives_the_whole_frames_of_a_cut_file(tmp_path: Path, syntax: str, share: float) -> None:
    whole = write(tmp_path / "a.dcm", speckle_frames(N), syntax)
    raw = whole.read_bytes()
    cut = tmp_path / "b.dcm"
    cut.write_bytes(raw[: int(len(raw) * share)])
    clip = load(cut)
    assert "salvaged" in clip.facts.flags
    assert clip.facts.n_source == (N - 1 if share == 0.99 else N // 2 - 1)
    assert code_of(cut, salvage=False) == "failed:truncated"


def test_load_clip_of_a_file_cut_before_its_first_frame(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.dcm", speckle_frames(N)).read_bytes()
    (tmp_path / "b.dcm").write_bytes(raw[: -(N * 96 * 128 * 3) + 100])
    assert code_of(tmp_path / "b.dcm") == "failed:truncated"
    (tmp_path / "c.dcm").write_bytes(raw[:300])
    assert code_of(tmp_path / "c.dcm") in ("failed:no_pixels", "failed:header")


@pytest.mark.parametrize("syntax", [NATIVE[0], JPEGBaseline8Bit, RLELossless])
@pytest.mark.parametrize("declared", [None, 0, N - 2, N + 4])
def test_load_clip_counts_a_wrong_number_of_frames(tmp_path: Path, syntax: str, declared: int | None) -> None:
    clip = load(write(tmp_path / "a.dcm", speckle_frames(N), syntax, NumberOfFrames=declared))
    assert clip.facts.n_source == N
    assert clip.facts.flags == ("frame_count",)


def test_load_clip_leaves_a_corrupt_frame_out_or_fails_the_clip(tmp_path: Path) -> None:
    frames = [simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90) for picture in speckle_frames(N)]
    frames[2] = frames[2][: len(frames[2]) // 2] + b"\xff\xd9"
    path = write(tmp_path / "a.dcm", speckle_frames(N), JPEGBaseline8Bit, PixelData=encapsulate(frames))
    clip = load(path)
    assert clip.facts.flags == ("corrupt_frames",)
    assert [frame["index"] for frame in clip.frames] == [0, 1, 3, 4, 5]
    assert code_of(path, salvage=False) == "failed:decode"


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, RLELossless])
def test_load_clip_fails_a_clip_of_corrupt_frames(tmp_path: Path, syntax: str) -> None:
    junk = encapsulate([b"\xff\xd8\xff\xe0" + bytes(60)] * 2)
    assert code_of(write(tmp_path / "a.dcm", speckle_frames(2), syntax, PixelData=junk)) == "failed:decode"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"Rows": 20_000}, "failed:bounds"),
        ({"Rows": 8_000, "Columns": 8_000}, "failed:bounds"),
        ({"NumberOfFrames": 10_000_000}, "failed:bounds"),
        ({"Rows": 0}, "failed:layout"),
        ({"Rows": 5_000, "Columns": 3_000}, "failed:layout"),
        ({"BitsStored": 12}, "failed:layout"),
        ({"SamplesPerPixel": 1}, "failed:layout"),
        ({"PhotometricInterpretation": "PURPLE"}, "failed:layout"),
        ({"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1}, "failed:layout"),
        ({"PixelData": None}, "failed:no_pixels"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "excluded:secondary_capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "excluded:secondary_capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "excluded:structured_report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.2"}, "excluded:volume"),
        ({"SOPClassUID": "1.2.840.113543.6.6.1.3.10002"}, "excluded:volume"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "excluded:not_ultrasound"),
    ],
)
def test_load_clip_fails_impossible_headers(tmp_path: Path, tags: dict[str, Any], code: str) -> None:
    assert code_of(write(tmp_path / "a.dcm", speckle_frames(2), **tags)) == code


def test_load_clip_fails_a_private_volume_without_pixel_data(tmp_path: Path) -> None:
    header = dataset(speckle_frames(2), PixelData=None)
    header.private_block(0x7FE1, "GEMS_Ultrasound_MovieGroup_001", create=True)
    (tmp_path / "a.dcm").write_bytes(encoded(header))
    assert code_of(tmp_path / "a.dcm") == "excluded:volume"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "failed:empty"),
        (b"\0", "excluded:not_dicom"),
        (b"not a picture, whatever the name says\n" * 50, "excluded:not_dicom"),
        (b"\x08\x00 starts like DICOM but is not", "excluded:not_dicom"),
        (bytes(128) + b"DICM", "excluded:not_ultrasound"),
        (bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI" + struct.pack("<H", 60_000), "excluded:not_ultrasound"),
    ],
)
def test_load_clip_excludes_files_that_are_no_clip(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "text.dcm"
    path.write_bytes(content)
    assert code_of(path) in (code, "failed:header")


def test_load_clip_accepts_paths_with_blanks_and_other_scripts(tmp_path: Path) -> None:
    assert load(write(tmp_path / "écho 心臓 β" / "клип no. 1")).facts.mode == "b_mode"


def test_load_clip_fails_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert code_of(tmp_path / "missing.dcm") == "failed:unreadable"
    assert code_of(tmp_path) == "failed:unreadable"
    (tmp_path / "link.dcm").symlink_to(tmp_path / "nowhere")
    assert code_of(tmp_path / "link.dcm") == "failed:unreadable"
    os.mkfifo(tmp_path / "pipe.dcm")
    assert code_of(tmp_path / "pipe.dcm") == "failed:unreadable"


def test_load_clip_excludes_a_picture_without_region_or_scan(tmp_path: Path) -> None:
    blank = np.zeros((2, 96, 128, 3), np.uint8)
    blank[:, 2:6, 4:60:2] = 255
    path = write(tmp_path / "a.dcm", blank, SequenceOfUltrasoundRegions=None)
    assert code_of(path) == "excluded:no_scan_area"


def test_load_clip_of_a_file_cut_anywhere_ends_with_frames_or_a_code(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.dcm", speckle_frames(3), JPEGBaseline8Bit).read_bytes()
    for end in np.linspace(1, len(raw) - 1, 60).astype(int):
        path = tmp_path / "cut.dcm"
        path.write_bytes(raw[:end])
        assert outcome(path) in ("salvaged", "failed", "excluded") or end > len(raw) - 9  # but for the end mark, whole


def test_load_clip_of_flipped_bytes_ends_with_frames_or_a_code(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.dcm", speckle_frames(3), RLELossless).read_bytes()
    draw = np.random.default_rng(5)
    for _ in range(60):
        damaged = bytearray(raw)
        for offset in draw.integers(132, 1600, 4):
            damaged[offset] = int(draw.integers(0, 256))
        path = tmp_path / "flipped.dcm"
        path.write_bytes(bytes(damaged))
        assert outcome(path) in ("salvaged", "accepted", "failed", "excluded")
