"""Watches a hospital over weeks: the journal, its weeks and audits, and the page with the run chart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.cases import read_audit_labels, read_cases
from heart2heart.errors import ConfigError, EvaluationError

if TYPE_CHECKING:
    from heart2heart.evaluation.cases import Cases
    from heart2heart.evaluation.classification import Floats
    from heart2heart.evaluation.drift import MonitorState
    from heart2heart.schema.monitor import MonitorJournal, MonitorWeek

PICTURES = ("black", "median", "bright", "depth_1", "depth_4", "speckle_lateral")
"""Measures of the pictures that a monitor with a store watches; see `heart2heart.store.appearance`."""


def start_monitor(
    journal: str | Path,
    predictions: str | Path,
    *,
    site: str | None = None,
    method: str | None = None,
    store: str | Path | None = None,
    least_accuracy: float | None = None,
    false_alarms: float = 0.05,
    weeks: int = 52,
    seed: int = 0,
) -> MonitorState:
    """Start to watch a hospital: write a journal with the reference that later weeks are compared with.

    Args:
        journal: File to write, such as `monitor.jsonl`; an existing one stays as it is.
        predictions: Predictions of the reference: clips of at least 20 patients, from when the model was validated.
        site: Hospital; needed if the predictions hold several, or a table names none.
        method: Method of the predictions; needed if they hold several.
        store: Store with the clips, to watch their pictures too.
        least_accuracy: Accuracy, as a mean over patients, below which audited clips raise the alarm.
        false_alarms: Largest probability of any alarm while nothing changes.
        weeks: Weeks among whose starts a change is looked for.
        seed: Seed of the order within a week.

    Raises:
        ExistsError: the journal exists.
        ConfigError: an impossible setting.
        EvaluationError: too few patients, or predictions without patients.

    Examples:
        >>> from heart2heart.api import start_monitor
        >>> header = "case,patient,site,A4C,PLAX"
        >>> rows = [f"c{i},p{i},E,{0.6 + i / 100},{0.4 - i / 100}" for i in range(30)]
        >>> _ = Path("reference.csv").write_text(chr(10).join([header, *rows]))
        >>> start_monitor("watch.jsonl", "reference.csv").journal.start.patients
        30
    """
    import heart2heart
    from heart2heart.evaluation.drift import FEWEST_REFERENCE_PATIENTS, assess_journal, patient_statistics
    from heart2heart.schema.monitor import MonitorSettings, MonitorStart, read_journal, start_journal

    cases = _one_site(read_cases(predictions, site=site))
    run_set = cases.run_set(method)
    content = {
        "site": cases.sites[0],
        "method": run_set.label,
        "classes": cases.classes,
        "false_alarms": false_alarms,
        "weeks": weeks,
        "least_accuracy": least_accuracy,
        "seed": seed,
    }
    settings = MonitorSettings.parse(content, where="heart2heart monitor start")
    pictures = None if store is None else measure_pictures(store, cases)
    statistics = patient_statistics(cases, cases.probabilities(run_set), pictures)
    patients = int(cases.patient.max()) + 1
    if patients < FEWEST_REFERENCE_PATIENTS:
        what = f"the reference has {patients} patients; {FEWEST_REFERENCE_PATIENTS} are needed"
        raise EvaluationError(what, where=predictions, remedy="Predict more clips of the hospital")
    start = MonitorStart(
        code_version=heart2heart.__version__,
        created=_now(),
        settings=settings,
        predictions_sha256=_digest(predictions),
        patients=patients,
        statistics={name: tuple(values.tolist()) for name, values in statistics.items()},
    )
    start_journal(Path(journal), start)
    return assess_journal(read_journal(Path(journal)))


def add_week(
    journal: str | Path,
    predictions: str | Path,
    week: str,
    *,
    labels: str | Path | None = None,
    store: str | Path | None = None,
) -> MonitorState:
    """Add the clips of one week to a journal, and test for drift.

    Args:
        journal: The journal.
        predictions: Predictions of the week's clips.
        week: ISO week, such as `2026-W48`.
        labels: Labels of audited clips; see `read_audit_labels`. They can follow later by `add_audit`.
        store: Store with the clips, if the reference had one.

    Raises:
        ExistsError: the week or the predictions were added before.
        ConfigError: no ISO week, an earlier one than the last, or other statistics than the reference.
        EvaluationError: other classes, or a damaged journal.

    Examples:
        >>> from heart2heart.api import add_week, start_monitor
        >>> header = "case,patient,site,A4C,PLAX"
        >>> for name, least in (("old", 0.6), ("new", 0.5)):
        ...     rows = [f"c{i},p{i},E,{least + i / 100},{1 - least - i / 100}" for i in range(30)]
        ...     _ = Path(f"{name}.csv").write_text(chr(10).join([header, *rows]))
        >>> _ = start_monitor("weeks.jsonl", "old.csv")
        >>> add_week("weeks.jsonl", "new.csv", "2026-W48").journal.weeks()
        ['2026-W48']
    """
    from heart2heart.evaluation.drift import patient_accuracy, patient_statistics

    opened, cases, probabilities = _week_cases(journal, predictions)
    pictures = None if store is None else measure_pictures(store, cases)
    statistics = patient_statistics(cases, probabilities, pictures)
    if "quality" not in opened.start.statistics:
        statistics.pop("quality", None)
    elif "quality" not in statistics:
        statistics["quality"] = probabilities[:0, 0]
    labeled = cases.with_labels(read_audit_labels(labels)) if labels is not None else cases
    content = {
        "kind": "week",
        "week": week,
        "added": _now(),
        "predictions_sha256": _digest(predictions),
        "patients": int(cases.patient.max()) + 1,
        "statistics": {name: tuple(values.tolist()) for name, values in statistics.items()},
        "accuracy": tuple(patient_accuracy(labeled, probabilities).tolist()),
    }
    return _append(journal, content)


def add_audit(journal: str | Path, predictions: str | Path, week: str, labels: str | Path) -> MonitorState:
    """Add the labels of audited clips of a week that was added before.

    Args:
        journal: The journal.
        predictions: Predictions of the week's clips.
        week: ISO week.
        labels: Labels of the audited clips; see `read_audit_labels`.

    Raises:
        ExistsError: the week was audited before.
        ConfigError: the week was not added.
        EvaluationError: no audited clip has a label that is a class.

    Examples:
        >>> from heart2heart.api import add_audit, add_week, start_monitor
        >>> header = "case,patient,site,A4C,PLAX"
        >>> for name, least in (("before", 0.6), ("after", 0.5)):
        ...     rows = [f"c{i},p{i},E,{least + i / 100},{1 - least - i / 100}" for i in range(30)]
        ...     _ = Path(f"{name}.csv").write_text(chr(10).join([header, *rows]))
        >>> _ = Path("read.csv").write_text("clip,truth" + chr(10) + "c1,A4C")
        >>> _ = start_monitor("audits.jsonl", "before.csv", least_accuracy=0.8)
        >>> _ = add_week("audits.jsonl", "after.csv", "2026-W48")
        >>> add_audit("audits.jsonl", "after.csv", "2026-W48", "read.csv").tests[-1].points["accuracy"][0].mean
        1.0
    """
    from heart2heart.evaluation.drift import patient_accuracy

    _, cases, probabilities = _week_cases(journal, predictions)
    accuracy = patient_accuracy(cases.with_labels(read_audit_labels(labels)), probabilities)
    if not len(accuracy):
        remedy = "Label clips of this week with views of the model"
        raise EvaluationError("no audited clip has a class of the model", where=labels, remedy=remedy)
    content = {
        "kind": "audit",
        "week": week,
        "added": _now(),
        "predictions_sha256": _digest(predictions),
        "patients": len(accuracy),
        "accuracy": tuple(accuracy.tolist()),
    }
    return _append(journal, content)


def show_monitor(journal: str | Path, page: str | Path | None = None) -> MonitorState:
    """Recompute every test of a journal, and write the page with the run chart.

    Args:
        journal: The journal.
        page: HTML file to write; None writes none.

    Raises:
        MissingInputError: no such file.
        EvaluationError: a damaged or changed journal.

    Examples:
        >>> from heart2heart.api import show_monitor, start_monitor
        >>> rows = [f"c{i},p{i},E,{0.6 + i / 100},{0.4 - i / 100}" for i in range(30)]
        >>> _ = Path("first.csv").write_text(chr(10).join(["case,patient,site,A4C,PLAX", *rows]))
        >>> _ = start_monitor("shown.jsonl", "first.csv")
        >>> show_monitor("shown.jsonl", "monitor.html").alarms
        []
    """
    from heart2heart.evaluation.drift import assess_journal
    from heart2heart.schema.monitor import read_journal

    state = assess_journal(read_journal(Path(journal)))
    if page is not None:
        from heart2heart.reporting.monitor_page import write_monitor_page

        write_monitor_page(state, Path(page))
    return state


def measure_pictures(store: str | Path, cases: Cases) -> dict[str, Floats]:
    """Measure the look of each clip in a store: gray levels, depth profile and speckle.

    Args:
        store: The store.
        cases: Cases whose names are clips of the store.

    Returns:
        Values `(n,)` by the names of `PICTURES`; NaN where the store lacks the clip, or it shows no sector.

    Raises:
        EvaluationError: the store has none of the clips.

    Examples:
        >>> from heart2heart.api import read_cases
        >>> from heart2heart.api.monitoring import measure_pictures
        >>> sorted(measure_pictures("store", read_cases("evaluation", site="B")))[:3]
        ['black', 'bright', 'depth_1']
    """
    import numpy as np

    from heart2heart.store.appearance import measure_appearance
    from heart2heart.store.frame_store import FrameStores

    opened = FrameStores.open(store)
    frames = opened.frames.select(["clip", "row"]).to_pydict()
    rows: dict[str, list[int]] = {}
    for clip, row in zip(frames["clip"], frames["row"], strict=True):
        rows.setdefault(clip, []).append(row)
    values = np.full((len(cases), len(PICTURES)), np.nan)
    for index, name in enumerate(cases.case.tolist()):
        if name in rows:
            measured = measure_appearance(opened.read(np.array(sorted(rows[name]), np.int64)))
            if measured is not None:
                values[index] = [measured.values()[feature] for feature in PICTURES]
    if not any(name in rows for name in cases.case.tolist()):
        remedy = "Name the store that the predictions were made from"
        raise EvaluationError("the store has none of these clips", where=store, remedy=remedy)
    return {feature: values[:, column] for column, feature in enumerate(PICTURES)}


def _week_cases(journal: str | Path, predictions: str | Path) -> tuple[MonitorJournal, Cases, Floats]:
    """Return a journal, the clips of a week, and their probabilities."""
    from heart2heart.schema.monitor import read_journal

    opened = read_journal(Path(journal))
    settings = opened.start.settings
    cases = read_cases(predictions, site=settings.site)
    if cases.classes != settings.classes:
        remedy = f"Predict the week with the model of the reference: {', '.join(settings.classes)}"
        raise EvaluationError("the predictions have other classes", where=predictions, remedy=remedy)
    run_set = cases.run_set(settings.method if len(cases.run_sets) > 1 else None)
    return opened, cases, cases.probabilities(run_set)


def _append(journal: str | Path, content: dict[str, object]) -> MonitorState:
    from heart2heart.evaluation.drift import assess_journal
    from heart2heart.schema.monitor import MonitorWeek, append_record

    record: MonitorWeek = MonitorWeek.parse(content, where=str(content["week"]))
    return assess_journal(append_record(Path(journal), record))


def _one_site(cases: Cases) -> Cases:
    if len(cases.sites) > 1:
        remedy = f"Name one with --site: {', '.join(cases.sites)}"
        raise ConfigError("the predictions hold several hospitals", where="site", remedy=remedy)
    return cases


def _digest(predictions: str | Path) -> str:
    from heart2heart.utils import sha256_file

    file = Path(predictions)
    return sha256_file(file / "predictions.parquet" if file.is_dir() else file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
