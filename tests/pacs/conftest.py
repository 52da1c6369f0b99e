"""A real Orthanc on loopback, with a configuration of these tests, and a few synthetic clips in it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from tests.command_line import execute
from tests.dicom.build import speckle_frames, write

USER, PASSWORD = "engineer", "not-a-secret-é"
__all__ = ["execute"]

PLUGINS = Path("/usr/share/orthanc/plugins")


def needs(program: str) -> str:
    """Return the path of a system program; skip without it, but fail in CI."""
    executable = shutil.which(program)
    if executable is None:
        reason = f"{program} is not installed; .ci/run names the packages"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return executable


def free_port() -> int:
    """Return a TCP port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running server: its DICOMweb address, its DICOM port, and the files that it was given."""

    root: str
    dicom_port: int
    files: list[Path]

    @property
    def url(self) -> str:
        """Base of its DICOMweb service."""
        return f"{self.root}/dicom-web"

    def ask(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        """Speak to its own interface."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = Request(f"{self.root}{path}", body, {"Authorization": f"Basic {token}"}, method=method)
        with urlopen(request, timeout=20) as answer:
            return bytes(answer.read())


def make_clips(folder: Path, count: int = 6) -> list[Path]:
    """Write synthetic clips of three studies, in three transfer syntaxes."""
    files = []
    for index in range(count):
        syntax = (JPEGBaseline8Bit, RLELossless, "1.2.840.10008.1.2.1")[index % 3]
        study = f"1.2.3.7.{index % 3}"
        tags = {
            "PatientID": f"TEST-{index % 3}",
            "SOPInstanceUID": f"1.2.3.9.{index}",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.1",
            "StudyDate": f"2020010{1 + index % 3}",
        }
        files.append(write(folder / f"clip{index}", speckle_frames(4, seed=index), syntax, **tags))
    return files


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Start Orthanc, fill it, and stop it when the session ends."""
    program, home = needs("Orthanc"), tmp_path_factory.mktemp("orthanc")
    plugin = PLUGINS / "libOrthancDicomWeb.so"
    assert plugin.exists() or not os.environ.get("CI"), "the package orthanc-dicomweb is missing"
    if not plugin.exists():
        pytest.skip("the package orthanc-dicomweb is missing")
    http, dicom = free_port(), free_port()
    server = Orthanc(f"http://127.0.0.1:{http}", dicom, make_clips(home / "clips"))
    settings = {
        "Name": "TEST", "StorageDirectory": str(home / "storage"), "IndexDirectory": str(home / "storage"),
        "HttpPort": http, "DicomPort": dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, "HttpBindAddresses": ["127.0.0.1"],
        "ConcurrentJobs": 1, "HttpThreadsCount": 4,
        "DicomModalities": {"heart2heart": ["HEART2HEART", "127.0.0.1", 104]},  # who may search
    }  # fmt: skip
    config = home / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (home / "log").open("wb") as log, subprocess.Popen([program, str(config)], stdout=log, stderr=log) as process:
        try:
            _wait(server, process, home / "log")
            for path in server.files:
                server.ask("/instances", path.read_bytes())
            yield server
        finally:
            process.kill()  # a clean end takes seconds, and the folder is thrown away


def _wait(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            server.ask("/system")
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text(errors="replace")[-2000:])
