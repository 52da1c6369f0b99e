"""DICOMweb against a real Orthanc: the same bytes, resumed, and clear words when the server will not."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heart2heart.errors import RemoteError
from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.dicomweb import PacsQuery
from heart2heart.pacs.retrieve import retrieve
from heart2heart.pacs.search import InstanceReference
from heart2heart.pacs.spool import Spool
from tests.pacs.conftest import PASSWORD, USER, Orthanc, free_port
from tests.pacs.web import open_server


def hashes(folder: Path) -> list[str]:
    """Return the sorted hashes of the files in a folder."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir())


def test_retrieve_fetches_every_instance_as_it_is_stored(orthanc: Orthanc, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    with open_server(orthanc.url) as server, Spool.open(landing, tmp_path / "k") as folder:
        done = retrieve(server, server.search(PacsQuery()), folder)
        again = retrieve(server, server.search(PacsQuery()), folder)
    assert (done.fetched, done.present, done.refused) == (6, 0, 0)
    assert (again.fetched, again.present, again.refused) == (0, 6, 0)
    assert hashes(landing) == hashes(orthanc.files[0].parent)
    assert stat.S_IMODE(landing.stat().st_mode) == 0o700
    for path in landing.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "1.2.3" not in path.name


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (PacsQuery(dates="20200101"), 2),
        (PacsQuery(dates="20200102-20200103"), 4),
        (PacsQuery(match={"PatientID": "TEST-1"}), 2),
        (PacsQuery(modality="MR"), 0),
    ],
)
def test_open_server_finds_the_instances_of_a_query(orthanc: Orthanc, query: PacsQuery, count: int) -> None:
    with open_server(orthanc.url) as server:
        assert len(server.search(query)) == count


class Interrupted:
    """Progress that stops the pull in its midst."""

    def update(self, done: int, note: str = "") -> None:
        """Stop after two."""
        if done == 2:
            raise KeyboardInterrupt


def test_retrieve_interrupted_and_resumed_gives_the_same_files(orthanc: Orthanc, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    with open_server(orthanc.url) as server:
        instances = server.search(PacsQuery())
        with pytest.raises(KeyboardInterrupt), Spool.open(landing, tmp_path / "k") as folder:
            retrieve(server, instances, folder, progress=Interrupted())
        left = next(landing.iterdir())
        (landing / f".{left.name}.0123abcd.tmp").write_bytes(b"half")  # what a kill -9 leaves behind
        assert len(list(landing.iterdir())) == 3
        with Spool.open(landing, tmp_path / "k") as folder:
            done = retrieve(server, instances, folder)
    assert (done.fetched, done.present) == (4, 2)
    assert hashes(landing) == hashes(orthanc.files[0].parent)


def test_retrieve_counts_an_instance_that_is_gone(orthanc: Orthanc, tmp_path: Path) -> None:
    gone = InstanceReference("1.2.3.7.0", "1.2.3.7.0.1", "1.2.3.9.77")
    with open_server(orthanc.url) as server, Spool.open(tmp_path / "l", tmp_path / "k") as folder:
        done = retrieve(server, [gone], folder)
    assert (done.fetched, done.refused) == (0, 1)
    assert list((tmp_path / "l").iterdir()) == []


def test_open_server_names_wrong_credentials_and_wrong_addresses(orthanc: Orthanc) -> None:
    wrong = Credentials.parse({"user": USER, "password": "wrong"}, where="test")
    for credentials in (wrong, Credentials()):
        with open_server(orthanc.url, credentials) as server, pytest.raises(RemoteError, match="HTTP 401"):
            server.search(PacsQuery())
    with open_server(f"{orthanc.root}/nothing") as server, pytest.raises(RemoteError, match="HTTP 404"):
        server.search(PacsQuery())
    with open_server(f"{orthanc.root}/app") as server, pytest.raises(RemoteError, match="HTTP"):
        server.search(PacsQuery())


def test_open_server_names_a_server_that_is_down() -> None:
    with open_server(f"http://127.0.0.1:{free_port()}/x") as server, pytest.raises(RemoteError, match="not answer"):
        server.search(PacsQuery())


KILLED = """
import sys, time
from heart2heart.cli import main
from heart2heart.pacs.dicomweb import DicomWebClient
plain = DicomWebClient.fetch
def slow(self, instance, out):
    out.write(b"half an instance")
    out.flush()
    time.sleep(0.3)
    return plain(self, instance, out)
DicomWebClient.fetch = slow
main()
"""


def test_pull_killed_half_way_and_resumed(orthanc: Orthanc, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    known = {"HEART2HEART_DICOMWEB_USER": USER, "HEART2HEART_DICOMWEB_PASSWORD": PASSWORD, "PYTHONUTF8": "1"}
    line = (sys.executable, "-c", KILLED, "pull", orthanc.url, str(landing))
    with subprocess.Popen(line, env=os.environ | known) as process:
        until = time.monotonic() + 60
        while len(list(landing.glob("*.dcm"))) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)  # into the next instance
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    whole = {path: path.stat().st_mtime_ns for path in landing.glob("*.dcm")}
    assert 3 <= len(whole) < 6
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in whole} < set(hashes(orthanc.files[0].parent))
    assert len(list(landing.glob(".*.tmp"))) == 1
    again = (sys.executable, "-c", "from heart2heart.cli import main; main()", *line[3:])
    done = subprocess.run(again, env=os.environ | known, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"6 instances found: {6 - len(whole)} fetched, {len(whole)} present before, 0 refused\n"
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert hashes(landing) == hashes(orthanc.files[0].parent)
