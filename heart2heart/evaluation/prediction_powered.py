"""Prediction-powered estimates: accuracy and class shares of a hospital from few audited patients and all predictions.

The predictions of all clips give a first value, and the audited clips correct its bias (Angelopoulos et al., Science
2023, "Prediction-powered inference"). The weight of the predictions is tuned for the smallest variance (Angelopoulos,
Duchi and Zrnic, arXiv 2311.01453, 2023, "PPI++"); where they do not help, it is 0, and the audited clips alone count.
Patients are the clusters, and audited clips count by their probability of inclusion.

The interval is Wilson's with a t quantile, as for other accuracies, because a normal interval is too short with few
patients or few errors. docs/results/few-labels.md has the measured coverage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import Cases
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import wilson
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.schema.few_labels import PoweredEstimate

FEWEST_PATIENTS = 5
"""Audited patients below which nothing is estimated."""
FEWEST_OF_A_CLASS = 5
"""Audited patients with a class below which its sensitivity is not estimated."""
FEWEST_OUTCOMES = 5
"""Audited patients with a right clip, and with a wrong one, below which predictions get no weight in an accuracy."""

_ROUNDING = 1e-12  # a smaller difference or variance is a rounding error


@dataclass(frozen=True)
class Linear:
    """A weighted mean of a variable over all clips, with its influence by patient.

    Attributes:
        value: `(variables,)`.
        read: Influence of the audited clips of each patient `(patients, variables)`.
        unread: Influence of the other clips of each patient `(patients, variables)`.
    """

    value: Floats
    read: Floats
    unread: Floats

    @property
    def influence(self) -> Floats:
        """Influence of each patient `(patients, variables)`; the sum of its squares is the variance."""
        return self.read + self.unread


@dataclass(frozen=True)
class Audit:
    """The clips of a hospital, some of them audited.

    Attributes:
        patient: Patient of each clip `(n,)`, from 0.
        weight: Inverse probability of inclusion of the audited clips, 0 for the others `(n,)`.
        stratum: Stratum of each clip `(n,)`, from 0.
    """

    patient: Ints
    weight: Floats
    stratum: Ints

    def estimate(self, observed: Floats, predicted: Floats, weight: float) -> Linear:
        """Estimate means over all clips.

        In each stratum: weight times the mean of the predictions over the clips of patients without an audited clip in
        it, plus the mean over the audited clips of the observed values less weight times the predictions.

        Args:
            observed: Values of the audited clips; other rows are not used `(n, variables)`.
            predicted: Predictions of the values of all clips `(n, variables)`.
            weight: Weight of the predictions.
        """
        patients = int(self.patient.max()) + 1
        value = np.zeros(observed.shape[1])
        read, unread = np.zeros((patients, len(value))), np.zeros((patients, len(value)))
        for stratum in np.unique(self.stratum):
            inside = self.stratum == stratum
            share = float(inside.mean())
            audited = inside & (self.weight > 0)
            others = inside & ~np.isin(self.patient, self.patient[audited])
            used = weight if others.any() else 0.0
            if not audited.any():
                raise EvaluationError("a class of the predictions has no audited clip", remedy="Audit more clips")
            scale = self.weight[audited, None] / self.weight[audited].sum()
            level = -value
            difference = observed[audited] - used * predicted[audited]
            correction = (scale * difference).sum(0)
            np.add.at(read, self.patient[audited], share * scale * (difference - correction))
            value += share * correction
            if used:
                mean = predicted[others].mean(0)
                value += share * used * mean
                np.add.at(unread, self.patient[others], share * used * (predicted[others] - mean) / others.sum())
            level = (level + value) / share  # mean of the stratum; its share of the clips is an estimate too
            np.add.at(unread, self.patient, (inside - share)[:, None] * level / len(inside))
        return Linear(value, read, unread)

    def tuned_weight(self, observed: Floats, predicted: Floats) -> float:
        """Return the weight of the predictions that gives the smallest variance, 0 to 1 (PPI++, section 6).

        Args:
            observed: Values of the audited clips `(n,)`.
            predicted: Predictions of all clips `(n,)`.
        """
        without = self.estimate(observed[:, None], predicted[:, None], 0.0).influence[:, 0]
        slope = self.estimate(observed[:, None], predicted[:, None], 1.0).influence[:, 0] - without
        total = float(slope @ slope)
        return 0.0 if total <= 0 else float(np.clip(-(without @ slope) / total, 0.0, 1.0))


@dataclass(frozen=True)
class _Ratio:
    """An estimated share.

    Attributes:
        value: The share.
        read: Influence of each patient's audited clips; its square is corrected for few patients: k / (k - s) for k
            patients in s strata, and k / (k - s - 1) where the weight of the predictions was tuned on them.
        unread: Influence of each patient's other clips.
        rows: Weight of the audited clips of each patient that have it.
        weight: Weight of the predictions.
        strata: Strata with such a clip.
        unseen: Variance of what the audited clips of a stratum do not show, because they are all alike.
    """

    value: float
    read: Floats
    unread: Floats
    rows: Floats
    weight: float
    strata: int
    unseen: float

    @property
    def holders(self) -> int:
        """Number of those patients."""
        return int((self.rows > 0).sum())


def powered_estimates(
    cases: Cases, probabilities: Floats, audit: Audit, *, confidence: float = CONFIDENCE
) -> list[PoweredEstimate]:
    """Estimate accuracy, balanced accuracy, sensitivities and class shares of a hospital.

    Args:
        cases: All clips of the hospital; the truth of audited clips is used, others may be unlabeled.
        probabilities: Probabilities of the model `(n, classes)`.
        audit: Which clips were audited, and how they were drawn.
        confidence: Nominal coverage of the intervals.

    Returns:
        The estimates; `value` is None where there are too few patients.

    Raises:
        EvaluationError: a stratum has no audited clip.
    """
    predicted = probabilities.argmax(1)
    right = (predicted == cases.truth).astype(np.float64)
    scored = (cases.truth >= 0).astype(np.float64)
    one = np.ones(len(cases))
    estimates = [_with_ratios("accuracy", audit, (right, scored), (probabilities.max(1), one), confidence)[0]]
    sensitivities: list[tuple[PoweredEstimate, _Ratio | None, _Ratio | None]] = []
    shares = []
    for index, name in enumerate(cases.classes):
        of_class = (cases.truth == index).astype(np.float64)
        hit, chance = of_class * (predicted == index), probabilities[:, index]
        predictions = (chance * (predicted == index), chance)
        sensitivities.append(_with_ratios(f"sensitivity:{name}", audit, (hit, of_class), predictions, confidence))
        shares.append(
            _with_ratios(f"share:{name}", audit, (of_class, scored), (chance, one), confidence, shares=True)[0]
        )
    estimates.append(_mean("balanced_accuracy", audit, sensitivities, confidence))
    return [*estimates, *(each for each, _, _ in sensitivities), *shares]


def _with_ratios(
    name: str,
    audit: Audit,
    observed: Sequence[Floats],
    predicted: Sequence[Floats],
    confidence: float,
    *,
    shares: bool = False,
) -> tuple[PoweredEstimate, _Ratio | None, _Ratio | None]:
    """Return an estimate, and its ratios with and without the predictions."""
    fewest = FEWEST_OF_A_CLASS
    readers = len(np.unique(audit.patient[audit.weight > 0]))
    holders = len(np.unique(audit.patient[(audit.weight > 0) & (observed[1] > 0)]))
    if readers < FEWEST_PATIENTS or holders < fewest:
        reason = f"{readers} audited patients; {FEWEST_PATIENTS} are needed"
        if readers >= FEWEST_PATIENTS:
            reason = f"{holders} audited patients have it; {fewest} are needed"
        return PoweredEstimate(name=name, patients=holders, reason=reason), None, None
    alone = _ratio(audit, observed, predicted, 0.0)
    residual = observed[0] - alone.value * observed[1], predicted[0] - alone.value * predicted[1]
    weight = audit.tuned_weight(*residual) if shares or _both_outcomes(audit, observed) else 0.0
    ratio = _ratio(audit, observed, predicted, weight) if weight else alone
    if not 0 <= ratio.value <= 1 or not math.isfinite(ratio.value):
        ratio = alone
    low, high = _interval(ratio, alone, confidence)
    audited_low, audited_high = _interval(alone, alone, confidence)
    estimate = PoweredEstimate(
        name=name, value=ratio.value, low=low, high=high, audited=alone.value, audited_low=audited_low,
        audited_high=audited_high, weight=ratio.weight, patients=holders,
    )  # fmt: skip
    return estimate, ratio, alone


def _both_outcomes(audit: Audit, observed: Sequence[Floats]) -> bool:
    """Return whether enough audited patients have a clip that counts, and enough have one that does not."""
    read = (audit.weight > 0) & (observed[1] > 0)
    counts = [len(np.unique(audit.patient[read & (observed[0] == outcome)])) for outcome in (0, 1)]
    return min(counts) >= FEWEST_OUTCOMES


def _ratio(audit: Audit, observed: Sequence[Floats], predicted: Sequence[Floats], weight: float) -> _Ratio:
    linear = audit.estimate(np.stack(observed, axis=1), np.stack(predicted, axis=1), weight)
    value = float(linear.value[0] / linear.value[1])
    read, unread = ((part[:, 0] - value * part[:, 1]) / linear.value[1] for part in (linear.read, linear.unread))
    rows = np.bincount(audit.patient, audit.weight * (observed[1] > 0)).astype(np.float64)
    holders, strata = int((rows > 0).sum()), len(np.unique(audit.stratum[(audit.weight > 0) & (observed[1] > 0)]))
    read = read * math.sqrt(holders / max(holders - strata - (weight > 0), 1))
    unseen = _unseen_variance(audit, observed[0] - value * observed[1]) / float(linear.value[1]) ** 2
    return _Ratio(value, read, unread, rows, weight, strata, unseen)


def _unseen_variance(audit: Audit, residual: Floats) -> float:
    """Return the variance that strata with equal audited clips may hide; 0 with one stratum, see `_interval`.

    Of n such clips, another kind may have the share (1/2) / (n + 1), as in Jeffreys' estimate of a share.
    """
    strata, total = np.unique(audit.stratum), 0.0
    for stratum in strata if len(strata) > 1 else ():
        audited = residual[(audit.stratum == stratum) & (audit.weight > 0)]
        if np.ptp(audited) <= _ROUNDING:
            other = 0.5 / (len(audited) + 1)
            total += float((audit.stratum == stratum).mean()) ** 2 * other * (1 - other) / len(audited)
    return total


def _interval(ratio: _Ratio, alone: _Ratio, confidence: float, holders: int | None = None) -> tuple[float, float]:
    """Return Wilson's interval with the effective number of patients that the variance gives, and a t quantile.

    With no error, or nothing but errors, the audited patients count as they are.
    """
    from scipy.special import stdtrit

    alike = float(alone.rows.sum() ** 2 / (alone.rows**2).sum())
    variance = float((ratio.read**2).sum() + (ratio.unread**2).sum()) + ratio.unseen
    all_alike = float((alone.read**2).sum()) <= _ROUNDING and not alone.unseen
    value = min(max(ratio.value, 0.0), 1.0)
    certain = all_alike or variance <= 0 or value in (0.0, 1.0)
    effective = alike if certain else max(value * (1 - value) / variance, 1.0)
    degrees = max((holders or alone.holders) - alone.strata, 1)
    quantile = float(stdtrit(degrees, (1 + confidence) / 2))
    low, high = wilson(*(np.array([number]) for number in (value, effective, quantile)))
    return float(low[0]), float(high[0])


def _mean(
    name: str,
    audit: Audit,
    parts: Sequence[tuple[PoweredEstimate, _Ratio | None, _Ratio | None]],
    confidence: float,
) -> PoweredEstimate:
    """Return the mean of several estimates with its interval; not estimable if one of them is not."""
    missing = next((each for each, ratio, _ in parts if ratio is None), None)
    if missing is not None:
        return PoweredEstimate(name=name, patients=missing.patients, reason=f"{missing.name} is not estimable")
    ratios = [ratio for _, ratio, _ in parts if ratio is not None]
    alone = [single for _, _, single in parts if single is not None]
    joined, single = _average(ratios, audit), _average(alone, audit)
    fewest = min(each.patients for each, _, _ in parts)
    low, high = _interval(joined, single, confidence, fewest)
    audited_low, audited_high = _interval(single, single, confidence, fewest)
    return PoweredEstimate(
        name=name, value=joined.value, low=low, high=high, audited=single.value, audited_low=audited_low,
        audited_high=audited_high, patients=fewest,
    )  # fmt: skip


def _average(ratios: Sequence[_Ratio], audit: Audit) -> _Ratio:
    rows = np.bincount(audit.patient, audit.weight).astype(np.float64)
    read, unread = (np.mean([getattr(each, part) for each in ratios], axis=0) for part in ("read", "unread"))
    weight = max(each.weight for each in ratios)
    value, strata = float(np.mean([each.value for each in ratios])), max(each.strata for each in ratios)
    unseen = float(np.mean([each.unseen for each in ratios])) / len(ratios)
    return _Ratio(value, read, unread, rows, weight, strata, unseen)
