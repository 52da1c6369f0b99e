"""Simulated clips of a hospital with the outputs of a model, for `benchmarks.few_labels` and tests; all SIMULATED."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.cases import Cases, RunSet
from heart2heart.schema.clip_probabilities import log_softmax

CLASSES = ("A2C", "A4C", "PLAX", "PSAX")
SHARES = (0.2, 0.35, 0.3, 0.15)
SKILLS = {0.70: 1.61, 0.85: 2.38, 0.97: 3.63}
"""Accuracy -> mean margin of the true class; measured, 200,000 clips."""


def simulate_cases(
    generator: np.random.Generator,
    patients: int,
    skill: float,
    *,
    site: str = "E",
    clips: float = 5.0,
    shares: Sequence[float] = SHARES,
    sharpness: float = 2.5,
    runs: int = 1,
    blindness: float = 0.0,
) -> Cases:
    """Simulate the clips of one hospital.

    A clip's logits are normal; the true class has `skill` more, plus an effect of the patient. Runs share half of the
    noise.

    Args:
        generator: Source of randomness.
        patients: Number of patients.
        skill: Mean margin of the true class.
        site: Name of the hospital.
        clips: Mean number of clips of a patient, at least 1.
        shares: Share of each class.
        sharpness: Factor of the logits; about 1.9 is calibrated, more is overconfident.
        runs: Runs that differ in their seed.
        blindness: Share of clips whose true class is replaced at random, while the confidence stays.
    """
    counts = 1 + generator.poisson(clips - 1, patients)
    patient = np.repeat(np.arange(patients), counts)
    rows, classes = len(patient), len(shares)
    truth = generator.choice(classes, rows, p=shares)
    margin = skill + generator.normal(0, 0.8, patients)[patient]
    noise = generator.normal(0, np.sqrt(0.5), (runs, rows, classes)) + generator.normal(
        0, np.sqrt(0.5), (rows, classes)
    )
    noise[:, np.arange(rows), truth] += margin
    confused = generator.random(rows) < blindness
    truth = np.where(confused, (truth + generator.integers(1, classes, rows)) % classes, truth)
    return Cases(
        classes=CLASSES[:classes] if classes <= len(CLASSES) else tuple(f"class {i}" for i in range(classes)),
        site=np.full(rows, site, object),
        patient=patient.astype(np.int64),
        case=np.array([f"{site}-{index:06d}" for index in range(rows)], object),
        truth=truth.astype(np.int64),
        log_p=log_softmax(sharpness * noise),
        quality=np.full(rows, np.nan),
        run_sets=(RunSet("model", tuple(range(runs))),),
    )


def accuracy_of(skill: float, *, clips: int = 200_000, seed: int = 0) -> float:
    """Return the accuracy that a skill gives."""
    cases = simulate_cases(np.random.default_rng(seed), clips, skill, clips=1.0)
    predicted = cases.log_p[0].argmax(1)
    return float((predicted == cases.truth).mean())
