"""Drift of a hospital over weeks: statistics by patient, and a sequential test of each against the reference.

The kinds of statistics share the probability of a false alarm equally, and so do the statistics of one kind. A patient
counts once a week, by the mean over the patient's clips, so clips of one patient are not taken for several patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.betting import capital, confidence_sequence, conformal_ranks, mean_factors, rank_factors
from heart2heart.evaluation.cases import Cases
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.schema.monitor import MonitorJournal, MonitorWeek
from heart2heart.utils import random_stream

FEWEST_REFERENCE_PATIENTS = 20
"""Patients of the reference below which no monitor starts."""

ACCURACY = "accuracy"
"""Name of the test of audited clips."""

KINDS = {
    "confidence": "largest probability of the model",
    "class shares": "predicted shares of the classes",
    "pictures": "quality and look of the pictures",
    ACCURACY: "audited clips that the model gets right",
}
"""Kind of statistic -> what it is."""


def patient_statistics(
    cases: Cases, probabilities: Floats, pictures: Mapping[str, Floats] | None = None
) -> dict[str, Floats]:
    """Return each statistic of each patient, as the mean over the patient's clips.

    Args:
        cases: Clips of one hospital.
        probabilities: Probabilities of the model `(n, classes)`.
        pictures: Measures of the pictures by name `(n,)`; NaN where a clip has none.

    Returns:
        Statistics by name: `confidence`, `entropy`, `share:CLASS` (share of clips with this prediction), `quality`
        where the predictions hold it, and `picture:NAME`. A patient without a number is left out of that statistic.

    Raises:
        EvaluationError: the predictions name no patients.
    """
    if not cases.patients_known:
        remedy = "Add a column patient with a pseudonym to the table"
        raise EvaluationError("the predictions name no patients", where="patient", remedy=remedy)
    predicted = probabilities.argmax(1)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1)
    rows: dict[str, Floats] = {"confidence": probabilities.max(1), "entropy": entropy / np.log(len(cases.classes))}
    rows |= {f"share:{name}": (predicted == index).astype(float) for index, name in enumerate(cases.classes)}
    rows |= {"quality": cases.quality} if np.isfinite(cases.quality).any() else {}
    rows |= {f"picture:{name}": values for name, values in (pictures or {}).items()}
    return {name: _means(cases.patient, values) for name, values in rows.items()}


def patient_accuracy(cases: Cases, probabilities: Floats) -> Floats:
    """Return the share of right clips of each patient with labels, sorted; a label that is no class is left out."""
    labeled = cases.labeled
    right = (probabilities.argmax(1) == cases.truth).astype(np.float64)
    return _means(cases.patient[labeled], right[labeled])


def _means(patient: Ints, values: Floats) -> Floats:
    known = np.isfinite(values)
    _, member = np.unique(patient[known], return_inverse=True)
    means: Floats = np.sort(np.bincount(member, values[known]) / np.maximum(np.bincount(member), 1))
    return means.round(6)


def kind_of(statistic: str) -> str:
    """Return the kind of a statistic, one of `KINDS`.

    Examples:
        >>> kind_of("share:A4C"), kind_of("picture:median"), kind_of("entropy")
        ('class shares', 'pictures', 'confidence')
    """
    if statistic.startswith("share:"):
        return "class shares"
    return "pictures" if statistic.startswith("picture:") or statistic == "quality" else "confidence"


@dataclass(frozen=True)
class WeekPoint:
    """One statistic in one week.

    Attributes:
        week: ISO week.
        patients: Patients with a value.
        mean: Mean over them; None without one.
        low: Lower end of the 95 % t interval of the week alone; None with fewer than two patients.
        high: Upper end.
    """

    week: str
    patients: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class DriftTest:
    """The test of one kind of statistic.

    Attributes:
        kind: One of `KINDS`.
        capital: Largest capital of its statistics over their number, at the end of each week or after each audit.
        weeks: The weeks.
        threshold: Capital that raises the alarm.
        alarm: Week in which it did; None: no alarm.
        leading: The statistic with the most capital at the end.
        points: Means of each statistic by week.
        reference: Mean of each statistic at the reference; for `accuracy`, the least accuracy.
        running: For `accuracy`: interval of the mean so far after each audit; all hold together with the confidence.
    """

    kind: str
    capital: tuple[float, ...]
    weeks: tuple[str, ...]
    threshold: float
    alarm: str | None
    leading: str
    points: dict[str, tuple[WeekPoint, ...]]
    reference: dict[str, float]
    running: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class MonitorState:
    """What a journal shows.

    Attributes:
        journal: The journal.
        tests: One test a kind of statistic.
    """

    journal: MonitorJournal
    tests: tuple[DriftTest, ...]

    @property
    def alarms(self) -> list[DriftTest]:
        """The tests with an alarm."""
        return [test for test in self.tests if test.alarm is not None]


def assess_journal(journal: MonitorJournal) -> MonitorState:
    """Recompute every test from a journal.

    An alarm stays: with probability 1 - `false_alarms`, none is ever raised while nothing changes.

    Args:
        journal: The journal.

    Returns:
        The tests; a kind without an observation has no capital.
    """
    settings, reference = journal.start.settings, journal.start.statistics
    kinds = list(dict.fromkeys(kind_of(name) for name in reference))
    watched = len(kinds) + (settings.least_accuracy is not None)
    threshold = watched / settings.false_alarms
    weeks = [record for record in journal.records if record.kind == "week"]
    tests = []
    for kind in kinds:
        names = [name for name in reference if kind_of(name) == kind]
        capitals = {name: _rank_capital(journal, weeks, name) for name in names}
        joined = _joined(capitals, [record.week for record in weeks])
        points = {name: tuple(_point(record.week, record.statistics[name]) for record in weeks) for name in names}
        means = {name: float(np.mean(reference[name])) if reference[name] else float("nan") for name in names}
        tests.append(_test(kind, joined, capitals, weeks, threshold, points, means))
    if settings.least_accuracy is not None:
        tests.append(_accuracy_test(journal, settings.least_accuracy, threshold))
    return MonitorState(journal, tuple(tests))


Capitals = tuple[Floats, Ints]
"""Capital after each observation, and the week of the observation."""


def _rank_capital(journal: MonitorJournal, weeks: Sequence[MonitorWeek], name: str) -> Capitals:
    values, week, uniform = _shuffled(journal, name, [(record.week, record.statistics[name]) for record in weeks])
    ranks = conformal_ranks(journal.start.statistics[name], values.tolist(), uniform.tolist())
    return capital(rank_factors(ranks), week, journal.start.settings.weeks), week


def _shuffled(
    journal: MonitorJournal, name: str, batches: Sequence[tuple[str, Sequence[float]]]
) -> tuple[Floats, Ints, Floats]:
    """Return the values of all weeks, in random order within each, the week of each, and a random number for each.

    The random numbers of a week follow from the seed, the statistic and the week, so a later week changes none of them.
    """
    values, uniform = [np.empty(0)], [np.empty(0)]
    for week, batch in batches:
        generator = random_stream(journal.start.settings.seed, "monitor", name, week)
        values.append(generator.permutation(np.array(batch, np.float64)))
        uniform.append(generator.random(len(batch)))
    position = np.repeat(np.arange(len(batches)), [len(batch) for _, batch in batches])
    return np.concatenate(values), position.astype(np.int64), np.concatenate(uniform)


def _joined(capitals: Mapping[str, Capitals], weeks: Sequence[str]) -> list[tuple[float, float]]:
    """Return the largest capital of several statistics over their number at the end of each week, and the most so far.

    The mean would be larger, but ranks of different statistics are no bets in one game, so only the union bound holds.
    """
    ends = np.array([_at_ends(values, week, len(weeks)) for values, week in capitals.values()]).max(0) / len(capitals)
    return list(zip(ends.tolist(), np.maximum.accumulate(ends).tolist(), strict=True))


def _at_ends(values: Floats, week: Ints, weeks: int) -> Floats:
    """Return the capital at the end of each week; a week without an observation keeps it."""
    last = np.searchsorted(week, np.arange(weeks), side="right")
    return np.concatenate([[1.0], values])[last]


def _point(week: str, values: Sequence[float]) -> WeekPoint:
    from scipy.special import stdtrit

    if not values:
        return WeekPoint(week, 0, None, None, None)
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return WeekPoint(week, count, mean, None, None)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * float(np.std(values, ddof=1)) / count**0.5
    return WeekPoint(week, count, mean, mean - half, mean + half)


def _test(
    kind: str,
    joined: Sequence[tuple[float, float]],
    capitals: Mapping[str, Capitals],
    records: Sequence[MonitorWeek],
    threshold: float,
    points: dict[str, tuple[WeekPoint, ...]],
    reference: dict[str, float],
    running: tuple[tuple[float, float], ...] = (),
) -> DriftTest:
    alarm = next((record.week for record, (_, most) in zip(records, joined, strict=True) if most >= threshold), None)
    last = {name: float(values[-1]) if len(values) else 1.0 for name, (values, _) in capitals.items()}
    weeks = tuple(record.week for record in records)
    amounts = tuple(amount for amount, _ in joined)
    return DriftTest(
        kind, amounts, weeks, threshold, alarm, max(last, key=last.__getitem__), points, reference, running
    )


def _accuracy_test(journal: MonitorJournal, least: float, threshold: float) -> DriftTest:
    """Return the test that the accuracy is at least `least`, on audited clips in the order of the records."""
    records = [record for record in journal.records if record.accuracy]
    values, week, _ = _shuffled(journal, ACCURACY, [(record.week, record.accuracy) for record in records])
    capitals = {ACCURACY: (capital(mean_factors(values, least), week, journal.start.settings.weeks), week)}
    ends = np.searchsorted(week, np.arange(len(records)), side="right") - 1
    low, high = confidence_sequence(values, 1 - CONFIDENCE)
    running = tuple(zip(low[ends].tolist(), high[ends].tolist(), strict=True))
    points = {ACCURACY: tuple(_point(record.week, record.accuracy) for record in records)}
    joined = _joined(capitals, [record.week for record in records])
    return _test(ACCURACY, joined, capitals, records, threshold, points, {ACCURACY: least}, running)
