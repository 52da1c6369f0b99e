"""What lies in the files that are fetched shows nowhere beside them: not in names, notes, or what the verbs say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.dicom.build import speckle_frames, write
from tests.pacs.conftest import PASSWORD, USER, Orthanc, needs
from tests.pacs.test_storage_scp import start

MARK, NUMBER, UID = "ZQXPLANT", "PLANTED-4711", "1.2.826.0.1.77777.424242"


def planted(folder: Path) -> Path:
    """Write one clip whose every identifying element is planted, under a planted name."""
    tags = {
        "PatientName": f"{MARK}^ANNA", "PatientID": NUMBER, "AccessionNumber": NUMBER, "StudyDescription": MARK,
        "InstitutionName": MARK, "SeriesDescription": MARK, "StudyInstanceUID": f"{UID}.1",
        "SeriesInstanceUID": f"{UID}.2", "SOPInstanceUID": f"{UID}.3", "StudyDate": "19431122",
    }  # fmt: skip
    return write(folder / f"{MARK} {NUMBER}.dcm", speckle_frames(4, seed=99), **tags)


def assert_nothing_beside(folder: Path, output: str) -> None:
    """Fail when a name, a file that is no DICOM, or a word of the verb holds something planted."""
    beside = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    names = "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    left = b"\n".join([output.encode(), names.encode(), *(path.read_bytes() for path in beside)])
    for secret in (MARK, NUMBER, UID, "19431122"):
        for form in (secret.encode(), secret.lower().encode(), secret.encode("utf-16-le")):
            assert form not in left, "something planted shows beside the files"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the executable as a process, whose outputs are also those of its libraries."""
    known = {"HEART2HEART_DICOMWEB_USER": USER, "HEART2HEART_DICOMWEB_PASSWORD": PASSWORD, "PYTHONUTF8": "1"}
    line = (sys.executable, "-c", "from heart2heart.cli import main; main()", *arguments)
    return subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ | known, timeout=60)


def test_pull_shows_nothing_of_what_it_fetches(orthanc: Orthanc, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    uploaded = json.loads(orthanc.ask("/instances", planted(tmp_path / "in").read_bytes()))
    try:
        query = tmp_path / "query.yaml"
        query.write_text(f"match: {{PatientID: {NUMBER}}}\n")
        out = tmp_path / "out"
        done = _run("pull", orthanc.url, str(out / "landing"), "--query", str(query), "--key", str(out / "k"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 instances found: 1 fetched")
        (fetched,) = (out / "landing").rglob("*.dcm")
        assert MARK.encode() in fetched.read_bytes()  # so that the search below could have found it
        again = _run("pull", orthanc.url, str(out / "landing"), "--query", str(query), "--key", str(out / "k"))
        assert_nothing_beside(out, done.stdout + done.stderr + again.stdout + again.stderr)
    finally:
        orthanc.ask(f"/instances/{uploaded['ID']}", method="DELETE")


def test_receive_shows_nothing_of_what_it_is_sent(tmp_path: Path) -> None:
    storescu = needs("storescu")
    (tmp_path / "in").mkdir()
    clip = planted(tmp_path / "in")
    process, port = start(tmp_path / "out" / "landing")
    with process:
        line = [storescu, "-aet", "SENDER", "-aec", "HEART2HEART", "127.0.0.1", str(port), str(clip)]
        subprocess.run(line, check=True, capture_output=True, timeout=60)
        refused = subprocess.run([storescu, "-aet", MARK, "-aec", MARK, *line[5:]], check=False, capture_output=True)
        assert refused.returncode != 0
        process.send_signal(signal.SIGTERM)
        printed, errors = process.communicate(timeout=60)
    (stored,) = (tmp_path / "out" / "landing").rglob("*.dcm")
    assert MARK.encode() in stored.read_bytes()
    assert_nothing_beside(tmp_path / "out", printed + errors)
