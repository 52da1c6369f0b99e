"""Parasternal windows: the long axis, and the short axis at three levels."""

from __future__ import annotations

import numpy as np

from heart2heart.synthetic.anatomy.scene import (
    Canvas,
    Jet,
    Leaflet,
    Scene,
    Tissue,
    curve_through,
    ellipse,
    tube,
    ventricle,
)
from heart2heart.synthetic.cardiac_motion import (
    ConcentricContraction,
    DisplacementField,
    LongitudinalShortening,
    RadialContraction,
    RegionalTranslation,
)
from heart2heart.synthetic.patient import SyntheticPatient


def long_axis(canvas: Canvas, patient: SyntheticPatient, *, oblique: float = 0.0) -> Scene:
    """Parasternal long axis: right ventricle on top, left ventricle to the left, aorta and left atrium to the right.

    Args:
        canvas: Where to paint.
        patient: Whose heart.
        oblique: Fraction of the way to the short axis: aorta and atrium are cut off centre and shrink.
    """
    pose = canvas.pose
    radius = 2.3 * patient.dilation
    middle = 4.95 + radius
    apex, base = np.array([-6.6, middle + 0.75]), np.array([0.7, middle - 0.1])
    wall, big = patient.wall, patient.atrium * (1.0 - 0.4 * oblique)
    root = np.array([0.55, middle - 1.15]), np.array([5.6, middle - 2.3])
    root_radius = 1.4 * (1.0 - 0.6 * oblique)
    la = np.array([3.15, middle + 1.75 + 0.5 * (big - 1)])
    la_size = np.array([2.35, 1.75]) * big
    rv_deep = float(middle - radius - wall)

    behind = middle + radius + wall
    canvas.polygon([(-14, behind + 0.9), (3, behind + 0.7), (8, 13.0), (14, 24), (-14, 24)], Tissue.LUNG, rough=0.25)
    canvas.polygon([(6.2, 2.0), (6.8, 7.0), (6.0, 11.0), (14, 14), (14, 2)], Tissue.LUNG, rough=0.25)
    sac = 0.32
    canvas.polygon(ventricle(apex - [0.8, 0], base, radius + wall + sac, mouth=0.95), Tissue.PERICARDIUM, rough=0.05)
    canvas.polygon(ellipse(la, (la_size + 0.6)), Tissue.PERICARDIUM, rough=0.1)
    canvas.ellipse((0.2, rv_deep - 0.75), (7.0, 1.55 * patient.right + 0.55), Tissue.MYOCARDIUM, degrees=-6, rough=0.06)
    canvas.ellipse((0.2, rv_deep - 0.75), (6.6, 1.45 * patient.right), Tissue.BLOOD, degrees=-6, rough=0.12)
    canvas.ellipse(la, (la_size + 0.25), Tissue.ATRIAL_WALL, rough=0.05)
    canvas.polygon(
        ventricle(apex - [0.6, 0], base + np.array([0.2, 0.0]), radius + wall, mouth=0.93),
        Tissue.MYOCARDIUM,
        rough=0.05,
    )
    canvas.polygon(tube(*root, root_radius + 0.25, bulge=0.25), Tissue.FIBROUS, rough=0.03)
    canvas.ellipse(la, la_size, Tissue.BLOOD, rough=0.08)
    canvas.polygon(ventricle(apex, base, radius, mouth=0.9), Tissue.BLOOD, rough=0.09)
    canvas.polygon(tube(root[0] - [0.6, 0], root[1], root_radius, bulge=0.25), Tissue.BLOOD, rough=0.03)
    low = middle + 0.86 * radius
    canvas.polygon([(-0.2, middle), (1.2, middle + 0.4), (1.7, low - 0.25), (0.2, low - 0.1)], Tissue.BLOOD)
    canvas.line([(0.75, middle + 0.12), (2.2, middle - 0.1), (5.4, middle - 0.75)], Tissue.FIBROUS, 0.24)
    canvas.ellipse((1.0, low + 0.25), (0.4, 0.38), Tissue.FIBROUS)
    canvas.ellipse((2.3, la[1] + la_size[1] + 1.75), (1.3, 1.25), Tissue.FIBROUS)
    canvas.ellipse((2.3, la[1] + la_size[1] + 1.75), (1.08, 1.03), Tissue.BLOOD)  # descending aorta

    excursion = 1.3 * patient.ejection
    shift = pose.vector(-0.9 * excursion, -0.1)
    tip = (-0.55, middle + 0.75)
    front, back = (0.75, middle + 0.1), (0.95, low - 0.02)
    curves = [
        (
            curve_through(front, (0.1, middle + 0.3), tip),
            curve_through(front, (-0.5, middle - 0.9), (-1.7, middle - 0.55)),
            "mitral",
        ),
        (
            curve_through(back, (0.3, low - 0.6), tip),
            curve_through(back, (0.2, low - 0.35), (-0.7, low - 0.3)),
            "mitral",
        ),
    ]
    axis = (root[1] - root[0]) / np.hypot(*(root[1] - root[0]))
    normal = np.array([-axis[1], axis[0]])
    centre = root[0] + 1.55 * axis
    for side in (-1.0, 1.0):
        hinge = root[0] + 0.75 * axis + side * (root_radius + 0.1) * normal
        closed = curve_through(hinge, hinge + 0.1 * axis - side * 1.45 * normal, centre)
        opened = curve_through(
            hinge, hinge + 0.9 * axis - side * 0.1 * normal, hinge + 1.6 * axis - side * 0.2 * normal
        )
        curves.append((closed, opened, "aortic"))
    leaflets = [
        Leaflet(pose.points(closed), pose.points(opened), valve, shift, -20.0 + patient.fibrosis)
        for closed, opened, valve in curves
    ]
    motions: list[DisplacementField] = [
        RadialContraction(
            pose.point(*apex),
            pose.point(*(base + np.array([0.9, 0.0]))),
            radius * pose.scale,
            wall * pose.scale,
            0.55 * patient.ejection,
        ),
        LongitudinalShortening(pose.point(*apex), pose.point(*base), 5.0 * pose.scale, excursion * pose.scale),
        RegionalTranslation(pose.point(2.6, middle - 1.6), 1.9, pose.vector(-0.1, -0.55 * patient.ejection)),
    ]
    jets = [
        Jet(pose.point(2.0, middle + 1.2), pose.point(-3.5, middle + 0.6), 0.7, 0.8, "inflow"),
        Jet(pose.point(-2.5, middle - 0.6), pose.point(*root[1]), 0.65, 1.1, "outflow"),
    ]
    if patient.regurgitation > 0:
        end = pose.point(1.4 + 1.8 * patient.regurgitation, la[1] + 0.3)
        jets.append(Jet(pose.point(0.2, middle + 0.8), end, 0.35, 4.5, "regurgitation"))
    marks = {
        "LV": pose.point(-2.4, middle + 0.3),
        "LA": pose.point(*la),
        "aorta": pose.point(3.0, middle - 1.7),
        "wall": pose.point(-1.6, middle - radius - 0.45 * wall),
        "mitral": pose.point(-0.6, middle + 0.6),
    }
    return Scene(canvas.labels(), motions, leaflets, jets, marks)


def short_axis(canvas: Canvas, patient: SyntheticPatient, level: str) -> Scene:
    """Parasternal short axis.

    Args:
        canvas: Where to paint.
        patient: Whose heart.
        level: `apical`, `papillary`, `mitral`, or `aortic`.
    """
    return _great_vessels(canvas, patient) if level == "aortic" else _ring(canvas, patient, level)


def _ring(canvas: Canvas, patient: SyntheticPatient, level: str) -> Scene:
    pose = canvas.pose
    radius = {"apical": 1.45, "papillary": 2.15, "mitral": 2.3}[level] * patient.dilation
    wall = patient.wall
    x, z = 0.85, 4.4 + wall + radius
    canvas.polygon([(-14, z + 4.6), (-4, z + 4.2), (x + 4.0, z + 3.0), (x + 5.0, 3.5), (14, 2), (14, 24), (-14, 24)],
                   Tissue.LUNG, rough=0.25)  # fmt: skip
    rv = np.array([x - 2.45, z - 1.15]), np.array([3.2, 2.75]) * (0.75 + 0.25 * patient.right)
    if level == "apical":
        rv = rv[0], 0.6 * rv[1]
    canvas.ellipse((x, z), (radius + wall + 0.32, radius + wall + 0.32), Tissue.PERICARDIUM, rough=0.06)
    canvas.ellipse(rv[0], (rv[1] + 0.6), Tissue.FAT, degrees=-32, rough=0.1)
    canvas.ellipse(rv[0], (rv[1] + 0.38), Tissue.MYOCARDIUM, degrees=-32, rough=0.05)
    canvas.ellipse(rv[0], rv[1], Tissue.BLOOD, degrees=-32, rough=0.14)
    canvas.ellipse((x, z), (radius + wall, radius + wall), Tissue.MYOCARDIUM, rough=0.05)
    canvas.ellipse((x, z), (radius, radius), Tissue.BLOOD, rough=0.1)
    leaflets = []
    if level == "papillary":
        for degrees in (38.0, 150.0):
            turn = np.deg2rad(degrees)
            root = (x + 0.74 * radius * np.cos(turn), z + 0.74 * radius * np.sin(turn))
            canvas.ellipse(root, (0.62, 0.5), Tissue.MYOCARDIUM, degrees=degrees, rough=0.08)
    elif level == "mitral":
        half = 0.72 * radius
        for side in (-1.0, 1.0):
            closed = curve_through((x - half, z + 0.25), (x, z + 0.5 + 0.12 * side), (x + half, z + 0.1), 48)
            opened = curve_through((x - half, z + 0.25), (x, z + 0.2 + side * 2.1), (x + half, z + 0.1), 48)
            leaflets.append(
                Leaflet(pose.points(closed), pose.points(opened), "mitral", (0.0, 0.0), -20.0 + patient.fibrosis)
            )
    fraction = 0.55 * patient.ejection
    motions: list[DisplacementField] = [
        ConcentricContraction(pose.point(x, z), radius * pose.scale, wall * pose.scale, fraction),
        RegionalTranslation(pose.point(x, z), 3.2, pose.vector(0.15, -0.15)),
    ]
    marks = {
        "LV": pose.point(x, z - 0.2),
        "RV": pose.point(x - 3.5, z - 1.6),
        "wall": pose.point(x, z + radius + 0.5 * wall),
    }
    jets = [Jet(pose.point(x, z + 1.6), pose.point(x, z - 1.6), 0.9, 0.45, "inflow")]
    return Scene(canvas.labels(), motions, leaflets, jets, marks)


def _great_vessels(canvas: Canvas, patient: SyntheticPatient) -> Scene:
    pose = canvas.pose
    x, z, radius = 0.25, 6.2, 1.55
    la, size = np.array([0.55, 9.6]), np.array([3.0, 1.85]) * patient.atrium
    canvas.polygon(
        [(-14, 12.8), (0, 12.6), (6.5, 9.0), (6.8, 3.0), (14, 2), (14, 24), (-14, 24)], Tissue.LUNG, rough=0.25
    )
    canvas.ellipse(la, (size + 0.6), Tissue.PERICARDIUM, rough=0.1)
    canvas.ellipse((-3.5, 8.0), (2.2, 2.1), Tissue.PERICARDIUM, rough=0.1)
    canvas.ellipse((-0.3, 4.6), (5.2, 2.5 * patient.right), Tissue.MYOCARDIUM, degrees=-4, rough=0.08)
    canvas.ellipse((-0.3, 4.65), (4.8, 2.1 * patient.right), Tissue.BLOOD, degrees=-4, rough=0.12)
    artery = np.array([3.1, 4.5]), np.array([4.3, 9.6])
    canvas.polygon(tube(*artery, 1.35), Tissue.FIBROUS)
    canvas.ellipse(la, (size + 0.22), Tissue.ATRIAL_WALL)
    canvas.ellipse((-3.4, 7.9), (2.0, 1.9), Tissue.ATRIAL_WALL)
    canvas.polygon(tube(artery[0] - [0.1, 0.6], artery[1], 1.12), Tissue.BLOOD)
    canvas.ellipse(la, size, Tissue.BLOOD, rough=0.08)
    canvas.ellipse((-3.4, 7.9), (1.8, 1.7), Tissue.BLOOD, rough=0.08)
    canvas.line([(-1.5, 7.3), (-2.0, 8.8), (-2.2, 10.6)], Tissue.ATRIAL_WALL, 0.24)
    canvas.ellipse((x, z), (radius + 0.28, radius + 0.28), Tissue.FIBROUS, rough=0.04)
    canvas.ellipse((x, z), (radius, radius), Tissue.BLOOD, rough=0.05)
    leaflets = []
    for degrees in (90.0, 210.0, 330.0):
        turn = np.deg2rad(degrees)
        rim = (x + radius * np.cos(turn), z + radius * np.sin(turn))
        aside = np.deg2rad(degrees + 60.0)
        closed = curve_through((x, z), ((x + rim[0]) / 2, (z + rim[1]) / 2), rim)
        bulge = (x + 1.02 * radius * np.cos(aside), z + 1.02 * radius * np.sin(aside))
        following = (x + radius * np.cos(turn + 2.094), z + radius * np.sin(turn + 2.094))
        leaflets.append(
            Leaflet(
                pose.points(closed),
                pose.points(curve_through(rim, bulge, following)),
                "aortic",
                (0.0, 0.0),
                -20.0 + patient.fibrosis,
            )
        )
    motions: list[DisplacementField] = [
        RegionalTranslation(pose.point(x, z), 2.6, pose.vector(0.1, -0.7 * patient.ejection)),
        RadialContraction(pose.point(-5.5, 4.6), pose.point(5.5, 4.6), 1.9 * pose.scale, 0.4, 0.3 * patient.ejection),
    ]
    jets = [Jet(pose.point(*artery[0]), pose.point(*artery[1]), 0.7, 0.9, "outflow")]
    marks = {"aorta": pose.point(x - 0.6, z - 0.6), "LA": pose.point(*la), "RV": pose.point(-1.5, 3.9),
             "wall": pose.point(-1.0, z - 2.0)}  # fmt: skip
    return Scene(canvas.labels(), motions, leaflets, jets, marks)
