"""Accuracy estimates of a hospital without labels, each with its measured error. They are alarms, not accuracies.

Average confidence: the mean of the largest probability, after temperature scaling on the reference. ATC: the share of
cases whose negative entropy exceeds the threshold that gives the reference its accuracy (Garg et al., "Leveraging
unlabeled data to predict out-of-distribution performance", ICLR 2022). Agreement: how often two seeds predict the same
class (Jiang et al., "Assessing generalization via disagreement", ICLR 2022).

None of them sees an error that the model makes with its usual confidence. So each comes with its error at hospitals
with labels, or at simulated hospitals where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import Bools, Cases, RunSet
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.probabilities import fit_temperature, log_probabilities, reliability
from heart2heart.schema.few_labels import LabelFreeEstimate, MeasuredError
from heart2heart.utils import random_stream

ESTIMATORS = ("average_confidence", "atc", "agreement")
"""Names of the estimators."""

SIMULATED_HOSPITALS = 200
"""Simulated hospitals where no other hospital has labels."""
MOST_BLIND = 0.5
"""Largest share of cases that a simulated hospital gets wrong with unchanged confidence."""

FEWEST_CASES = 20
"""Labeled cases of the reference below which nothing is estimated."""


@dataclass(frozen=True)
class Calibrated:
    """What the labeled cases of the reference fix.

    Attributes:
        temperature: Temperature of each run `(runs,)`.
        threshold: Threshold of ATC of each run `(runs,)`.
        accuracy: Mean accuracy of the runs at the reference.
        calibration_error: Expected calibration error of the largest probability there, after scaling.
        cases: Labeled cases of the reference.
    """

    temperature: Floats
    threshold: Floats
    accuracy: float
    calibration_error: float
    cases: int


def calibrate_estimators(reference: Cases, run_set: RunSet) -> Calibrated:
    """Fit temperature and threshold on the labeled cases of the reference.

    Raises:
        EvaluationError: fewer than `FEWEST_CASES` labeled cases.
    """
    labeled = reference.take(reference.labeled)
    if len(labeled) < FEWEST_CASES:
        what = f"the reference has {len(labeled)} labeled cases; {FEWEST_CASES} are needed"
        raise EvaluationError(what, where="reference", remedy="Name predictions of a hospital with labels: --reference")
    runs = labeled.log_p[list(run_set.runs)]
    temperatures = np.array([fit_temperature(run, labeled.truth) for run in runs])
    scaled = [log_probabilities(run, float(value)) for run, value in zip(runs, temperatures, strict=True)]
    right = [(run.argmax(1) == labeled.truth).astype(np.float64) for run in runs]
    thresholds = np.array([_atc_threshold(run, hits) for run, hits in zip(scaled, right, strict=True)])
    errors = [_calibration_error(np.exp(run.max(1)), hits) for run, hits in zip(scaled, right, strict=True)]
    return Calibrated(temperatures, thresholds, float(np.mean(right)), float(np.mean(errors)), len(labeled))


def _calibration_error(confidence: Floats, hits: Floats) -> float:
    bins = reliability(confidence, hits, max(2, min(15, len(hits) // 25)))
    return float((bins.mass * np.abs(bins.confidence - bins.frequency)).sum() / bins.mass.sum())


def _negative_entropy(log_p: Floats) -> Floats:
    score: Floats = (np.exp(log_p) * log_p).sum(1)
    return score


def _atc_threshold(log_p: Floats, hits: Floats) -> float:
    """Return the score below which lie as many cases of the reference as the model gets wrong."""
    return float(np.quantile(_negative_entropy(log_p), 1 - hits.mean(), method="inverted_cdf"))


def estimate_accuracy(cases: Cases, run_set: RunSet, fitted: Calibrated) -> dict[str, float | None]:
    """Estimate the accuracy by each of `ESTIMATORS`, from predictions alone; the mean over the runs.

    Returns:
        Estimates by name; the agreement is None with a single run.
    """
    runs = cases.log_p[list(run_set.runs)]
    scaled = [log_probabilities(run, float(value)) for run, value in zip(runs, fitted.temperature, strict=True)]
    confidence = float(np.mean([np.exp(run.max(1)).mean() for run in scaled]))
    above = [
        (_negative_entropy(run) > threshold).mean() for run, threshold in zip(scaled, fitted.threshold, strict=True)
    ]
    return {
        "average_confidence": confidence,
        "atc": float(np.mean(above)),
        "agreement": pairwise_agreement(runs.argmax(2)),
    }


def pairwise_agreement(predicted: Ints) -> float | None:
    """Return the share of cases for which two runs predict the same class, as a mean over all pairs.

    Args:
        predicted: Predicted class `(runs, n)`.

    Returns:
        The share; None with a single run.

    Examples:
        >>> pairwise_agreement(np.array([[0, 1, 1], [0, 1, 0]]))
        0.6666666666666666
    """
    count = len(predicted)
    pairs = [(predicted[one] == predicted[other]).mean() for one in range(count) for other in range(one)]
    return float(np.mean(pairs)) if pairs else None


def label_free_estimates(
    cases: Cases,
    run_set: RunSet,
    *,
    reference: Cases | None = None,
    tolerance: float = 0.05,
    seed: int = 0,
    simulated: int = SIMULATED_HOSPITALS,
) -> tuple[Calibrated, list[LabelFreeEstimate]]:
    """Estimate the accuracy of every hospital of the predictions, and measure the error of each estimator.

    Args:
        cases: Cases of the hospitals, with or without labels.
        run_set: The method.
        reference: Labeled cases at the model's own hospital; None takes the source hospitals of `cases`.
        tolerance: A fall below the reference that raises the alarm, as a share.
        seed: Seed of the simulated hospitals.
        simulated: Number of simulated hospitals.

    Returns:
        What the reference fixed, and the estimates by hospital.

    Raises:
        EvaluationError: no labeled reference.
    """
    is_source: Bools = np.isin(cases.site, list(cases.source_sites))
    if reference is None:
        if not is_source.any():
            remedy = "Name predictions of a hospital with labels: --reference"
            raise EvaluationError("the predictions hold no hospital of the training", where="reference", remedy=remedy)
        reference = cases.take(is_source)
        cases = cases.take(~is_source) if not is_source.all() else cases
    if reference.classes != cases.classes:
        raise EvaluationError("the reference has other classes", remedy="Predict both with one model")
    if len(reference.log_p) != len(cases.log_p):
        raise EvaluationError("the reference has another number of runs", remedy="Predict both with the same runs")
    fitted = calibrate_estimators(reference, run_set)
    labeled = [site for site in cases.sites if cases.at(site).labeled.sum() >= FEWEST_CASES]
    pseudo = _simulated_errors(reference.take(reference.labeled), run_set, fitted, simulated, seed)
    errors = {site: _errors_at(cases.at(site), run_set, fitted) for site in labeled}
    estimates: list[LabelFreeEstimate] = []
    for site in cases.sites:
        others = [name for name in labeled if name != site]
        values = estimate_accuracy(cases.at(site), run_set, fitted)
        for estimator in ESTIMATORS:
            value = values[estimator]
            facts: dict[str, Any] = {"site": site, "estimator": estimator, "reference": fitted.accuracy}
            if value is None:
                reason = "the predictions hold one seed; two are needed"
                estimates.append(LabelFreeEstimate(**facts, reason=reason))
                continue
            sample = [errors[name][estimator] for name in others] or pseudo[estimator]
            alarm = value < fitted.accuracy - tolerance
            estimates.append(LabelFreeEstimate(**facts, value=value, error=_measured(sample, others), alarm=alarm))
    return fitted, estimates


def _measured(errors: Sequence[float], hospitals: Sequence[str]) -> MeasuredError:
    values = np.array(errors)
    return MeasuredError(
        hospitals=tuple(hospitals),
        mean=float(np.abs(values).mean()),
        largest=float(np.abs(values).max()),
        optimism=float(values.mean()),
        trials=len(values),
    )


def _errors_at(cases: Cases, run_set: RunSet, fitted: Calibrated) -> dict[str, float]:
    """Return estimate less truth of each estimator on the labeled cases of a hospital."""
    labeled = cases.take(cases.labeled)
    right = labeled.log_p[list(run_set.runs)].argmax(2) == labeled.truth
    values = estimate_accuracy(labeled, run_set, fitted)
    return {name: value - float(right.mean()) for name, value in values.items() if value is not None}


def _simulated_errors(
    reference: Cases, run_set: RunSet, fitted: Calibrated, count: int, seed: int
) -> dict[str, list[float]]:
    """Return the errors at hospitals that are drawn from the cases of the reference.

    Patients are drawn with replacement. Half of the hospitals have other shares of the classes. In the other half, the
    model is wrong in up to `MOST_BLIND` of the cases without being less confident, as a new machine may cause.
    """
    generator = random_stream(seed, "label-free")
    errors: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    rows = [np.flatnonzero(reference.patient == patient) for patient in np.unique(reference.patient)]
    for trial in range(count):
        drawn = np.concatenate([rows[index] for index in generator.integers(0, len(rows), len(rows))])
        if trial % 2:
            drawn = _reshared(generator, reference.truth, drawn, len(reference.classes))
        predicted = reference.log_p[list(run_set.runs)][:, drawn].argmax(2)
        right = predicted == reference.truth[drawn]
        if not trial % 2:
            right &= generator.random(len(drawn)) >= generator.uniform(0, MOST_BLIND)
        for name, value in _estimates_of_rows(reference, drawn, run_set, fitted).items():
            errors[name].append(value - float(right.mean()))
    return errors


def _reshared(generator: np.random.Generator, truth: Ints, drawn: Ints, classes: int) -> Ints:
    shares = generator.dirichlet(np.ones(classes))
    weight = shares[truth[drawn]] / np.bincount(truth[drawn], minlength=classes)[truth[drawn]]
    return generator.choice(drawn, len(drawn), p=weight / weight.sum())


def _estimates_of_rows(reference: Cases, drawn: Ints, run_set: RunSet, fitted: Calibrated) -> dict[str, float]:
    subset = Cases(
        reference.classes, reference.site[drawn], reference.patient[drawn], reference.case[drawn],
        reference.truth[drawn], reference.log_p[:, drawn], reference.quality[drawn], reference.run_sets,
    )  # fmt: skip
    return {name: value for name, value in estimate_accuracy(subset, run_set, fitted).items() if value is not None}
