"""Pictures without a heart that an archive of echocardiograms holds: abdomen, lung, a vessel, air."""

from __future__ import annotations

import numpy as np

from heart2heart.synthetic.anatomy.scene import Canvas, Scene, Tissue

_KINDS = ("abdomen", "lung", "vessel", "air")


def non_cardiac(canvas: Canvas, rng: np.random.Generator) -> Scene:
    """Draw a picture without a heart."""
    kind = _KINDS[int(rng.choice(len(_KINDS), p=(0.4, 0.3, 0.2, 0.1)))]
    painter = {"abdomen": _abdomen, "lung": _lung, "vessel": _vessel, "air": _air}[kind]
    painter(canvas, rng)
    return Scene(canvas.labels())


def _abdomen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Liver with veins, gallbladder or kidney, and the diaphragm."""
    canvas.polygon([(-14, 1), (14, 1), (14, 24), (-14, 24)], Tissue.LIVER)
    for _ in range(int(rng.integers(3, 8))):
        centre = (float(rng.uniform(-6, 6)), float(rng.uniform(3, 12)))
        axes = (float(rng.uniform(0.6, 2.6)), float(rng.uniform(0.12, 0.4)))
        canvas.ellipse(centre, axes, Tissue.BLOOD, degrees=float(rng.uniform(0, 180)), rough=0.05)
    x, z, turn = float(rng.uniform(-4, 4)), float(rng.uniform(5, 9)), float(rng.uniform(-40, 40))
    if rng.random() < 0.5:
        canvas.ellipse((x, z), (2.6, 1.2), Tissue.FIBROUS, degrees=turn, rough=0.05)
        canvas.ellipse((x, z), (2.4, 1.0), Tissue.BLOOD, degrees=turn, rough=0.1)
    else:
        canvas.ellipse((x, z), (4.6, 2.2), Tissue.SOFT, degrees=turn, rough=0.1)
        canvas.ellipse((x, z), (2.8, 0.8), Tissue.FAT, degrees=turn, rough=0.2)
    bend = float(rng.uniform(11, 15))
    curve = [(float(each), bend + 0.03 * float(each) ** 2) for each in np.linspace(-13, 13, 30)]
    canvas.polygon([*curve, (14, 24), (-14, 24)], Tissue.LUNG)
    canvas.line(curve, Tissue.PERICARDIUM, 0.3)


def _lung(canvas: Canvas, rng: np.random.Generator) -> None:
    """Pleural line with its repetitions, and aerated lung below."""
    depth = float(rng.uniform(1.8, 3.4))
    canvas.polygon([(-14, depth), (14, depth), (14, 24), (-14, 24)], Tissue.LUNG)
    for order in range(1, 5):
        tissue = Tissue.PERICARDIUM if order == 1 else Tissue.ATRIAL_WALL
        row = depth * order + float(rng.normal(0.0, 0.05))
        canvas.line([(-11, row + 0.2), (0, row), (11, row + 0.2)], tissue, 0.16)


def _vessel(canvas: Canvas, rng: np.random.Generator) -> None:
    """Two vessels along or across the plane."""
    canvas.polygon([(-14, 1), (14, 1), (14, 24), (-14, 24)], Tissue.SOFT)
    long = bool(rng.random() < 0.5)
    for shift in (0.0, float(rng.uniform(2.5, 4.0))):
        radius, centre = float(rng.uniform(0.6, 1.3)), (float(rng.normal(0, 1)), float(rng.uniform(4, 6)) + shift)
        axes = (12.0, radius) if long else (1.2 * radius, radius)
        turn = float(rng.normal(0, 8))
        canvas.ellipse(centre, np.add(axes, 0.2), Tissue.FIBROUS, degrees=turn, rough=0.04)
        canvas.ellipse(centre, axes, Tissue.BLOOD, degrees=turn, rough=0.05)


def _air(canvas: Canvas, rng: np.random.Generator) -> None:
    """No contact: nothing but repetitions of the probe's face."""
    canvas.polygon([(-14, 0.4), (14, 0.4), (14, 24), (-14, 24)], Tissue.LUNG)
    gap = float(rng.uniform(0.7, 1.3))
    for order in range(1, 4):
        canvas.line([(-8, order * gap), (8, order * gap)], Tissue.FIBROUS, 0.12)
