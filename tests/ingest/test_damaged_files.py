"""Whatever an archive holds ends with its one code, through the whole of `ingest`."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2K, JPEGBaseline8Bit

from heart2heart.ingest.ledger import Ledger
from heart2heart.schema.status import CODES
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import dataset, encoded, speckle_frames, write
from tests.ingest.archive_kit import run

ROOT = Path(__file__).parents[2]
Plant = Callable[[Path], object]


def tagged(**tags: Any) -> Plant:
    """Return what writes one clip with these tags."""
    return lambda path: write(path, speckle_frames(4), **tags)


def holding(content: bytes) -> Plant:
    return lambda path: path.write_bytes(content)


def changed(change: Callable[[bytes], bytes], syntax: str = JPEGBaseline8Bit) -> Plant:
    """Return what writes one clip whose bytes went through `change`."""
    return lambda path: path.write_bytes(change(encoded(dataset(speckle_frames(4), syntax))))


def in_syntax(uid: str) -> Plant:
    def plant(path: Path) -> None:
        header = dataset(speckle_frames(2), JPEGBaseline8Bit)
        header.file_meta.TransferSyntaxUID = HTJ2K  # pydicom writes no syntax that it does not know
        path.write_bytes(encoded(header).replace(HTJ2K.encode() + b"\0", uid.encode().ljust(24, b"\0"), 1))

    return plant


def nested(path: Path) -> None:
    clip = write(path.with_suffix(".dcm"), speckle_frames(4))
    for name in ("inner.zip", "outer.zip"):
        with zipfile.ZipFile(path.with_name(name), "w") as pack:
            pack.write(clip, "one")
        clip.unlink()
        clip = path.with_name(name)


def looped(path: Path) -> None:
    write(path / "clip", speckle_frames(4))
    (path / "again").symlink_to(path)


# Without the extra `jpegxl` the syntax is unknown; with it, these bytes are damaged.
_JPEG_XL = "failed:decode" if find_spec("imagecodecs") else "failed:unsupported_syntax"
JUNK = encapsulate([b"\xff\xd8\xff\xe0" + bytes(60)] * 4)
CASES: list[tuple[str, Plant, str, str]] = [
    # name of the file, how it comes to be, its code, the flag of an accepted clip
    ("zero.dcm", holding(b""), "failed:empty", ""),
    ("text.dcm", holding(b"no picture, whatever the name says\n" * 40), "excluded:not_dicom", ""),
    ("no_extension", tagged(), "accepted", ""),
    ("DICOMDIR", tagged(SOPClassUID="1.2.840.10008.1.3.10"), "excluded:dicomdir", ""),
    ("nested", nested, "accepted", ""),
    ("looped", looped, "accepted", ""),
    ("gone", lambda path: path.symlink_to(path.with_name("nowhere")), "failed:unreadable", ""),
    ("pipe", os.mkfifo, "failed:unreadable", ""),
    ("high", tagged(Rows=20_000), "failed:bounds", ""),
    ("long", tagged(NumberOfFrames=10_000_000), "failed:bounds", ""),
    ("wide and high", tagged(Rows=5_000, Columns=3_000), "failed:layout", ""),
    ("écho 心臓 клип β.dcm", tagged(), "accepted", ""),
    ("no preamble", changed(lambda raw: raw[132:]), "accepted", "no_preamble"),
    ("half", changed(lambda raw: raw[: len(raw) // 2]), "accepted", "salvaged"),
    ("nearly whole", changed(lambda raw: raw[: len(raw) * 99 // 100]), "accepted", "salvaged"),
    ("only a header", changed(lambda raw: raw[: raw.index(b"\xff\xd8\xff") + 40]), "failed:truncated", ""),
    ("frames missing", tagged(NumberOfFrames=None), "accepted", "frame_count"),
    ("frames 0", tagged(NumberOfFrames=0), "accepted", "frame_count"),
    ("frames too many", tagged(NumberOfFrames=9), "accepted", "frame_count"),
    ("frames too few", tagged(NumberOfFrames=2), "accepted", "frame_count"),
    ("one corrupt frame", changed(lambda raw: raw.replace(b"\xff\xdb", b"\0\0", 1)), "accepted", "corrupt_frames"),
    (
        "all frames corrupt",
        lambda path: write(path, speckle_frames(4), JPEGBaseline8Bit, PixelData=JUNK),
        "failed:decode",
        "",
    ),
    ("12 of 8 bits", tagged(BitsStored=12), "failed:layout", ""),
    ("wrong rows", lambda path: write(path, speckle_frames(4), JPEGBaseline8Bit, Rows=90), "failed:decode", ""),
    ("colour of one sample", tagged(SamplesPerPixel=1), "failed:layout", ""),
    ("no pixels", tagged(PixelData=None), "failed:no_pixels", ""),
    ("no patient", tagged(PatientID=None), "accepted", "no_patient_id"),
    ("JPEG XL", in_syntax("1.2.840.10008.1.2.4.110"), _JPEG_XL, ""),
    ("JPIP", in_syntax("1.2.840.10008.1.2.4.94"), "failed:unsupported_syntax", ""),
    ("capture", tagged(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "excluded:secondary_capture", ""),
    ("report", tagged(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"), "excluded:structured_report", ""),
    ("volume", tagged(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2"), "excluded:volume", ""),
    ("magnetic resonance", tagged(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "excluded:not_ultrasound", ""),
]


@pytest.mark.parametrize(("name", "plant", "code", "flag"), CASES, ids=[case[0] for case in CASES])
def test_ingest_gives_each_damaged_file_its_code(tmp_path: Path, name: str, plant: Plant, code: str, flag: str) -> None:
    (tmp_path / "in").mkdir()
    plant(tmp_path / "in" / name)
    assert run(tmp_path / "in", tmp_path / "store").total == {code: 1}
    assert code in CODES
    flags = [flag for row in FrameStore.open(tmp_path / "store").all_clips["flags"].to_pylist() for flag in row]
    assert (flag in flags) if flag else "salvaged" not in flags


def test_ingest_counts_files_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path / "in" / "open", speckle_frames(4))
    write(tmp_path / "in" / "closed", speckle_frames(4, seed=1)).chmod(0)
    shut = write(tmp_path / "in" / "shut" / "clip", speckle_frames(4, seed=2)).parent
    shut.chmod(0)
    # Root reads everything, until the capabilities that let it are taken away.
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [sys.executable, "-m", "tests.ingest.archive_kit", str(tmp_path / "in"), str(tmp_path / "store"), "0"]
    try:
        subprocess.run(less + command, check=True, cwd=ROOT, capture_output=True)
    finally:
        shut.chmod(0o700)
    assert Ledger(tmp_path / "store").counts() == {"a": {"accepted": 1, "failed:unreadable": 2}}
    (tmp_path / "in" / "closed").chmod(0o600)
    assert run(tmp_path / "in", tmp_path / "store").total["accepted"] == 3
