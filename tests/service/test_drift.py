"""The drift test of the service: weeks enter the journal by themselves, and an alarm is on the page and in metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.monitor import read_journal
from heart2heart.schema.service import ClipMeasures, ServiceReference
from heart2heart.service.drift import DriftWatch, Week, clip_of_each_patient, journal_path, measure_statistics
from heart2heart.service.monitoring import make_reference
from heart2heart.service.page import service_page
from heart2heart.service.queue import AnsweredRow
from heart2heart.service.running import Service
from tests.prediction.samples import answer
from tests.service.support import CLASSES, open_service, settings_of

PATIENTS = 60
START = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
"""A Wednesday."""
WEEK_SECONDS = 7 * 86_400.0


def measure(draw: np.random.Generator, *, less_sure: float = 0.0) -> ClipMeasures:
    return ClipMeasures(
        gray=tuple(draw.dirichlet(np.ones(16))), sector=float(draw.uniform(0.3, 0.5)), frames=30,
        confidence=float(draw.uniform(0.7, 1) - less_sure), entropy=float(draw.uniform(0, 0.3) + less_sure),
        predicted=CLASSES[int(draw.integers(2))], quality=float(draw.uniform(0.4, 0.9)),
    )  # fmt: skip


def reference_of(patients: int = PATIENTS) -> ServiceReference:
    draw = np.random.default_rng(0)
    clips = [measure(draw) for _ in range(2 * patients)]
    names = [f"p{index // 2}" for index in range(2 * patients)]
    names_of_clips = [f"c{index}" for index in range(2 * patients)]
    return make_reference(clips, weights_sha256="1" * 64, classes=CLASSES, patients=names, clips=names_of_clips)


@contextmanager
def watched(folder: Path, reference: ServiceReference) -> Iterator[tuple[Service, DriftWatch]]:
    with open_service(settings_of(folder / "service"), reference=reference) as service:
        assert service.watch is not None
        yield service, service.watch


def answer_clips(
    service: Service, monkeypatch: pytest.MonkeyPatch, at: float, patients: list[str], *, less_sure: float = 0.0
) -> None:
    """Record one answered clip of each patient at a time."""
    draw = np.random.default_rng([int(at), len(patients)])
    names = [f"{int(at)}-{index}" for index in range(len(patients))]
    monkeypatch.setattr("heart2heart.service.queue.time.time", lambda: at)
    service.queue.add(dict.fromkeys(names, at))
    measures = [measure(draw, less_sure=less_sure) for _ in patients]
    service.queue.record(
        [
            AnsweredRow(name, "0" * 64, "s", patient, {"one": answer(name)}, each, needs_report=False)
            for name, patient, each in zip(names, patients, measures, strict=True)
        ]
    )


def test_work_raises_an_alarm_after_a_change_and_none_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, dict[str, object]]] = []
    with watched(tmp_path, reference_of()) as (service, watch):
        assert service.drift() is None
        watch.work(START, lambda event, **facts: lines.append((event, facts)))
        for week in range(8):
            at = START + 3600 + week * WEEK_SECONDS
            patients = [f"{week}-{index}" for index in range(20)]
            answer_clips(service, monkeypatch, at, patients, less_sure=0.3 if week >= 5 else 0.0)
            watch.work(at + WEEK_SECONDS, lambda event, **facts: lines.append((event, facts)))
        state = service.drift()
        assert state is not None
        assert state.journal.weeks() == [f"2026-W{week}" for week in range(48, 54)] + ["2027-W01", "2027-W02"]
        (alarm,) = state.alarms
        assert alarm.kind == "confidence"
        assert alarm.alarm in ("2026-W53", "2027-W01", "2027-W02")
        assert lines == [("drift alarm", {"test": "confidence", "week": alarm.alarm})]
        assert service.queue.counts() == {"drift_alarms": 1}
        page, metrics = service_page(service.queue, [], state), service.metrics.text()
    assert f"Alarm: confidence since {alarm.alarm}" in page
    assert 'role="alert"' in page
    assert 'heart2heart_drift_alarm{test="confidence"} 1' in metrics
    assert 'heart2heart_drift_alarm{test="pictures"} 0' in metrics
    assert 'heart2heart_drift_threshold{test="confidence"} 60' in metrics


def test_update_takes_each_patient_once_and_no_week_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(tmp_path, reference_of()) as (service, watch):
        answer_clips(service, monkeypatch, START - 60, ["before"])
        assert watch.update(START) == 0
        answer_clips(service, monkeypatch, START + 60, ["before", "a", "a", "b"])
        assert watch.update(START + 3600) == 0  # the week has not ended
        answer_clips(service, monkeypatch, START + WEEK_SECONDS, ["a", "c"])
        assert watch.update(START + 3 * WEEK_SECONDS) == 2
        assert watch.update(START + 3 * WEEK_SECONDS) == 0
        records = read_journal(watch.path).records
    assert [(record.week, record.patients) for record in records] == [("2026-W48", 2), ("2026-W49", 1)]
    assert all(len(values) == 1 for values in records[1].statistics.values())


def test_work_logs_a_damaged_journal_and_goes_on(tmp_path: Path) -> None:
    lines: list[str] = []
    with watched(tmp_path, reference_of()) as (service, watch):
        watch.work(START, lambda event, **facts: lines.append(event))
        content = watch.path.read_bytes()
        watch.path.write_bytes(content.replace(b'"patients": 60', b'"patients": 61'))
        watch.work(START + WEEK_SECONDS, lambda event, **facts: lines.append(event))
        assert lines == ["drift test failed"]
        assert service.drift() is None
        assert service.queue.counts() == {"drift_test_failures": 1}
        with pytest.raises(EvaluationError, match="changed"):
            watch.state()
        assert "heart2heart_drift_alarm" in service.metrics.text()


def test_update_starts_nothing_with_few_patients(tmp_path: Path) -> None:
    with watched(tmp_path, reference_of(19)) as (service, watch):
        assert (watch.is_possible, watch.update(START), watch.path.exists()) == (False, 0, False)
        assert "too few patients" in service_page(service.queue, [], service.drift())


def test_journal_path_changes_with_the_reference_and_the_test(tmp_path: Path) -> None:
    one, other = reference_of(30), reference_of(31)
    monitor = settings_of(tmp_path).monitor
    paths = {
        journal_path(tmp_path, one, monitor),
        journal_path(tmp_path, other, monitor),
        journal_path(tmp_path, one, monitor.model_copy(update={"least_accuracy": 0.8})),
        journal_path(tmp_path, one, monitor.model_copy(update={"window": 60, "audit_clips": 9})),  # not of the test
    }
    assert len(paths) == 3


def test_measure_statistics_leave_out_what_a_clip_has_not() -> None:
    draw = np.random.default_rng(3)
    clips = [measure(draw), measure(draw).model_copy(update={"confidence": None, "predicted": None})]
    statistics = measure_statistics(clips, CLASSES)
    assert statistics["confidence"] == (round(float(clips[0].confidence or 0), 6),)
    assert statistics["share:not answered"] == (0.0, 1.0)
    assert sum(statistics["share:A4C"] + statistics["share:PLAX"]) == 1.0
    assert statistics["picture:sector"] == tuple(sorted(round(each.sector, 6) for each in clips))


def test_clip_of_each_patient_is_any_of_its_clips_whatever_their_order() -> None:
    patients = [f"p{index % 50}" for index in range(200)]
    clips = [f"c{index}" for index in range(200)]
    chosen = clip_of_each_patient(patients, clips)
    assert len({patients[index] for index in chosen}) == len(chosen) == 50
    backwards = clip_of_each_patient(patients[::-1], clips[::-1])
    assert [199 - index for index in backwards] == chosen
    assert {index // 50 for index in chosen} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("day", "week"), [("2026-12-31", "2026-W53"), ("2027-01-03", "2026-W53"), ("2027-01-04", "2027-W01")]
)
def test_week_of_a_time_is_that_of_iso_8601(day: str, week: str) -> None:
    iso_week = Week.of(datetime.fromisoformat(f"{day}T23:59:59+00:00").timestamp())
    assert iso_week.name == week
    assert iso_week.end - iso_week.begin == WEEK_SECONDS
    assert datetime.fromtimestamp(iso_week.begin, UTC).isoweekday() == 1


def test_service_settings_keep_clips_as_long_as_the_test_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keep_days must be at least 14"):
        settings_of(tmp_path, monitor={"reference": "reference.json"}, limits={"keep_days": 7})
