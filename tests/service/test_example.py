"""The example beside Orthanc: a valid Compose file, whose parts name each other as they are."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from heart2heart.pacs.destination import parse_dicom_address
from heart2heart.service.settings import ServiceSettings
from tests.pacs.conftest import needs
from tests.service.test_end_to_end import EXAMPLE


@pytest.fixture
def services() -> dict[str, Any]:
    content = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))
    return dict(content["services"])


def test_service_settings_lie_beside_a_valid_compose_file() -> None:
    command = [needs("docker-compose"), "--file", str(EXAMPLE / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_service_settings_name_orthanc_as_it_listens(services: dict[str, Any]) -> None:
    settings = ServiceSettings.load(EXAMPLE / "service.yaml", [])
    orthanc = json.loads((EXAMPLE / "orthanc.json").read_text(encoding="utf-8"))
    assert settings.dicom is not None
    assert settings.destination is not None
    modality = orthanc["DicomModalities"]["heart2heart"]
    assert (modality["AET"], modality["Port"]) == (settings.dicom.ae_title, settings.dicom.port)
    assert modality["Host"] in services
    assert settings.destination.calling_aet == modality["AET"]
    title, host, port = parse_dicom_address(settings.destination.address)
    assert (title, port) == (orthanc["DicomAet"], orthanc["DicomPort"])
    assert host in services
    assert settings.dicom.allow == (orthanc["DicomAet"],)
    assert f"127.0.0.1:{settings.web.port}:{settings.web.port}" in services["heart2heart"]["ports"]
    assert f"127.0.0.1:{orthanc['HttpPort']}:{orthanc['HttpPort']}" in services["orthanc"]["ports"]


def test_service_settings_lie_beside_all_files_that_orthanc_reads(services: dict[str, Any]) -> None:
    mounts = [mount.split(":") for mount in services["orthanc"]["volumes"]]
    files = {target: EXAMPLE / source for source, target, *_ in mounts if source.startswith("./")}
    assert all(path.is_file() for path in files.values())
    scripts = json.loads((EXAMPLE / "orthanc.json").read_text(encoding="utf-8"))["LuaScripts"]
    assert set(scripts) <= files.keys()
