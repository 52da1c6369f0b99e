"""Metrics of the service in the text format of Prometheus, version 0.0.4. No label holds an identifier."""

from __future__ import annotations

import shutil
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from heart2heart.evaluation.drift import MonitorState
from heart2heart.schema.service import ClipState, ReportState
from heart2heart.service.monitoring import InputShift, weekly_agreement
from heart2heart.service.queue import ServiceQueue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_HELP = {
    "clips": ("gauge", "Clips by state"),
    "answers": ("gauge", "Answers of the active model that are kept, by status"),
    "reports": ("gauge", "Reports by state"),
    "events_total": ("counter", "Events since the folder was made"),
    "answer_seconds": ("histogram", "Time from the arrival of a clip to its answer, since the start"),
    "free_bytes": ("gauge", "Free space of the disk"),
    "takes_clips": ("gauge", "Whether the service takes a further clip"),
    "agreement": ("gauge", "Share of clips to which a silent model gives the view of the active one, last week"),
    "input_shift": ("gauge", "Population stability index of the last clips against the reference"),
    "drift_capital": ("gauge", "Capital of each drift test at the end of the last week"),
    "drift_threshold": ("gauge", "Capital that raises the alarm"),
    "drift_alarm": ("gauge", "Whether a drift test has raised the alarm, this week or before"),
}


class LatencyHistogram:
    """Times from arrival to answer."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum, self._lock = 0.0, threading.Lock()

    def add(self, seconds: Iterable[float]) -> None:
        """Add some times."""
        with self._lock:
            for value in seconds:
                self._counts[bisect_left(_SECONDS, value)] += 1
                self._sum += value

    def lines(self, name: str) -> list[str]:
        """Return the lines of the metric."""
        with self._lock:
            lines, total = [], 0
            for index, bound in enumerate(_SECONDS):
                total += self._counts[index]
                lines.append(f'{name}_bucket{{le="{bound:g}"}} {total}')
            total += self._counts[len(_SECONDS)]
            return [
                *lines,
                f'{name}_bucket{{le="+Inf"}} {total}',
                f"{name}_sum {self._sum:.6f}",
                f"{name}_count {total}",
            ]


class ServiceMetrics:
    """Computes the metrics from the queue.

    Args:
        queue: The queue.
        folder: Folder of the service.
        latency: Times from arrival to answer.
        has_room: Whether the service takes a further clip.
        shifts: The measures of the last clips beside the reference.
        drift: What the journal of the drift test shows; None: there is no test.
    """

    def __init__(
        self,
        queue: ServiceQueue,
        folder: Path,
        latency: LatencyHistogram,
        has_room: Callable[[], bool],
        shifts: Callable[[], list[InputShift]],
        drift: Callable[[], MonitorState | None],
    ) -> None:
        self._queue, self._folder, self._latency = queue, folder, latency
        self._has_room, self._shifts, self._drift = has_room, shifts, drift

    def text(self) -> str:
        """Return all metrics."""
        rows = self._queue.rows
        states = dict.fromkeys(map(str, ClipState), 0) | dict(rows("SELECT state, count(*) FROM clips GROUP BY state"))
        reports = dict.fromkeys(map(str, ReportState), 0) | dict(rows("SELECT state, count(*) FROM reports GROUP BY 1"))
        statuses = dict(rows("SELECT status, count(*) FROM clips WHERE status IS NOT NULL GROUP BY status"))
        agreement = {
            each.model: each.same / each.clips for each in weekly_agreement(self._queue)
        }  # the last week counts
        parts = [
            _metric("clips", "state", states),
            _metric("answers", "status", statuses),
            _metric("reports", "state", reports),
            _metric("events_total", "event", self._queue.counts()),
            _head("answer_seconds") + self._latency.lines("heart2heart_answer_seconds"),
            [*_head("free_bytes"), f"heart2heart_free_bytes {shutil.disk_usage(self._folder).free}"],
            [*_head("takes_clips"), f"heart2heart_takes_clips {int(self._has_room())}"],
            _metric("agreement", "model", agreement),
            _metric("input_shift", "measure", {each.name: each.shift for each in self._shifts()}),
            *_drift_metrics(self._drift()),
        ]
        return "\n".join(line for part in parts for line in part) + "\n"


def _drift_metrics(state: MonitorState | None) -> list[list[str]]:
    tests = () if state is None else state.tests
    return [
        _metric("drift_capital", "test", {test.kind: test.capital[-1] for test in tests if test.capital}),
        _metric("drift_threshold", "test", {test.kind: test.threshold for test in tests}),
        _metric("drift_alarm", "test", {test.kind: int(test.alarm is not None) for test in tests}),
    ]


def _head(name: str) -> list[str]:
    kind, words = _HELP[name]
    return [f"# HELP heart2heart_{name} {words}", f"# TYPE heart2heart_{name} {kind}"]


def _metric(name: str, label: str, values: Mapping[str, float]) -> list[str]:
    return _head(name) + [f'heart2heart_{name}{{{label}="{key}"}} {value:.6g}' for key, value in sorted(values.items())]
