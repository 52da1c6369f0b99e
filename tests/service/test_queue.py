"""Kill -9 at every step of the queue: no clip is lost, none is answered twice, none is reported twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from heart2heart.errors import ConfigError, StoreError
from heart2heart.pacs.destination import SendOutcome, UnreachableError
from heart2heart.schema.service import ClipState, ReportState
from heart2heart.service import reports
from heart2heart.service.queue import DATABASE, ServiceQueue
from heart2heart.service.running import REPORTS, SPOOL, Service
from tests.service.support import FixedModel, make_clip, open_service, settings_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STUDIES, CLIPS = 2, 3
DESTINATION = {"address": "dicom://PACS@127.0.0.1:1"}


class Archive:
    """A destination that notes in a file what it gets, so that it outlives a killed process."""

    def __init__(self, log: Path, *, down: bool = False) -> None:
        self.log, self.down = log, down

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, settings: object) -> Archive:
        return self

    def send(self, path: Path) -> SendOutcome:
        """Note the UID and the referenced clips of a report."""
        if self.down:
            raise UnreachableError("down")
        report = dcmread(path)
        (study,) = report.CurrentRequestedProcedureEvidenceSequence
        clips = [
            item.ReferencedSOPInstanceUID
            for series in study.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        ]
        with self.log.open("a") as handle:
            handle.write(json.dumps([report.SOPInstanceUID, sorted(clips)]) + "\n")
        return SendOutcome.STORED


def deliver(service: Service, folder: Path) -> None:
    """Put the clips into the spool folder as a door does, each under its name, whole."""
    for study in range(1, STUDIES + 1):
        for index in range(CLIPS):
            content = (folder / f"{study}_{index}.dcm").read_bytes()
            service.spool.store(f"1.2.77.{study}.1.{index}", content)


def work(service: Service) -> None:
    """Do every step of the service until nothing is left to do."""
    service._writer.clean()
    service.intake.scan()
    while service._answerer.answer_batch():
        pass
    while service._writer.make_reports(0):
        pass
    assert service._sender is not None
    while finished := service._sender.send_due():
        service.intake.remove(finished)
    service.intake.scan()


def killing(function: Callable[..., Any], call: int, *, before: bool) -> Callable[..., Any]:
    """Return a function that kills its process at the n-th call, before or after the real function."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if before and calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


POINTS: dict[str, tuple[Any, str, int, bool]] = {
    "while clips arrive": ("spool", "store", 4, False),
    "before the first answers": ("queue", "record", 1, True),
    "after the first answers": ("queue", "record", 1, False),
    "before a report is written": (reports, "write_result", 2, True),
    "after a report is written": (reports, "write_result", 2, False),
    "after a report is recorded": ("queue", "add_report", 1, False),
    "after a report is sent": (Archive, "send", 1, False),
    "after a report is settled": ("queue", "settle", 1, False),
    "before files are removed": ("intake", "remove", 1, True),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for study in range(1, STUDIES + 1):
        for index in range(CLIPS):
            make_clip(folder, index, study=study)
    return folder


@pytest.mark.parametrize("point", POINTS)
def test_service_queue_survives_kill_9(
    point: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path / "service", destination=DESTINATION)
    archive = Archive(tmp_path / "sent.jsonl")
    monkeypatch.setattr(reports, "open_destination", archive)
    owner, name, call, before = POINTS[point]
    child = os.fork()
    if child == 0:
        try:
            with open_service(settings) as service:
                target = getattr(service, owner) if isinstance(owner, str) else owner
                setattr(target, name, killing(getattr(target, name), call, before=before))
                deliver(service, clips)
                work(service)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    with open_service(settings) as service:
        deliver(service, clips)  # a sender repeats what was not acknowledged, and perhaps more
        work(service)
        queue = service.queue
        assert set(queue.states().values()) == {ClipState.DONE}
        assert len(queue.states()) == STUDIES * CLIPS
        assert queue.rows("SELECT count(*), count(DISTINCT clip) FROM answers") == [(STUDIES * CLIPS,) * 2]
        assert list(queue.report_files().values()) == [ReportState.STORED] * STUDIES
    assert list((settings.folder / SPOOL).iterdir()) == list((settings.folder / REPORTS).iterdir()) == []
    sent = [json.loads(line) for line in archive.log.read_text().splitlines()]
    assert len({uid for uid, _ in sent}) == STUDIES  # a report that was sent again is the same instance
    expected = [[f"1.2.77.{study}.1.{index}" for index in range(CLIPS)] for study in range(1, STUDIES + 1)]
    assert sorted({tuple(clips) for _, clips in sent}) == [tuple(each) for each in expected]


def test_send_due_waits_longer_each_time_and_loses_nothing(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path / "service", destination=DESTINATION | {"first_wait": 8})
    archive = Archive(tmp_path / "sent.jsonl", down=True)
    monkeypatch.setattr(reports, "open_destination", archive)
    now = 1_800_000_000.0
    monkeypatch.setattr("heart2heart.service.queue.time.time", lambda: now)
    with open_service(settings) as service:
        deliver(service, clips)
        service.intake.scan()
        service._answerer.answer_batch()
        service._writer.make_reports(0)
        service.queue.postpone(2, 10**6)
        assert service._sender is not None
        waits = []
        for _ in range(7):
            service._sender.send_due()
            (due,) = service.queue.rows("SELECT due FROM reports WHERE number = 1")[0]
            waits.append(due - now)
            now = due
        assert waits == [8, 16, 32, 64, 128, 256, 300]
        assert 'heart2heart_events_total{event="destination_failures"} 7' in service.metrics.text()
        archive.down, now = False, now + 10**7
        assert len(service._sender.send_due()) == STUDIES * CLIPS
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["wait_seconds"] for line in lines if line["event"] == "destination down"] == waits
    assert "1.2.77" not in json.dumps(lines)


def test_make_reports_waits_for_clips_that_came_while_others_were_answered(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 2_000_000_000.0
    monkeypatch.setattr("heart2heart.service.intake.time.time", lambda: now)
    with open_service(settings_of(tmp_path / "service", destination=DESTINATION)) as service:

        def arrive(index: int, at: float) -> None:
            content = (clips / f"1_{index}.dcm").read_bytes()
            service.spool.store(uid := f"1.2.77.1.1.{index}", content)
            os.utime(service.spool.path(uid), (at, at))

        arrive(0, now)
        service.intake.scan()
        service._answerer.answer_batch()
        arrive(1, now + 5)  # within the quiet time of 10 s, but not yet seen by a scan
        now += 100
        assert service._writer.make_reports(10) == 0
        service.intake.scan()
        assert service._writer.make_reports(10) == 0  # it waits for its answer
        service._answerer.answer_batch()
        assert service._writer.make_reports(10) == 1
        arrive(2, now)  # after the report: a report of its own
        service.intake.scan()
        service._answerer.answer_batch()
        now += 10
        service.intake.scan()
        assert service._writer.make_reports(10) == 1
        assert service.queue.rows("SELECT count(*) FROM clips GROUP BY report ORDER BY 1") == [(1,), (2,)]


def test_open_refuses_other_layouts_damaged_files_and_a_name_of_another_model(clips: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "service")
    with open_service(settings) as service:
        deliver(service, clips)
        service.intake.scan()
        service._answerer.answer_batch()
    with pytest.raises(ConfigError, match="another model had this name"), open_service(settings, [FixedModel(view=0)]):
        pass
    with ServiceQueue.open(settings.folder, "one") as queue:
        queue.rows("PRAGMA user_version=9")
    with pytest.raises(StoreError, match="has layout 9"), open_service(settings):
        pass
    for path in settings.folder.glob(f"{DATABASE}*"):
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="damaged"), open_service(settings):
        pass
