"""No output of ingest or deidentify holds what was planted in every element of the data dictionary."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom._dicom_dict import DicomDictionary

from heart2heart.dicom.header_values import silence_warnings
from heart2heart.ingest.deidentify_files import deidentify_files
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities
from tests.dicom.build import speckle_frames
from tests.dicom.test_video_frame_reader import clip
from tests.ingest.archive_kit import SMALL
from tests.ingest.planted_header import BY_VR, DAY, MARK, TIME, UID, plant_everywhere
from tests.ingest.test_planted_identity import every_byte

SECRETS = (MARK, UID, DAY, TIME, "1943-11-22", "1943, 11, 22")  # a moved date may keep the month


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write planted files, whole, damaged and zipped twice, under planted names."""
    root = tmp_path_factory.mktemp("everywhere") / f"{MARK}^FOLDER"
    root.mkdir()
    with silence_warnings():
        native, jpeg = plant_everywhere(0, jpeg=False), plant_everywhere(1, jpeg=True)
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as packed:
            packed.writestr(f"{MARK} inner.dcm", plant_everywhere(2, jpeg=True))
            packed.comment = MARK.encode()
        with zipfile.ZipFile(root / f"{MARK}.zip", "w") as packed:
            packed.writestr(f"{MARK}/nested.zip", inner.getvalue())
            packed.writestr(f"{MARK}/notes.txt", MARK)
    (root / f"{MARK} native.dcm").write_bytes(native)
    (root / f"{MARK} jpeg.dcm").write_bytes(jpeg)
    (root / f"{MARK} cut.dcm").write_bytes(native[: len(native) // 2])
    (root / f"{MARK} header only.dcm").write_bytes(jpeg[:9000])
    (root / f"{MARK} empty.dcm").touch()
    flipped = bytearray(jpeg)
    flipped[400:20_000:11] = bytes(len(flipped[400:20_000:11]))
    (root / f"{MARK} damaged.dcm").write_bytes(bytes(flipped))
    return root


def run(*words: str) -> bytes:
    """Run the command line and return what it says; how it ends does not matter."""
    done = subprocess.run(
        [sys.executable, "-c", "from heart2heart.cli import main; main()", *words], capture_output=True, check=False
    )
    return done.stdout + done.stderr


def assert_clean(out: Path, output: bytes) -> None:
    left = every_byte(out) + output
    for secret in SECRETS:
        for form in (secret.encode(), secret.lower().encode(), secret.encode("utf-16-le")):
            assert form not in left, f"something planted got through: {SECRETS.index(secret)}"
    identities = Identities()
    for kind, value in (("name", MARK), ("uid", UID), ("date", "1943-11-22")):
        identities.add(kind, value)
    assert verify([out], identities).findings == ()


def test_ingest_archive_has_every_text_element_planted(archive: Path) -> None:
    with silence_warnings():
        tags = dcmread(archive / f"{MARK} native.dcm").keys()
    kinds = Counter(DicomDictionary[tag][0] for tag in tags if tag in DicomDictionary)
    assert all(kinds[vr] for vr in BY_VR)
    assert sum(kinds[vr] for vr in BY_VR) > 1500
    assert kinds["SQ"] > 500


def test_ingest_leaves_nothing_planted(archive: Path, tmp_path: Path) -> None:
    store = tmp_path / "out" / "store"
    words = ["--site", "a", "--store", str(store), "--key", str(tmp_path / "key"), "--workers", "1"]
    output = run("ingest", str(archive), *words)
    assert Ledger(store).counts()["a"]["accepted"] == 3
    assert sum(Ledger(store).counts()["a"].values()) == 8
    output += run("store", "show", str(store)) + run("store", "ledger", str(store)) + run("store", "verify", str(store))
    assert_clean(tmp_path / "out", output)


def test_deidentify_files_leaves_nothing_planted(archive: Path, tmp_path: Path) -> None:
    words = ["--out", str(tmp_path / "out"), "--key", str(tmp_path / "key"), "--site", "a", "--workers", "1"]
    output = run("deidentify", str(archive), *words)
    assert b"3 clean copies" in output
    assert_clean(tmp_path / "out", output)
    rows = (line.split() for line in output.decode().splitlines())
    codes = {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[0].startswith(("accepted", "exclu", "fail"))}
    assert codes["accepted"] == 3
    assert sum(codes.values()) == 8  # every file, those in zip files too


def test_deidentify_files_writes_dicom_for_another_reader(archive: Path, tmp_path: Path) -> None:
    dcmdump = shutil.which("dcmdump")
    if dcmdump is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have dcmtk: no copy has been read by another reader")
        pytest.skip("dcmtk is not installed: no copy has been read by another reader")
    done = deidentify_files([archive], out=tmp_path / "out", key=tmp_path / "key", site="a")
    for path in (tmp_path / "out").glob("*/*.dcm"):
        dumped = subprocess.run([dcmdump, "+L", path], capture_output=True, text=True, check=True)
        assert not dumped.stderr
        assert "(0012,0062) CS [YES]" in dumped.stdout
        assert "(0028,0008) IS [4]" in dumped.stdout
        assert MARK not in dumped.stdout
        assert dcmread(path).pixel_array.shape[0] == 4
    assert done.copies == 3


def test_deidentify_files_drops_the_metadata_of_a_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        out.metadata.update({"title": MARK, "comment": MARK, "artist": MARK})
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for picture in speckle_frames(6):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    raw = buffer.getvalue()
    assert MARK.encode() in raw
    clip(tmp_path / "in" / "a.dcm", "1.2.840.10008.1.2.4.102", raw, n=6)
    done = deidentify_files([tmp_path / "in"], out=tmp_path / "out" / "clean", key=tmp_path / "key", site="a")
    assert done.codes == {"accepted": 1}
    ingest([tmp_path / "in"], site="a", store=tmp_path / "out" / "store", key=tmp_path / "key", settings=SMALL)
    assert_clean(tmp_path / "out", b"")
