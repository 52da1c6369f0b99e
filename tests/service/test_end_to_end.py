"""storescu -> Orthanc -> Lua rule -> service -> structured report in Orthanc -> QIDO-RS, with real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from heart2heart.api.service import serve
from heart2heart.schema.service import ReportState
from heart2heart.service.settings import ServiceSettings
from heart2heart.testing.tiny import picture
from heart2heart.utils import write_text
from tests.dicom.build import BOX, COLUMNS, ROWS, dataset, encoded, speckle_frames, write
from tests.pacs.conftest import PASSWORD, PLUGINS, USER, Orthanc, free_port, needs
from tests.service.support import PATIENT, PATIENT_ID, make_clip, open_service, settings_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "pacs"
TOKEN = "token-of-the-example"
STUDY = "1.2.77.1"
GOOD, FOREIGN, DAMAGED = (f"{STUDY}.1.{number}" for number in (1, 2, 3))
IDENTITY = {
    "PatientName": PATIENT, "PatientID": PATIENT_ID, "StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"
}  # fmt: skip
SECONDS = 100.0
"""Longest wait for any step: a loaded machine is slow, and a step that comes earlier is not waited for."""


@contextmanager
def running_orthanc(home: Path, service_port: int) -> Iterator[Orthanc]:
    """Run Orthanc with the Lua rule of the example."""
    program, plugin = needs("Orthanc"), PLUGINS / "libOrthancDicomWeb.so"
    needs("storescu")
    if not plugin.exists():
        assert not os.environ.get("CI"), "the package orthanc-dicomweb is missing"
        pytest.skip("the package orthanc-dicomweb is missing")
    http, dicom = free_port(), free_port()
    settings = json.loads((EXAMPLE / "orthanc.json").read_text(encoding="utf-8"))
    modality = settings["DicomModalities"]["heart2heart"] | {"Host": "127.0.0.1", "Port": service_port}
    settings |= {
        "HttpPort": http, "DicomPort": dicom, "RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(plugin)],
        "DicomModalities": {"heart2heart": modality}, "RemoteAccessAllowed": False,
        "HttpBindAddresses": ["127.0.0.1"], "LuaScripts": [str(EXAMPLE / "route.lua")],
        "StorageDirectory": str(home / "storage"), "IndexDirectory": str(home / "storage"),
    }  # fmt: skip
    (home / "orthanc.json").write_text(json.dumps(settings))
    command = [program, str(home / "orthanc.json")]
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Orthanc(f"http://127.0.0.1:{http}", dicom, [])
        finally:
            process.kill()


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return the first true value of a condition."""
    until, latest = time.monotonic() + SECONDS, None
    while time.monotonic() < until:
        try:
            if latest := condition():
                return latest
        except OSError as error:  # not yet listening
            latest = error
        time.sleep(0.1)
    pytest.fail(f"nothing came in time; at last {latest!r}")


def reports_of_study(orthanc: Orthanc) -> list[Dataset]:
    """Return the structured reports of the study that QIDO-RS finds."""
    instances = json.loads(orthanc.ask(f"/dicom-web/studies/{STUDY}/instances?Modality=SR") or b"[]")
    return [stored(orthanc, item["00080018"]["Value"][0]) for item in instances]


def stored(orthanc: Orthanc, uid: str) -> Dataset:
    """Return an instance of the archive."""
    (instance,) = json.loads(orthanc.ask("/tools/lookup", uid.encode()))
    return dcmread(BytesIO(orthanc.ask(f"/instances/{instance['ID']}/file")))


def comments(item: Dataset) -> dict[str, str]:
    """Return the answer in words of each clip, by the SOP Instance UID that its group refers to."""
    children = item.get("ContentSequence", [])
    words = [str(each.TextValue) for each in children if name_of(each) == "Comment"]
    images = [str(each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for each in children if is_image(each)]
    sentences = dict(zip(images, words, strict=True)) if words else {}
    for each in children:
        sentences |= comments(each)
    return sentences


def name_of(item: Dataset) -> str:
    """Return the name of a content item."""
    return str((item.get("ConceptNameCodeSequence") or [Dataset()])[0].get("CodeMeaning", ""))


def is_image(item: Dataset) -> bool:
    """Return whether a content item refers to an image."""
    return str(item.ValueType) == "IMAGE"


def clips_of_study(folder: Path) -> list[Path]:
    """Write a clip of a pattern that the model knows, a thyroid and a damaged clip, as a modality would send them."""
    left, top, right, bottom = BOX
    width, height = right - left + 1, bottom - top + 1
    pixels, draw = np.arange(width) * 16 // width, np.random.default_rng(2)
    frames = np.zeros((3, ROWS, COLUMNS, 3), np.uint8)
    for frame in frames:
        square = picture(2, draw)[np.ix_(pixels, pixels)]
        cut = (width - height) // 2
        frame[top : bottom + 1, left : right + 1] = square[cut : cut + height, :, None]
    good = write(folder / "good.dcm", frames, **IDENTITY, SOPInstanceUID=GOOD)
    foreign = make_clip(folder, 2, BodyPartExamined="THYROID", ProtocolName="THYROID", StudyDescription="THYROID")
    header = dataset(speckle_frames(2), JPEGBaseline8Bit, **IDENTITY, SOPInstanceUID=DAMAGED)
    header.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"] * 2)
    header["PixelData"].is_undefined_length = True
    damaged = folder / "damaged.dcm"
    damaged.write_bytes(encoded(header))
    return [good, foreign, damaged]


@dataclass(frozen=True)
class Seen:
    """What a user sees: the reports in the archive, the answers and pages of the service."""

    reports: list[Dataset]
    answers: dict[str, dict[str, Any]]
    shown: str


def example_settings(folder: Path, model: Path, port: int, archive: int) -> ServiceSettings:
    """Return the settings of the example, of this machine, with the model and the token in the current folder."""
    (folder / "models").mkdir()
    (folder / "models" / "views-2026").symlink_to(model)
    write_text(folder / "token", f"{TOKEN}\n", mode=0o600)
    overrides = [
        "dicom.bind=127.0.0.1", f"dicom.port={port}", "web.bind=127.0.0.1", "web.port=0", "quiet_seconds=1",
        f"destination.address=dicom://ORTHANC@127.0.0.1:{archive}", "limits.free_bytes=0", "workers=0",
    ]  # fmt: skip
    return ServiceSettings.load(EXAMPLE / "service.yaml", overrides)


def send_and_look(orthanc: Orthanc, files: list[Path], page: str) -> Seen:
    """Send the clips to Orthanc, and wait until all of them are in reports."""

    def read(path: str) -> str:
        request = Request(f"{page}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=SECONDS) as response:
            return str(response.read().decode())

    def complete_reports() -> list[Dataset]:
        reports = reports_of_study(orthanc)
        return reports if len({uid for each in reports for uid in comments(each)}) == len(files) else []

    wait_for(lambda: orthanc.ask("/system"))
    called = ["-aet", "SCANNER", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port)]
    for path, way in zip(files, ([], [], ["-xy"]), strict=True):  # -xy proposes JPEG
        subprocess.run(["storescu", *way, *called, str(path)], check=True, capture_output=True)
    reports = wait_for(complete_reports)
    wait_for(lambda: f'heart2heart_reports{{state="stored"}} {len(reports)}' in read("metrics"))
    clips = {uid: json.loads(read(f"clips/{uid}")) for uid in (GOOD, FOREIGN, DAMAGED)}
    (study,) = {clip["study"] for clip in clips.values()}
    shown = "".join(map(read, ("", "metrics", f"studies/{study}")))
    return Seen(reports, {uid: clip["answer"] for uid, clip in clips.items()}, shown)


def test_serve_answers_what_orthanc_routes_and_its_report_is_found_by_qido(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    port, files = free_port(), clips_of_study(tmp_path)
    sessions: list[Future[Seen]] = []
    main_thread = threading.get_ident()
    with running_orthanc(tmp_path, port) as orthanc, ThreadPoolExecutor(1) as user:
        settings = example_settings(tmp_path, model, port, orthanc.dicom_port)

        def start_user(*, web: str, dicom: str | None) -> None:
            sessions.append(user.submit(send_and_look, orthanc, files, web))
            sessions[0].add_done_callback(lambda _: signal.pthread_kill(main_thread, signal.SIGTERM))

        summary = serve(settings, ready=start_user)
        seen = sessions[0].result()
        originals = [stored(orthanc, uid) for uid in (GOOD, FOREIGN, DAMAGED)]
    assert (summary.answered, summary.waiting, summary.due) == (3, 0, 0)
    assert summary.reports == len(seen.reports)
    assert {(report.StudyInstanceUID, report.PatientID) for report in seen.reports} == {(STUDY, PATIENT_ID)}
    sentences = {uid: words for report in seen.reports for uid, words in comments(report).items()}
    assert sentences == {uid: answer["sentence"] for uid, answer in seen.answers.items()}
    assert {uid: answer["status"] for uid, answer in seen.answers.items()} == {
        GOOD: "answered", FOREIGN: "not_answered", DAMAGED: "failed"
    }  # fmt: skip
    assert sentences[FOREIGN] == "not answered: the file names another organ"
    assert sentences[DAMAGED].startswith("failed: failed:")
    assert originals == [dcmread(path) for path in files]
    log = capsys.readouterr().err
    assert '"event": "started"' in log
    for words in (seen.shown, log):
        assert not any(secret in words for secret in ("Doehringer", PATIENT_ID, STUDY))


def test_report_sender_stores_no_report_again_after_a_crash_before_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_orthanc(tmp_path, free_port()) as orthanc:
        wait_for(lambda: orthanc.ask("/system"))
        destination = {"address": f"dicom://ORTHANC@127.0.0.1:{orthanc.dicom_port}"}
        settings = settings_of(tmp_path / "service", destination=destination)

        def crash(*_: object) -> list[str]:
            raise KeyboardInterrupt

        with open_service(settings) as service:
            service.spool.store("1.2.1", make_clip(tmp_path, 1).read_bytes())
            service.intake.scan()
            service._answerer.answer_batch()
            service._writer.clean()
            service._writer.make_reports(0)
            assert service._sender is not None
            monkeypatch.setattr(service.queue, "settle", crash)
            with pytest.raises(KeyboardInterrupt):
                service._sender.send_due()
        (first,) = reports_of_study(orthanc)
        before = orthanc.ask("/changes?limit=1000")
        with open_service(settings) as service:
            assert service._sender is not None
            assert len(service._sender.send_due()) == 1
            assert service.queue.counts() == {"reports_present": 1}
            assert list(service.queue.report_files().values()) == [ReportState.STORED]
        assert reports_of_study(orthanc) == [first]
        assert orthanc.ask("/changes?limit=1000") == before  # the archive got nothing
