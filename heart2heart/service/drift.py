"""The drift test of the service: every closed week of its clips is added to a journal of `heart2heart monitor`.

A patient counts once, in the first week of those whose answers are kept, by one clip that is chosen by chance. A mean
over the patient's clips would differ from the reference where only the number of clips of a patient does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from heart2heart import __version__
from heart2heart.errors import Heart2HeartError
from heart2heart.evaluation.drift import FEWEST_REFERENCE_PATIENTS, MonitorState, assess_journal
from heart2heart.schema.monitor import (
    MonitorJournal,
    MonitorSettings,
    MonitorStart,
    MonitorWeek,
    append_record,
    read_journal,
    start_journal,
)
from heart2heart.schema.service import ClipMeasures, ServiceReference
from heart2heart.service.queue import ServiceQueue
from heart2heart.service.settings import MonitorPart
from heart2heart.utils import sha256_json

NO_VIEW = "not answered"
"""Name of the share of clips without an answer."""


def clip_of_each_patient(patients: Sequence[str], clips: Sequence[str]) -> list[int]:
    """Return the index of one clip of each patient, chosen by the hash of its name, in the order of the patients.

    Args:
        patients: Name of the patient of each clip.
        clips: Name of each clip.

    Examples:
        >>> clip_of_each_patient(["p2", "p1", "p2"], ["a", "b", "c"])
        [1, 2]
    """
    chosen: dict[str, tuple[str, int]] = {}
    for index, (patient, clip) in enumerate(zip(patients, clips, strict=True)):
        candidate = sha256_json(clip), index
        chosen[patient] = min(chosen.get(patient, candidate), candidate)
    return [chosen[patient][1] for patient in sorted(chosen)]


def measure_statistics(measures: Sequence[ClipMeasures], classes: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return each statistic of some clips, sorted.

    Args:
        measures: One clip of each patient; at least one.
        classes: Views of the model.

    Returns:
        `confidence`, `entropy`, `share:VIEW`, `quality` and `picture:NAME`; a clip without a number is left out.

    Examples:
        >>> clip = ClipMeasures(gray=(1.0, *[0.0] * 15), sector=0.4, frames=2, confidence=0.75, predicted="A4C")
        >>> measure_statistics([clip], ["A4C", "PLAX"])["share:PLAX"]
        (0.0,)
    """
    rows: list[dict[str, float | None]] = []
    for each in measures:
        numbers = each.values()
        row: dict[str, float | None] = {"confidence": each.confidence, "entropy": each.entropy}
        row |= {f"share:{name}": float(each.predicted == name) for name in classes}
        row |= {f"share:{NO_VIEW}": float(each.predicted is None), "quality": each.quality}
        pictures = ("gray mean", "gray black", "sector", "frames")
        rows.append(row | {f"picture:{name.replace(' ', '_')}": numbers[name] for name in pictures})
    columns = {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}
    return {name: tuple(sorted(round(value, 6) for value in values)) for name, values in columns.items()}


@dataclass(frozen=True)
class Week:
    """One ISO week.

    Attributes:
        name: Such as `2026-W48`.
        begin: Its begin, seconds since 1970, UTC.
        end: Begin of the next week.
    """

    name: str
    begin: float
    end: float

    @classmethod
    def of(cls, seconds: float) -> Week:
        """Return the week of a time.

        Examples:
            >>> Week.of(0.0).name
            '1970-W01'
        """
        year, number, _ = datetime.fromtimestamp(seconds, UTC).isocalendar()
        monday = date.fromisocalendar(year, number, 1)
        begin = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        return cls(f"{year}-W{number:02d}", begin.timestamp(), (begin + timedelta(days=7)).timestamp())


def journal_path(folder: Path, reference: ServiceReference, settings: MonitorPart) -> Path:
    """Return the journal of a reference and of the settings of the test; others have journals of their own.

    Args:
        folder: Folder of the service.
        reference: The reference.
        settings: Settings of the test.
    """
    test = settings.model_dump(mode="json", include={"site", "false_alarms", "least_accuracy"})
    return folder / f"monitor-{sha256_json([reference.model_dump(mode='json'), test])[:12]}.jsonl"


class DriftWatch:
    """Feeds the journal, and keeps what it shows.

    Args:
        queue: The queue.
        folder: Folder of the service.
        reference: The reference, with statistics by patient.
        settings: Settings of the test.
    """

    def __init__(self, queue: ServiceQueue, folder: Path, reference: ServiceReference, settings: MonitorPart) -> None:
        self._queue, self._reference, self._settings = queue, reference, settings
        self.path = journal_path(folder, reference, settings)
        self._shown: tuple[tuple[int, int], MonitorState] | None = None

    @property
    def is_possible(self) -> bool:
        """Whether the reference has enough patients."""
        return self._reference.patients >= FEWEST_REFERENCE_PATIENTS and bool(self._reference.statistics)

    def update(self, now: float) -> int:
        """Start the journal, or add every week that has ended since its last one; return the number of weeks.

        Args:
            now: Seconds since 1970.

        Raises:
            EvaluationError: the journal is damaged or was changed.
            ExistsError: another program writes it; try again later.
        """
        if not self.is_possible:
            return 0
        if not self.path.exists():
            self._start(now)
        journal, count = read_journal(self.path), 0
        created = datetime.fromisoformat(journal.start.created).timestamp()
        last = max(journal.weeks(), default="")
        week = Week.of(created)
        while week.end <= now:
            record = self._record(week, max(week.begin, created)) if week.name > last else None
            if record is not None:
                append_record(self.path, record)
                count += 1
            week = Week.of(week.end)
        return count

    def work(self, now: float, log: Callable[..., None]) -> None:
        """Add what has ended, and log and count new alarms; an error is logged, and the service goes on.

        Args:
            now: Seconds since 1970.
            log: Writes a line of the log.
        """
        before = self.shown()
        try:
            self.update(now)
        except (Heart2HeartError, OSError) as error:
            log("drift test failed", error=type(error).__name__)
            self._queue.count_event("drift_test_failures")
        after = self.shown()
        known = {test.kind for test in before.alarms} if before is not None else set()
        for test in after.alarms if after is not None else ():
            if test.kind not in known:
                log("drift alarm", test=test.kind, week=test.alarm)
                self._queue.count_event("drift_alarms")

    def shown(self) -> MonitorState | None:
        """Return what `state` does; None for a damaged journal too, which `work` reports."""
        try:
            return self.state()
        except Heart2HeartError:
            return None

    def state(self) -> MonitorState | None:
        """Return what the journal shows; None: there is none yet."""
        if not self.path.exists():
            return None
        status = self.path.stat()
        stamp = status.st_mtime_ns, status.st_size
        if self._shown is None or self._shown[0] != stamp:
            self._shown = stamp, assess_journal(read_journal(self.path))
        return self._shown[1]

    def _start(self, now: float) -> None:
        reference, chosen = self._reference, self._settings
        settings = MonitorSettings(
            site=chosen.site, method=self._queue.active, classes=reference.classes, false_alarms=chosen.false_alarms,
            least_accuracy=chosen.least_accuracy,
        )  # fmt: skip
        start = MonitorStart(
            code_version=__version__,
            created=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            settings=settings,
            predictions_sha256=sha256_json(reference.model_dump(mode="json")),
            patients=reference.patients,
            statistics=reference.statistics,
        )
        start_journal(self.path, start)

    def _record(self, week: Week, begin: float) -> MonitorWeek | None:
        """Return the record of a week; None: no new patient came."""
        sql = (
            "SELECT patient, name, measures FROM clips WHERE measures IS NOT NULL AND patient IS NOT NULL"
            " AND answered >= ? AND answered < ? AND name IN (SELECT clip FROM answers WHERE model = ? AND active)"
            " AND patient NOT IN (SELECT patient FROM clips WHERE answered < ? AND patient IS NOT NULL)"
        )
        rows = self._queue.rows(sql, begin, week.end, self._queue.active, begin)
        if not rows:
            return None
        chosen = clip_of_each_patient([patient for patient, _, _ in rows], [name for _, name, _ in rows])
        measures = [ClipMeasures.model_validate_json(rows[index][2]) for index in chosen]
        statistics = measure_statistics(measures, self._reference.classes)
        content = {
            "kind": "week",
            "week": week.name,
            "added": datetime.now(UTC).isoformat(timespec="seconds"),
            "predictions_sha256": sha256_json([week.name, statistics]),
            "patients": len(chosen),
            "statistics": statistics,
        }
        return MonitorWeek.parse(content, where=week.name)


def unaudited_weeks(journal: MonitorJournal) -> list[str]:
    """Return the weeks of a journal that were not audited yet, in order."""
    audited = set(journal.weeks("audit"))
    return [week for week in journal.weeks() if week not in audited]
