"""Deflated files are inflated to a limit, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from heart2heart.dicom import reader
from heart2heart.errors import DicomError
from tests.dicom.build import speckle_frames, write

MEMORY = 2 * 2**30  # bytes


def deflated(path: Path) -> Path:
    """Write a deflated clip of two frames at `path`."""
    dataset = dcmread(write(path.with_suffix(".plain"), speckle_frames(2)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    return path


def bomb(path: Path, gib: float) -> Path:
    """Write a deflated file whose pixels inflate to `gib` GiB of zeros."""
    dataset = dcmread(write(path.with_suffix(".plain"), speckle_frames(2)))
    del dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    whole = path.read_bytes()
    start = 144 + int(dcmread(path).file_meta.FileMetaInformationGroupLength)
    plain = zlib.decompressobj(-15).decompress(whole[start:])
    pixels = b"\xe0\x7f\x10\0OB\0\0" + (2**32 - 2).to_bytes(4, "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(plain + pixels) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)  # a flush makes the piece repeatable
    path.write_bytes(whole[:start] + head + zeros * int(64 * gib) + packer.flush())
    return path


def test_open_dicom_reads_a_deflated_file_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = deflated(tmp_path / "a.dcm")
    monkeypatch.setattr(reader, "_PIECE", 100)
    with reader.open_dicom(path) as opened:
        assert opened.syntax == DeflatedExplicitVRLittleEndian
        assert opened.header.Rows == dcmread(path).Rows
        assert opened.data[opened.pixel_data_offset :][:4] == b"\xe0\x7f\x10\0"


def test_open_dicom_reads_the_syntax_of_a_file_that_is_not_deflated(tmp_path: Path) -> None:
    with reader.open_dicom(write(tmp_path / "a.dcm", speckle_frames(2))) as opened:
        assert opened.syntax == ExplicitVRLittleEndian


def test_open_dicom_refuses_what_inflates_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = deflated(tmp_path / "a.dcm")
    monkeypatch.setattr(reader, "_SMALL", 1000)
    monkeypatch.setattr(reader, "_MAX_INFLATION", 1)
    with pytest.raises(DicomError) as error, reader.open_dicom(path):
        pass
    assert error.value.code == "failed:bounds"


def test_open_dicom_of_a_deflate_bomb_needs_bounded_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.dcm", gib=3)
    assert path.stat().st_size < 20 * 2**20
    program = f"""
import resource, sys
from pathlib import Path
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
try:
    with open_dicom(Path(sys.argv[1])):
        pass
except DicomError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "failed:bounds", done.stderr[-500:]
