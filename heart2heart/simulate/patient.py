"""A synthetic patient: what differs between people, and what differs between two acquisitions of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Patient:
    """Anatomy and function of one synthetic patient; lengths are factors of an average adult's, or cm.

    Attributes:
        size: Size of the heart, 1 for average.
        dilation: Width of the left ventricle beyond `size`.
        wall: Thickness of the left ventricular wall, cm.
        right: Size of the right heart.
        atrium: Size of the left atrium.
        ejection: Ejection fraction, 0 to 1.
        heart_rate: Beats per minute.
        tilt: Usual rotation of the heart in the plane, degrees.
        chest: Thickness of the chest wall, cm.
        quality: Acoustic window: 0 poor, 1 excellent.
        fibrosis: Extra echo of valves and annulus, dB.
        regurgitation: Strength of a mitral regurgitation jet, 0 for none.
        roughness: Irregularity of the contours.
    """

    size: float = 1.0
    dilation: float = 1.0
    wall: float = 0.95
    right: float = 1.0
    atrium: float = 1.0
    ejection: float = 0.6
    heart_rate: float = 70.0
    tilt: float = 0.0
    chest: float = 1.6
    quality: float = 0.75
    fibrosis: float = 0.0
    regurgitation: float = 0.0
    roughness: float = 1.0


def bounded(rng: np.random.Generator, mean: float, deviation: float, low: float, high: float) -> float:
    """Draw from a normal distribution, values beyond `low` and `high` moved to them."""
    return min(max(float(rng.normal(mean, deviation)), low), high)


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw one patient of a mixed echo laboratory: about a fifth with a weak ventricle, a tenth with a thick one."""
    weak = rng.random() < 0.2
    thick = rng.random() < 0.12
    return Patient(
        size=bounded(rng, 1.0, 0.05, 0.88, 1.12),
        dilation=float(rng.uniform(1.1, 1.3) if weak else rng.normal(1.0, 0.06)),
        wall=float(rng.uniform(1.2, 1.55) if thick else bounded(rng, 0.95, 0.09, 0.7, 1.2)),
        right=bounded(rng, 1.0, 0.1, 0.8, 1.3),
        atrium=bounded(rng, 1.05 if weak else 1.0, 0.1, 0.8, 1.35),
        ejection=float(rng.uniform(0.18, 0.4) if weak else bounded(rng, 0.6, 0.05, 0.48, 0.72)),
        heart_rate=bounded(rng, 71.0, 10.0, 48.0, 105.0),
        tilt=float(rng.normal(0.0, 5.0)),
        chest=bounded(rng, 1.6, 0.35, 0.9, 2.6),
        quality=float(rng.beta(4.0, 2.0)),
        fibrosis=float(rng.exponential(1.5)),
        regurgitation=float(rng.uniform(0.4, 1.0) if rng.random() < 0.25 else 0.0),
        roughness=float(rng.uniform(0.6, 1.4)),
    )
