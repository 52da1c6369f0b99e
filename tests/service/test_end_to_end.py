"""storescu -> Orthanc -> Lua rule -> service -> structured report in Orthanc -> QIDO-RS, with real programs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from tests.dicom.build import dataset, encoded, speckle_frames
from tests.pacs.conftest import PASSWORD, PLUGINS, USER, Orthanc, free_port, needs
from tests.service.support import PATIENT, PATIENT_ID, make_clip

ROOT = Path(__file__).parents[2]
STUDY = "1.2.77.1"
CLI = (sys.executable, "-c", "from heart2heart.cli import main; main()")


@contextmanager
def running_orthanc(home: Path, service_port: int) -> Iterator[Orthanc]:
    """Run Orthanc with the Lua rule of the example."""
    program, plugin = needs("Orthanc"), PLUGINS / "libOrthancDicomWeb.so"
    needs("storescu")
    if not plugin.exists():
        pytest.skip("the package orthanc-dicomweb is missing")
    http, dicom = free_port(), free_port()
    settings = json.loads((ROOT / "examples" / "pacs" / "orthanc.json").read_text(encoding="utf-8"))
    modality = settings["DicomModalities"]["heart2heart"] | {"Host": "127.0.0.1", "Port": service_port}
    settings |= {
        "HttpPort": http, "DicomPort": dicom, "RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(plugin)],
        "DicomModalities": {"heart2heart": modality}, "RemoteAccessAllowed": False,
        "HttpBindAddresses": ["127.0.0.1"], "LuaScripts": [str(ROOT / "examples" / "pacs" / "route.lua")],
        "StorageDirectory": str(home / "storage"), "IndexDirectory": str(home / "storage"),
    }  # fmt: skip
    (home / "orthanc.json").write_text(json.dumps(settings))
    command = [program, str(home / "orthanc.json")]
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Orthanc(f"http://127.0.0.1:{http}", dicom, [])
        finally:
            process.kill()


@contextmanager
def running_service(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `heart2heart serve`; give the process and the address of its page."""
    with subprocess.Popen([*CLI, "serve", str(config)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("page, STOW-RS and upload: "):
                    break
            else:
                pytest.fail("".join(lines))
            yield process, line.removeprefix("page, STOW-RS and upload: ").strip()
        finally:
            process.kill()


def wait_for(condition: Any, seconds: float = 90) -> Any:
    """Return the first true value of a condition."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("nothing came in time")


def qido(orthanc: Orthanc, query: str) -> list[dict[str, Any]]:
    """Search Orthanc by QIDO-RS."""
    found: list[dict[str, Any]] = json.loads(orthanc.ask(f"/dicom-web/{query}"))
    return found


def reported_clips(orthanc: Orthanc) -> set[str]:
    """Return the answers in the reports of the study that QIDO-RS finds: one report, or more on a slow machine."""
    sentences = set()
    for item in qido(orthanc, f"studies/{STUDY}/instances?Modality=SR"):
        (found,) = json.loads(orthanc.ask("/tools/lookup", item["00080018"]["Value"][0].encode()))
        report = dcmread(BytesIO(orthanc.ask(f"/instances/{found['ID']}/file")))
        assert (report.Modality, report.StudyInstanceUID, report.PatientID) == ("SR", STUDY, PATIENT_ID)
        sentences |= comments(report)
    return sentences


def comments(item: Dataset) -> set[str]:
    """Return the values of all items with the name Comment."""
    found = {str(item.TextValue)} if _name(item) == "Comment" else set()
    return found.union(*(comments(each) for each in item.get("ContentSequence", [])))


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(names[0].get("CodeMeaning", ""))


def clips_of_a_study(folder: Path) -> list[Path]:
    """Write a clip, an M-mode-like foreign clip and a damaged clip of one study, as a modality would send them."""
    good = make_clip(folder, 1)
    foreign = make_clip(folder, 2, BodyPartExamined="THYROID", ProtocolName="THYROID", StudyDescription="THYROID")
    tags = {"SOPInstanceUID": f"{STUDY}.1.3", "StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    header = dataset(speckle_frames(2), JPEGBaseline8Bit, PatientName=PATIENT, PatientID=PATIENT_ID, **tags)
    header.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"] * 2)
    header["PixelData"].is_undefined_length = True
    damaged = folder / "damaged.dcm"
    damaged.write_bytes(encoded(header))
    return [good, foreign, damaged]


def test_serve_answers_what_orthanc_routes_and_its_report_is_found_by_qido(model: Path, tmp_path: Path) -> None:
    port = free_port()
    with running_orthanc(tmp_path, port) as orthanc:
        config = tmp_path / "service.yaml"
        content = {
            "folder": str(tmp_path / "service"), "models": [{"name": "views", "path": str(model)}],
            "dicom": {"port": port, "allow": ["ORTHANC"]}, "web": {"port": 0}, "quiet_seconds": 2, "workers": 1,
            "destination": {"address": f"dicom://ORTHANC@127.0.0.1:{orthanc.dicom_port}"},
            "limits": {"free_bytes": 0},
        }  # fmt: skip
        config.write_text(yaml.safe_dump(content))
        files = clips_of_a_study(tmp_path)
        with running_service(config) as (process, page):
            wait_for(lambda: orthanc.ask("/system"))
            called = ["-aet", "SCANNER", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port)]
            for path, way in zip(files, ([], [], ["-xy"]), strict=True):  # -xy proposes JPEG
                subprocess.run(["storescu", *way, *called, str(path)], check=True, capture_output=True)
            reported = wait_for(lambda: reported_clips(orthanc))
            wait_for(lambda: b'waiting"} 0' in urlopen(f"{page}metrics").read())
            clip = json.loads(urlopen(f"{page}clips/{STUDY}.1.2").read())
            study = json.loads(urlopen(f"{page}studies/{clip['study']}").read())
            shown = urlopen(page).read().decode() + urlopen(f"{page}metrics").read().decode()
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            log = process.stderr.read()
            assert process.wait(60) == 0
        sentences = {each["answer"]["status"]: each["answer"]["sentence"] for each in study["clips"]}
        assert sentences["not_answered"] == "not answered: the file names another organ"
        assert sentences["failed"].startswith("failed: failed:")
        assert len(study["clips"]) == 3
    assert reported <= {each["answer"]["sentence"] for each in study["clips"]}
    assert "heart2heart_reports" in shown
    for words in (shown, log, json.dumps(study)):
        assert not any(secret in words for secret in ("Doehringer", PATIENT_ID, STUDY))
