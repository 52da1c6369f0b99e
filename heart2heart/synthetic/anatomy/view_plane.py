"""From a view and a patient to the plane that one acquisition shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heart2heart.errors import UnknownNameError
from heart2heart.synthetic.anatomy import apical, parasternal
from heart2heart.synthetic.anatomy.non_cardiac import non_cardiac
from heart2heart.synthetic.anatomy.probe_plane import ProbePlane, draw_probe_plane
from heart2heart.synthetic.anatomy.scene import CM_PER_CELL, Canvas, Points, Pose, Scene, Tissue
from heart2heart.synthetic.cardiac_motion import RegionalTranslation
from heart2heart.synthetic.patient import SyntheticPatient

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
