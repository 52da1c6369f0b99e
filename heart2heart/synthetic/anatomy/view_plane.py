"""From a view, a patient and the probe's position to the plane that one acquisition shows.

Some planes show no heart: abdomen, lung, a vessel, air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from heart2heart.errors import UnknownNameError
from heart2heart.synthetic.anatomy import apical, parasternal
from heart2heart.synthetic.anatomy.scene import CM_PER_CELL, Canvas, Points, Pose, Scene, Tissue
from heart2heart.synthetic.cardiac_motion import Point, RegionalTranslation
from heart2heart.synthetic.patient import SyntheticPatient

_PSAX_LEVELS = ("papillary", "mitral", "aortic", "apical")
_LEVEL_SHARES = (0.55, 0.25, 0.12, 0.08)


@dataclass(frozen=True)
class ProbePlane:
    """Offset of a plane from the standard one.

    Attributes:
        rotation: Rotation of the probe about its axis towards a neighbouring standard plane, as a fraction of the way:
            from A4C towards A2C, from A2C towards A3C (below 0: towards A4C), from A3C towards A2C, from PLAX and PSAX
            towards each other.
        outflow: Tilt from A4C towards A5C, as a fraction of the way; how much of the outflow tract shows.
        foreshortening: Share of the long axis that is lost because the plane misses the apex.
        degrees: Rotation in the picture, clockwise.
        shift: Position of the heart in the picture, cm.
        level: Level of the short axis: `papillary`, `mitral`, `aortic` or `apical`.
        flipped: Whether the picture is mirrored.
    """

    rotation: float = 0.0
    outflow: float = 0.0
    foreshortening: float = 0.0
    degrees: float = 0.0
    shift: Point = (0.0, 0.0)
    level: str = "papillary"
    flipped: bool = False


def draw_probe_plane(
    view: str, patient: SyntheticPatient, rng: np.random.Generator, *, severity: float = 0.0, flipped: float = 0.0
) -> ProbePlane:
    """Draw how the probe was held.

    Args:
        view: Intended view.
        patient: Whose heart; a patient's windows push the probe the same way in every clip.
        rng: Source of randomness.
        severity: Size of the offsets; 0 leaves the standard plane with a little tilt and translation.
        flipped: Share of mirrored clips.
    """
    level = _PSAX_LEVELS[int(rng.choice(len(_PSAX_LEVELS), p=_LEVEL_SHARES))]
    degrees = patient.tilt + float(rng.normal(0.0, 3.5 + 1.5 * severity))
    aside = float(rng.normal(patient.aside, 0.4 + 0.15 * severity))
    deeper = float(rng.normal(0.0, 0.3 + 0.1 * severity)) + 0.55 * (patient.chest - 1.6)
    rotation = float(np.clip(rng.normal(patient.rotation, 0.1) * severity, -0.8, 0.8))
    outflow = float(np.clip(rng.normal(-0.05, 0.18) * severity, 0.0, 0.7))
    if view == "A5C":
        outflow = float(np.clip(1.0 - abs(rng.normal(0.0, 0.2)) * severity, 0.4, 1.0))
    shorter = float(np.clip(abs(rng.normal(0.0, 0.06)) * severity, 0.0, 0.38))
    mirrored = bool(rng.random() < flipped)
    return ProbePlane(rotation, outflow, shorter, degrees, (aside, deeper), level, mirrored)


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


SIMULATED_VIEWS = ("PLAX", "PSAX", "A4C", "A2C", "A3C", "A5C", "SUBCOSTAL", "OTHER")
"""Views that the simulator can show; the last four lie outside the benchmark's four, `OTHER` has no heart."""

USUAL_DEPTH_CM = {
    "PLAX": 15.0, "PSAX": 14.0, "A4C": 16.5, "A2C": 16.5, "A3C": 16.5, "A5C": 16.5, "SUBCOSTAL": 19.0, "OTHER": 14.0,
}  # fmt: skip
"""Depth that a sonographer would set for each view on an average adult."""

_PIVOT = {"PLAX": (0.0, 7.0), "PSAX": (0.5, 7.0)}


def draw_scene(
    view: str, patient: SyntheticPatient, rng: np.random.Generator, plane: ProbePlane | None = None
) -> Scene:
    """Draw one acquisition of `view`: the patient's anatomy as the probe's plane cuts it.

    Args:
        view: One of `SIMULATED_VIEWS`.
        patient: Whose heart.
        rng: Draws the irregularity of contours.
        plane: How the probe was held; None draws a plane near the standard one.

    Raises:
        UnknownNameError: the simulator has no such view.
    """
    if view not in SIMULATED_VIEWS:
        raise UnknownNameError.among("simulated view", view, list(SIMULATED_VIEWS))
    scene = _view_scene(view, patient, plane or draw_probe_plane(view, patient, rng), rng)
    # Each beat pushes the chest wall: nothing under a hand-held probe stands quite still.
    push = float(rng.uniform(0.03, 0.08))
    scene.motions.append(RegionalTranslation((0.0, 2.0), 8.0, (float(rng.normal(0.0, 0.03)), -push)))
    return scene


def _view_scene(view: str, patient: SyntheticPatient, plane: ProbePlane, rng: np.random.Generator) -> Scene:
    aside, deeper = plane.shift
    oblique = abs(plane.rotation)
    length = patient.length * (1.0 - plane.foreshortening)
    stretch = {
        "PLAX": (length * (1.0 - 0.3 * oblique), 1.0),
        "PSAX": (1.0 + 0.55 * oblique, 1.0),
        "OTHER": (1.0, 1.0),
    }.get(view, (1.0, length))
    if view == "SUBCOSTAL":
        pose = Pose(0.9 * patient.size, 66.0 + plane.degrees, (0.2, 8.5), (aside + 0.6, deeper + 2.6), stretch)
        return _with_liver(apical.four_chamber(Canvas(pose, rng, patient.roughness), patient), rng)
    pose = Pose(patient.size, plane.degrees, _PIVOT.get(view, (0.0, 3.0)), plane.shift, stretch)
    canvas = Canvas(pose, rng, patient.roughness)
    if view == "OTHER":
        return non_cardiac(canvas, rng)
    if view == "PLAX":
        return parasternal.long_axis(canvas, patient, oblique=oblique)
    if view == "PSAX":
        return parasternal.short_axis(canvas, patient, plane.level)
    if view == "A2C":
        return apical.two_chamber(canvas, patient, rotation=plane.rotation)
    if view == "A3C":
        return apical.long_axis(canvas, patient, rotation=oblique)
    return apical.four_chamber(canvas, patient, rotation=plane.rotation, aorta=plane.outflow)


def _with_liver(scene: Scene, rng: np.random.Generator) -> Scene:
    """Put the liver between probe and heart, hepatic veins in it; the heart covers it."""
    canvas = Canvas(Pose(), rng)
    edge: Points = np.array([(-13, 1), (13, 1), (13, 5.0), (7, 6.8), (3, 7.5), (-2, 8.6), (-6, 10.2), (-13, 13.0)])
    canvas.polygon(edge, Tissue.LIVER, rough=0.2)
    for _ in range(5):
        x, z = float(rng.uniform(-6, 4)), float(rng.uniform(2.8, 5.8))
        turn = float(rng.normal(20.0, 15.0))
        canvas.ellipse(
            (x, z), (float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.12, 0.25))), Tissue.BLOOD, degrees=turn
        )
    liver = canvas.labels()
    nearest = np.arange(len(liver))[:, None] * CM_PER_CELL < 4.5
    covers = (liver != Tissue.SOFT) & (np.isin(scene.labels, (Tissue.SOFT, Tissue.LUNG)) | nearest)
    return replace(scene, labels=np.where(covers, liver, scene.labels))
