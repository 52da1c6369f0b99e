"""Plans a validation: simulated studies give the power to show that no more than a margin is lost at a hospital.

The simulation uses the interval of the report (`Contrast.interval`), so the plan and the report agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heart2heart.errors import ConfigError
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, mean_share, shares_by_cluster
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.utils import random_stream

SHARED = 0.5
"""Share of the latent variance between patients that all classes of a patient have in common."""

_FEWEST_PATIENTS = 2


@dataclass(frozen=True)
class StudyDesign:
    """What the patients of one hospital are like.

    Attributes:
        accuracy: Sensitivity of each class.
        prevalence: Share of the patients who have each class.
        frames: Mean number of frames of a class in a patient who has it.
        correlation: Intra-cluster correlation of right and wrong frames of one class in one patient.
    """

    accuracy: tuple[float, ...]
    prevalence: tuple[float, ...]
    frames: float
    correlation: float

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a share that is not between 0 and 1, fewer than one frame, or classes that do not match.
        """
        between = "Give a share between 0 and 1"
        for name, value, possible, remedy in (
            *(("accuracy", value, 0 < value < 1, between) for value in self.accuracy),
            *(("prevalence", value, 0 < value <= 1, between) for value in self.prevalence),
            ("correlation", self.correlation, 0 <= self.correlation < 1, between),
            ("frames", self.frames, 1 <= self.frames < math.inf, "Give at least 1"),
        ):
            if not possible:
                raise ConfigError(f"{value:g} is no possible value", where=name, remedy=remedy)
        if len(self.accuracy) != len(self.prevalence) or not self.accuracy:
            what = f"{len(self.accuracy)} accuracies and {len(self.prevalence)} prevalences"
            raise ConfigError(what, where="prevalence", remedy="Give one of each for every class")

    def lowered(self, loss: float) -> StudyDesign:
        """Return the design of a hospital where each class loses `loss` of its sensitivity."""
        return replace(self, accuracy=tuple(value - loss for value in self.accuracy))


def latent_correlation(accuracy: float, correlation: float) -> float:
    """Return the correlation of normal variables that gives right and wrong frames an intra-cluster correlation.

    Args:
        accuracy: Share of right frames.
        correlation: Correlation of the right and wrong frames of one patient.

    Examples:
        >>> round(latent_correlation(0.5, 1 / 3), 3)  # sin(pi / 6)
        0.5
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri, owens_t

    threshold = float(ndtri(accuracy))

    def excess(latent: float) -> float:
        both = accuracy - 2 * float(owens_t(threshold, math.sqrt((1 - latent) / (1 + latent))))
        return (both - accuracy**2) / (accuracy * (1 - accuracy)) - correlation

    return 0.0 if correlation == 0 else float(brentq(excess, 0.0, 1.0))


def simulate_chances(
    generator: np.random.Generator, design: StudyDesign, patients: int, studies: int
) -> tuple[Floats, Ints]:
    """Simulate the patients of one hospital in many studies.

    A patient who has a class has at least one frame of it. The chance that a frame is right depends on a normal
    variable of the patient and the class; a part of it is common to all classes of the patient (`SHARED`).

    Args:
        generator: Source of randomness.
        design: What the patients are like.
        patients: Patients of each study.
        studies: Number of studies.

    Returns:
        Chance that a frame is right, and number of frames, each `(studies, patients, classes)`.
    """
    from scipy.special import ndtr, ndtri

    size = (studies, patients, len(design.accuracy))
    rows = (1 + generator.poisson(design.frames - 1, size)) * (generator.random(size) < np.array(design.prevalence))
    latent = np.array([latent_correlation(value, design.correlation) for value in design.accuracy])
    of_patient = generator.standard_normal((studies, patients, 1)) * math.sqrt(SHARED)
    effect = of_patient + generator.standard_normal(size) * math.sqrt(1 - SHARED)
    return ndtr((ndtri(design.accuracy) + np.sqrt(latent) * effect) / np.sqrt(1 - latent)), rows


def simulate_hospital(
    generator: np.random.Generator, design: StudyDesign, patients: int, studies: int
) -> tuple[Floats, Floats]:
    """Simulate right frames and all frames, each `(studies, patients, classes)`; arguments as `simulate_chances`."""
    chance, rows = simulate_chances(generator, design, patients, studies)
    return generator.binomial(rows, chance).astype(np.float64), rows.astype(np.float64)


def accuracy_contrast(correct: Floats, rows: Floats, sample: str) -> Contrast | None:
    """Return the balanced accuracy of one simulated study; None if a class has fewer than two patients."""
    if ((rows > 0).sum(0) < _FEWEST_PATIENTS).any():
        return None
    return mean_share(shares_by_cluster(correct, rows, sample), range(rows.shape[1]))


@dataclass(frozen=True)
class Power:
    """Share of simulated studies that show that no more than the margin is lost.

    Attributes:
        patients: Patients at the hospital.
        rarest: Expected patients who have the rarest class.
        power: The share; a study in which a class has fewer than two patients shows nothing.
        error: Standard error of the share by simulation.
    """

    patients: int
    rarest: float
    power: float
    error: float


def power_at(
    patients: int,
    hospital: StudyDesign,
    source: StudyDesign,
    *,
    source_patients: int,
    margin: float,
    confidence: float = CONFIDENCE,
    studies: int = 1000,
    seed: int = 0,
) -> Power:
    """Simulate studies of one hospital, each with its own source, and count those that show the claim.

    Args:
        patients: Patients at the hospital.
        hospital: Design of the hospital, with the true loss.
        source: Design of the source.
        source_patients: Test patients at the source.
        margin: Largest acceptable loss of balanced accuracy, as a share.
        confidence: Nominal coverage of the interval of the loss.
        studies: Simulated studies.
        seed: Root seed.
    """
    generator = random_stream(seed, "plan", patients)
    here = simulate_hospital(generator, hospital, patients, studies)
    there = simulate_hospital(generator, source, source_patients, studies)
    shown = 0
    for index in range(studies):
        accuracies = [
            accuracy_contrast(correct[index], rows[index], name)
            for name, (correct, rows) in (("source", there), ("hospital", here))
        ]
        if accuracies[0] and accuracies[1]:
            loss = combine_contrasts([accuracies[0], accuracies[1]], [1.0, -1.0])
            shown += loss.interval(confidence)[1] < margin
    share = shown / studies
    return Power(patients, patients * min(hospital.prevalence), share, math.sqrt(share * (1 - share) / studies))


def each_confidence(claims: int) -> float:
    """Return the confidence of each of several independent intervals that hold together at `CONFIDENCE` (Sidak).

    Examples:
        >>> round(each_confidence(1), 3), round(each_confidence(3), 4)
        (0.95, 0.983)
    """
    return float(CONFIDENCE ** (1 / claims))


def patients_needed(powers: Sequence[Power], target: float) -> int | None:
    """Return the patients at which the power reaches `target`, between two simulated numbers by interpolation.

    Args:
        powers: By ascending number of patients.
        target: The power.

    Returns:
        Patients, rounded up; None if even the largest number does not reach it.

    Examples:
        >>> curve = [Power(30, 10.0, 0.4, 0.0), Power(120, 40.0, 0.8, 0.0)]
        >>> patients_needed(curve, 0.6), patients_needed(curve, 0.9)
        (60, None)
    """
    reached = np.maximum.accumulate([power.power for power in powers])
    if not len(reached) or reached[-1] < target:
        return None
    position = int(np.argmax(reached >= target))
    if position == 0:
        return powers[0].patients
    low, high = reached[position - 1], reached[position]
    start, end = math.log(powers[position - 1].patients), math.log(powers[position].patients)
    return math.ceil(round(math.exp(start + (end - start) * (target - low) / (high - low)), 6))
