"""Conformal sets: sets of classes that hold the true one with a chosen probability, calibrated by patient.

Split conformal prediction with the score of LAC (1 less the probability of the class; Sadinle, Lei and Wasserman, JASA
2019) or of APS (Romano, Sesia and Candes, NeurIPS 2020, with its random term). Clips of a patient are alike, so every
patient counts once, by the mean over the patient's clips: hierarchical conformal prediction (Lee, Barber and Willett,
"Distribution-free inference with hierarchical data", 2023, section 3).

The guarantee: if calibration patients and new patients are exchangeable, the set of a random clip of a new patient
holds its class with at least the chosen probability. It is a mean over patients, not a promise for each of them or for
each class, and it does not hold at a hospital that the calibration patients do not come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import Bools, Cases
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import shares_by_cluster
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.schema.few_labels import Coverage
from heart2heart.utils import random_stream


class SetScore(StrEnum):
    """How strange a class is for a clip."""

    LAC = "lac"
    """1 less the probability: the smallest sets on average."""
    APS = "aps"
    """Probability of all classes that are more likely, and a random part of its own: sets adapt to the clip."""


def class_scores(probabilities: Floats, score: SetScore, uniform: Floats) -> Floats:
    """Return the score of every class; a larger one is stranger.

    Args:
        probabilities: `(n, classes)`.
        score: The score.
        uniform: A number between 0 and 1 for each clip, for the random part of APS `(n,)`.

    Returns:
        `(n, classes)`.

    Examples:
        >>> class_scores(np.array([[0.6, 0.3, 0.1]]), SetScore.APS, np.array([0.5])).round(2).tolist()
        [[0.3, 0.75, 0.95]]
    """
    if score == SetScore.LAC:
        return np.asarray(1 - probabilities, np.float64)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    descending = np.take_along_axis(probabilities, order, axis=1)
    cumulative = np.cumsum(descending, axis=1) - descending + uniform[:, None] * descending
    scores = np.empty_like(cumulative)
    np.put_along_axis(scores, order, cumulative, axis=1)
    return scores


def patient_quantile(scores: Floats, patient: Ints, alpha: float) -> float:
    """Return the threshold of the sets: the smallest with enough weight of the calibration scores at or below it.

    Each of the K patients has the weight 1 / (K + 1), divided among the patient's clips; 1 / (K + 1) lies at infinity.

    Args:
        scores: Scores of the true classes `(n,)`.
        patient: Patient of each clip `(n,)`.
        alpha: Accepted share of sets without the true class.

    Returns:
        The threshold; infinity with fewer than 1 / alpha - 1 patients.

    Examples:
        >>> [patient_quantile(np.arange(count) / 10, np.arange(count), 0.2) for count in (10, 3)]
        [0.8, inf]
    """
    _, member, counts = np.unique(patient, return_inverse=True, return_counts=True)
    weight = 1 / counts[member] / (len(counts) + 1)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weight[order]) >= 1 - alpha - 1e-9
    return float(scores[order][np.argmax(reached)]) if reached.any() else float("inf")


@dataclass(frozen=True)
class ConformalModel:
    """A calibrated rule for sets.

    Attributes:
        score: The score.
        alpha: Accepted share of sets without the true class.
        threshold: Largest score of a class in a set.
        patients: Calibration patients.
        seed: Seed of the random part of APS.
    """

    score: SetScore
    alpha: float
    threshold: float
    patients: int
    seed: int

    def sets(self, cases: Cases, probabilities: Floats) -> Bools:
        """Return whether each class is in the set of each clip `(n, classes)`; no set is empty."""
        return _within(_scores(cases, probabilities, self.score, self.seed), probabilities, self.threshold)


def _within(scores: Floats, probabilities: Floats, threshold: float) -> Bools:
    """Return which classes have a score up to the threshold; the most likely one always counts `(n, classes)`."""
    inside: Bools = scores <= threshold
    inside[np.arange(len(scores)), probabilities.argmax(1)] = True
    return inside


def _scores(cases: Cases, probabilities: Floats, score: SetScore, seed: int) -> Floats:
    """Return the scores; the random number of a clip follows from its hospital, its name and the seed."""
    uniform = np.zeros(len(cases))
    if score == SetScore.APS:
        names = zip(cases.site.tolist(), cases.case.tolist(), strict=True)
        uniform = np.array([_uniform(f"{seed}\x1f{site}\x1f{name}") for site, name in names])
    return class_scores(probabilities, score, uniform)


def _uniform(text: str) -> float:
    """Return a number from 0 to 1 that a text determines."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def calibrate_sets(
    cases: Cases, probabilities: Floats, *, alpha: float, score: SetScore = SetScore.APS, seed: int = 0
) -> ConformalModel:
    """Calibrate sets on the labeled clips of a hospital.

    Clips whose label is no class of the model are left out: no set can hold it.

    Args:
        cases: Cases with labels.
        probabilities: Probabilities of the model `(n, classes)`.
        alpha: Accepted share of sets without the true class, above 0 and below 1.
        score: The score.
        seed: Seed of the random part of APS.

    Raises:
        EvaluationError: an impossible share, or too few patients for it.
    """
    if not 0 < alpha < 1:
        raise EvaluationError(f"a share of {alpha:g} errors is impossible", where="alpha", remedy="Give 0.1, say")
    chosen = cases.labeled
    patients = len(np.unique(cases.patient[chosen]))
    needed = patients_needed(alpha)
    if patients < needed:
        what = f"{patients} labeled patients; sets with {100 * alpha:g} % errors need {needed}"
        raise EvaluationError(what, where="calibration", remedy="Label more patients, or accept more errors (--alpha)")
    labeled = cases.take(chosen)
    scores = _scores(labeled, probabilities[chosen], score, seed)[np.arange(len(labeled)), labeled.truth]
    return ConformalModel(score, alpha, patient_quantile(scores, labeled.patient, alpha), patients, seed)


def patients_needed(alpha: float) -> int:
    """Return the fewest calibration patients with which a set can leave out a class.

    Examples:
        >>> patients_needed(0.1), patients_needed(0.05)
        (9, 19)
    """
    return int(np.ceil(1 / alpha - 1 - 1e-9))


def measure_coverage(
    model: ConformalModel, cases: Cases, probabilities: Floats, *, site: str, calibrated_on: str
) -> Coverage:
    """Measure the coverage of the sets on labeled clips, every patient once, with Wilson's t interval over patients."""
    chosen = cases.labeled
    labeled = cases.take(chosen)
    patients = len(np.unique(labeled.patient))
    if patients < 2:
        reason = f"{patients} labeled patients; two are needed"
        return Coverage(site=site, calibrated_on=calibrated_on, patients=patients, reason=reason)
    covered, size = _by_patient(labeled, model.sets(labeled, probabilities[chosen]))
    shares = shares_by_cluster(covered[:, None], np.ones((patients, 1)), site)
    low, high = (float(limit[0]) for limit in shares.limits(CONFIDENCE))
    return Coverage(
        site=site, calibrated_on=calibrated_on, patients=patients, coverage=float(covered.mean()), low=low, high=high,
        size=float(size.mean()),
    )  # fmt: skip


def _by_patient(labeled: Cases, sets: Bools) -> tuple[Floats, Floats]:
    """Return the share of covered clips and the mean size of the sets of each patient."""
    hits = sets[np.arange(len(labeled)), labeled.truth].astype(np.float64)
    counts = np.bincount(labeled.patient)
    sizes = sets.sum(1).astype(np.float64)
    return np.bincount(labeled.patient, hits) / counts, np.bincount(labeled.patient, sizes) / counts


def recalibrated_coverage(
    cases: Cases,
    probabilities: Floats,
    *,
    alpha: float,
    score: SetScore,
    numbers: Sequence[int],
    draws: int = 200,
    seed: int = 0,
) -> list[Coverage]:
    """Measure the coverage after calibration on k labeled patients of the hospital itself.

    In each draw, k random patients calibrate, and the others measure.

    Args:
        cases: Cases of one hospital with labels.
        probabilities: Probabilities of the model `(n, classes)`.
        alpha: Accepted share of sets without the true class.
        score: The score.
        numbers: Numbers k of patients.
        draws: Random choices of the k patients.
        seed: Seed of the draws.

    Returns:
        One line a number; not measured where fewer than two patients are left, or k patients are too few.
    """
    chosen = cases.labeled
    labeled, site = cases.take(chosen), cases.sites[0]
    scores = _scores(labeled, probabilities[chosen], score, seed)
    own = scores[np.arange(len(labeled)), labeled.truth]
    patients = int(labeled.patient.max(initial=-1)) + 1
    generator = random_stream(seed, "recalibrate", site)
    lines = []
    for number in numbers:
        name = f"{site}, {number} patients"
        if number < patients_needed(alpha) or patients - number < 2:
            reason = (
                f"{patients_needed(alpha)} patients are needed"
                if number < patients_needed(alpha)
                else f"{patients} labeled patients; too few are left to measure"
            )
            left = max(patients - number, 0)
            lines.append(Coverage(site=site, calibrated_on=name, patients=left, reason=reason))
            continue
        measured = []
        for _ in range(draws):
            calibrating = np.isin(labeled.patient, generator.choice(patients, number, replace=False))
            threshold = patient_quantile(own[calibrating], labeled.patient[calibrating], alpha)
            sets = _within(scores, probabilities[chosen], threshold)
            covered, size = _by_patient(labeled.take(~calibrating), sets[~calibrating])
            measured.append((covered.mean(), size.mean()))
        coverages, sizes = np.array(measured).T
        low, high = np.quantile(coverages, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
        lines.append(
            Coverage(
                site=site, calibrated_on=name, patients=patients - number, coverage=float(coverages.mean()),
                low=float(low), high=float(high), size=float(sizes.mean()), draws=draws,
            )
        )  # fmt: skip
    return lines
