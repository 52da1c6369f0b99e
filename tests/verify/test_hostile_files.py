"""Damaged, hostile and unopened contents cost that content only, in bounded memory, and are counted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread

from heart2heart.verify.archive import collect_identities
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities
from heart2heart.verify.verdict import VerificationResult
from tests.dicom.build import speckle_frames, write
from tests.dicom.test_reader import bomb

NAME = "ZQXPLANT^VORNAME"
MEMORY = 2 * 2**30


@pytest.fixture
def identities() -> Identities:
    """Return one planted name."""
    planted = Identities()
    planted.add("name", NAME)
    return planted


def searched(folder: Path, identities: Identities, name: str, content: bytes, workers: int = 0) -> VerificationResult:
    """Write one file beside one with a leak, and search both."""
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "zz.txt").write_text(NAME)
    return verify([folder], identities, workers=workers)


def _encrypted_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a.txt", "secret")
    data = bytearray(buffer.getvalue())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.gz", gzip.compress(b"x" * 9999, mtime=0)[:-20], "damaged"),
        ("a.xz", lzma.compress(bytes(range(256)) * 4)[:-30], "damaged"),
        ("a.bz2", bz2.compress(bytes(range(256)) * 4)[:-30], "damaged"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 60, "damaged"),
        ("a.zip", _encrypted_zip(), "encrypted"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + b"\0" * 60, "cannot be opened"),
        ("a.parquet", b"PAR1" + b"\0" * 60, "damaged"),
        ("a.db", b"SQLite format 3\0" + b"\xff" * 60, "damaged"),
    ],
    # Fixed names: workers of a parallel run must collect the same, whatever the second of the clock.
    ids=["gzip", "xz", "bzip2", "zip", "encrypted zip", "7z", "parquet", "sqlite"],
)
def test_verify_counts_what_it_cannot_read(
    name: str, content: bytes, reason: str, tmp_path: Path, identities: Identities
) -> None:
    result = searched(tmp_path / "out", identities, name, content)
    assert [reason in part.reason for part in result.unread] == [True]
    assert result.unread[0].file == f"out/{name}"
    assert {finding.file for finding in result.findings} == {"out/zz.txt"}
    (tmp_path / "out" / "zz.txt").unlink()
    assert verify([tmp_path / "out"], identities).verdict == "incomplete"


def _odd_element(path: Path) -> Path:
    """Write a file with a US value of three bytes before its patient's name."""
    plain = write(path, speckle_frames(2), PatientName=NAME).read_bytes()
    at = plain.index(b"\x10\0\x10\0PN")
    path.write_bytes(plain[:at] + b"\x09\0\x10\x10US\x03\0abc" + plain[at:])
    return path


def test_verify_goes_on_after_an_element_of_odd_length(tmp_path: Path, identities: Identities) -> None:
    path = _odd_element(tmp_path / "a.dcm")
    with pytest.raises(Exception, match="Expected total bytes"):
        str(dcmread(path))
    result = verify([path], identities)
    assert [part.location for part in result.unread] == ["(0009,1010)"]
    assert "(0010,0010)" in {finding.location for finding in result.findings}


def test_collect_identities_goes_on_after_an_element_of_odd_length(tmp_path: Path) -> None:
    _odd_element(tmp_path / "a.dcm")
    (tmp_path / "notes.txt").write_text("no DICOM")
    cut = write(tmp_path / "b.dcm", speckle_frames(2), PatientName="QWERTZUI^ANNA").read_bytes()
    (tmp_path / "b.dcm").write_bytes(cut[: len(cut) - 500])
    identities = collect_identities([tmp_path])
    assert {("name", NAME), ("name", "QWERTZUI^ANNA")} <= identities.exact
    assert (identities.files, identities.not_dicom, len(identities.unread)) == (3, 1, 2)
    result = verify([tmp_path / "notes.txt"], identities)
    assert result.verdict == "incomplete"
    assert sum("archive, 1 times" in reason for reason in result.checks_skipped) == 2


def test_collect_identities_counts_names_too_short_to_search(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", speckle_frames(2), PatientName="Li", PatientID="17")
    identities = collect_identities([tmp_path])
    (tmp_path / "out.txt").write_text("nothing")
    result = verify([tmp_path / "out.txt"], identities)
    assert any(reason.startswith("2 names or patient identifiers") for reason in result.checks_skipped)
    assert result.verdict == "incomplete"


def test_verify_is_clean_when_everything_was_read(tmp_path: Path, identities: Identities) -> None:
    (tmp_path / "a.txt").write_text("nothing")
    assert verify([tmp_path], identities).verdict == "clean"


def zeros(kind: str, gib: int) -> bytes:
    """Return a compressed stream of `gib` GiB of zeros."""
    if kind == "bz2":
        return bz2.compress(bytes(2**26)) * (16 * gib)
    if kind == "xz":
        return lzma.compress(bytes(2**26), preset=0) * (16 * gib)
    packer = zlib.compressobj(9, zlib.DEFLATED, {"gzip": 31, "zlib": 15}[kind])
    head = packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + piece * (64 * gib) + packer.flush()


def test_verify_of_bombs_needs_bounded_memory_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    bomb(out / "bomb.dcm", gib=3)
    (out / "bomb.plain").unlink()
    (out / "bomb.gz").write_bytes(zeros("gzip", 1))
    (out / "bomb.bz2").write_bytes(zeros("bz2", 1))
    (out / "bomb.xz").write_bytes(zeros("xz", 1))
    (out / "zz.txt").write_text(NAME)
    program = f"""
import resource, sys
from pathlib import Path
from heart2heart.verify import Identities, limits, verify
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
limits.MAX_RATIO = 20  # so that less is unpacked in the test
identities = Identities()
identities.add("name", "{NAME}")
result = verify([Path(sys.argv[1])], identities)
print(sorted((part.file, part.reason) for part in result.unread))
print([finding.file for finding in result.findings])
again = verify([Path(sys.argv[1])], identities, workers=2)
print(again.unread == result.unread and again.findings == result.findings)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program, out], capture_output=True, text=True, check=False)
    unread, findings, same_in_workers, peak_mib = done.stdout.splitlines() or ("", done.stderr[-900:], "", "")
    assert unread.count("unpacks to more than the limit") == 4, unread
    assert findings == "['out/zz.txt']"
    assert same_in_workers == "True"
    assert 20 < int(peak_mib) < 600  # the largest worker


def test_verify_in_workers_reports_the_same(tmp_path: Path, identities: Identities) -> None:
    alone = searched(tmp_path / "out", identities, "a.gz", gzip.compress(NAME.encode() * 3))
    assert verify([tmp_path / "out"], identities, workers=2) == alone
    assert len(alone.findings) == 2
