"""Apical windows: four, five and two chambers, and the long axis. The apex is up, as on the screen."""

from __future__ import annotations

import numpy as np

from heart2heart.synthetic.anatomy.left_heart import LeftHeart, paint_atrium, paint_lungs
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
    RadialContraction,
)
from heart2heart.synthetic.patient import SyntheticPatient


def four_chamber(canvas: Canvas, patient: SyntheticPatient, *, aorta: float = 0.0, rotation: float = 0.0) -> Scene:
    """Apical four-chamber plane.

    The right heart lies on the left of the screen; the tricuspid ring sits a little nearer the apex than the mitral.

    Args:
        canvas: Where to paint.
        patient: Whose heart.
        aorta: Tilt towards the five-chamber plane, 0 to 1; the outflow tract shows from 0.25 on.
        rotation: Rotation towards the two-chamber plane, -1 to 1; above 0 the right heart leaves the plane, below 0
            more of it shows.
    """
    pose = canvas.pose
    turn = max(rotation, 0.0)
    tipped = aorta if aorta > 0.25 else 0.0

    def interpolate(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
        return start[0] + turn * (end[0] - start[0]), start[1] + turn * (end[1] - start[1])

    lv = LeftHeart(
        patient, interpolate((1.05, 3.0), (0.15, 2.95)), interpolate((1.25, 10.1), (0.1, 10.3)), 2.25 + 0.15 * turn
    )
    right, big = patient.right * (1.0 - 0.15 * min(rotation, 0.0) - 0.85 * turn), patient.atrium
    la = np.array(interpolate((1.35 + 0.4 * tipped, 12.55 + 0.3 * (big - 1)), (0.1, 12.75)))
    la_size = np.array([2.1 - 0.35 * tipped, 2.25 - 0.35 * tipped]) * big
    rv_apex = np.array([-1.9 - 0.7 * turn, 4.4 + 2.2 * turn])
    rv_base = np.array([-3.35 - 0.5 * (right - 1) + 0.2 * turn, 9.55])
    rv_radius = 2.0 * right
    ra = np.array([-2.95 - 0.3 * (right - 1), 12.0])
    ra_size = np.array([1.95, 2.05]) * right * (1.0 - 0.15 * tipped)
    septum = float(lv.base[0] - lv.radius * 0.8 - 0.35)

    paint_lungs(canvas, -5.4 - (right - 1), 4.9)
    sac = 0.3
    canvas.polygon(lv.shell(lv.wall + sac), Tissue.PERICARDIUM, rough=0.06)
    canvas.polygon(ventricle(rv_apex - [0.2, 0.5], rv_base, rv_radius + 0.75), Tissue.FAT, rough=0.1)
    canvas.polygon(ellipse(la, (la_size + 0.65)), Tissue.PERICARDIUM, rough=0.12)
    canvas.polygon(ellipse(ra, (ra_size + 0.6)), Tissue.PERICARDIUM, rough=0.12)
    canvas.polygon(ventricle(rv_apex - [0.0, 0.3], rv_base, rv_radius + 0.42), Tissue.MYOCARDIUM, rough=0.05)
    paint_atrium(canvas, ra, ra_size, wall=0.25)
    paint_atrium(canvas, la, la_size, wall=0.25)
    canvas.polygon(ventricle(rv_apex, rv_base, rv_radius, mouth=0.75), Tissue.BLOOD, rough=0.12)
    canvas.line([(-4.3 * right, 6.6), (-2.1, 7.9)], Tissue.MYOCARDIUM, 0.16)  # the moderator band
    canvas.polygon(lv.shell(lv.wall), Tissue.MYOCARDIUM, rough=0.05)
    canvas.polygon(lv.cavity(), Tissue.BLOOD, rough=0.09)
    canvas.polygon(lv.ring(), Tissue.BLOOD)
    canvas.polygon(
        [(rv_base[0] - 1.2, 9.2), (rv_base[0] + 1.15, 9.2), (ra[0] + 1.2, 10.6), (ra[0] - 1.2, 10.6)], Tissue.BLOOD
    )
    root = np.array([septum + 0.55, 9.3]), np.array([septum - 0.35, 9.3 + 1.2 + 2.4 * tipped])
    if tipped:
        canvas.polygon(tube(*root, 1.2 * tipped + 0.22, bulge=0.2), Tissue.FIBROUS)
        canvas.polygon(tube(*root, 1.2 * tipped, bulge=0.2), Tissue.BLOOD)
    else:
        canvas.line([(septum, 10.0), (septum + 0.1, 12.0), (septum - 0.05, 14.5)], Tissue.ATRIAL_WALL, 0.24)
    canvas.ellipse((septum - 0.1, 9.95), (0.38, 0.5), Tissue.FIBROUS)
    canvas.ellipse(lv.at(1.02, lv.mouth + 0.25), (0.3, 0.35), Tissue.FIBROUS)

    leaflets = lv.mitral(pose, patient.fibrosis)
    shift = pose.vector(0.1, -2.2 * patient.ejection)
    for side in (-1.0, 1.0):
        hinge = (rv_base[0] + side * 1.15 * right, 9.5)
        closed = curve_through(hinge, (rv_base[0] + side * 0.6, 9.6), (rv_base[0] + 0.1, 9.0))
        opened = curve_through(hinge, (hinge[0] - side * 0.1, 8.8), (hinge[0] - side * 0.35, 8.0))
        leaflets.append(Leaflet(pose.points(closed), pose.points(opened), "mitral", shift, -22.0))
    motions = [
        *lv.motions(pose, patient, 6.2, la),
        RadialContraction(
            pose.point(*rv_apex), pose.point(*rv_base), rv_radius * pose.scale, 0.45, 0.33 * patient.ejection
        ),
    ]
    jets = lv.flow(pose, patient)
    marks = {
        "LV": pose.point(*lv.at(0.6, 0.2)),
        "LA": pose.point(*la),
        "RV": pose.point(*(0.45 * rv_apex + 0.55 * rv_base)),
        "wall": pose.point(*lv.at(0.55, -lv.radius - 0.5 * lv.wall)),
        "mitral": pose.point(*lv.at(0.88, 0.0)),
        "outflow": pose.point(*lv.at(1.0, -0.7 * lv.radius)),
    }
    if tipped:
        for side in (-1.0, 1.0):
            hinge = (float(root[0][0]) + side * 1.2 * tipped, 9.9)
            closed = curve_through(
                hinge, (hinge[0] - side * 0.9 * tipped, 9.9), (hinge[0] - side * 1.15 * tipped, 10.6)
            )
            opened = curve_through(hinge, (hinge[0] - side * 0.2, 10.6), (hinge[0] - side * 0.25, 11.3))
            leaflets.append(
                Leaflet(pose.points(closed), pose.points(opened), "aortic", shift, -19.0 + patient.fibrosis)
            )
        jets.append(Jet(pose.point(*root[0]), pose.point(*root[1]), 0.7, 1.2, "outflow"))
        marks["aorta"] = pose.point(*(0.3 * root[0] + 0.7 * root[1]))
    return Scene(canvas.labels(), motions, leaflets, jets, marks)


def two_chamber(canvas: Canvas, patient: SyntheticPatient, *, rotation: float = 0.0) -> Scene:
    """Apical two-chamber plane: left ventricle and atrium alone, coronary sinus and appendage beside the ring.

    Args:
        canvas: Where to paint.
        patient: Whose heart.
        rotation: Rotation towards the long axis, or below 0 towards the four-chamber plane, -1 to 1: a part of the
            outflow tract or of the right ventricle shows.
    """
    pose = canvas.pose
    lv = LeftHeart(patient, (0.15, 2.95), (0.1, 10.3), 2.4)
    la, size = np.array([0.1, 12.75]), np.array([2.45, 2.25]) * patient.atrium

    paint_lungs(canvas, -4.3, 4.4)
    if rotation < -0.2:
        _part_of_right_heart(canvas, lv, -rotation * patient.right)
    canvas.polygon(lv.shell(lv.wall + 0.3), Tissue.PERICARDIUM, rough=0.06)
    canvas.polygon(ellipse(la, (size + 0.65)), Tissue.PERICARDIUM, rough=0.12)
    canvas.ellipse((2.95, 11.35), (1.2, 0.75), Tissue.ATRIAL_WALL, degrees=-25)
    paint_atrium(canvas, la, size)
    canvas.ellipse((2.75, 11.45), (0.95, 0.5), Tissue.BLOOD, degrees=-25, rough=0.08)
    canvas.polygon(lv.shell(lv.wall), Tissue.MYOCARDIUM, rough=0.05)
    canvas.polygon(lv.cavity(), Tissue.BLOOD, rough=0.09)
    canvas.polygon(lv.ring(), Tissue.BLOOD)
    canvas.ellipse(lv.at(1.03, -lv.mouth - 0.35), (0.65, 0.62), Tissue.FIBROUS)
    canvas.ellipse(lv.at(1.04, -lv.mouth - 0.4), (0.42, 0.4), Tissue.BLOOD)
    canvas.ellipse(lv.at(1.02, lv.mouth + 0.3), (0.33, 0.35), Tissue.FIBROUS)
    if rotation > 0.25:
        tract = np.array(lv.at(0.93, 0.7 * lv.radius)), np.array([2.6, 10.3 + 3.2 * rotation])
        canvas.polygon(tube(*tract, 1.3 * rotation + 0.2), Tissue.FIBROUS, rough=0.03)
        canvas.polygon(tube(*tract, 1.3 * rotation), Tissue.BLOOD, rough=0.03)
    for side, along in ((-1.0, 0.5), (1.0, 0.45)):  # papillary muscles
        canvas.ellipse(
            lv.at(along, side * lv.radius * 0.86), (0.3, 0.85), Tissue.MYOCARDIUM, degrees=side * 8, rough=0.05
        )
    marks = {"LV": pose.point(*lv.at(0.65, 0.0)), "LA": pose.point(*la), "mitral": pose.point(*lv.at(0.88, 0.0)),
             "wall": pose.point(*lv.at(0.6, -lv.radius - 0.5 * lv.wall))}  # fmt: skip
    return Scene(
        canvas.labels(),
        lv.motions(pose, patient, 4.5, la),
        lv.mitral(pose, patient.fibrosis),
        lv.flow(pose, patient),
        marks,
    )


def _part_of_right_heart(canvas: Canvas, lv: LeftHeart, share: float) -> None:
    """Paint the edge of the right ventricle and atrium beside the left heart; `share` of their size shows."""
    x = lv.at(0.75, -lv.radius - lv.wall)[0] - 0.9 * share
    ventricle_edge = ventricle(np.array([x + 0.6, 8.8 - 4.0 * share]), np.array([x, 9.7]), 1.7 * share + 0.3)
    canvas.polygon(ventricle_edge, Tissue.MYOCARDIUM, rough=0.06)
    canvas.polygon(ventricle(np.array([x + 0.6, 9.1 - 4.0 * share]), np.array([x, 9.6]), 1.7 * share), Tissue.BLOOD)
    paint_atrium(canvas, np.array([x - 0.2, 11.6]), np.array([1.7, 1.8]) * share)


def long_axis(canvas: Canvas, patient: SyntheticPatient, *, rotation: float = 0.0) -> Scene:
    """Apical long axis (A3C): atrium below on the left, outflow tract and aortic root below on the right.

    Args:
        canvas: Where to paint.
        patient: Whose heart.
        rotation: Rotation towards the two-chamber plane, 0 to 1: the outflow tract narrows.
    """
    pose = canvas.pose
    lv = LeftHeart(patient, (0.9, 3.0), (0.1, 9.9), 2.3)
    la, size = np.array([-1.6, 12.3]), np.array([2.0, 2.1]) * patient.atrium
    root = np.array(lv.at(0.92, 0.62 * lv.radius)), np.array([3.3, 13.9])
    wide = 1.25 * (1.0 - 0.7 * rotation)

    paint_lungs(canvas, -4.2, 5.9)
    canvas.polygon(lv.shell(lv.wall + 0.3), Tissue.PERICARDIUM, rough=0.06)
    canvas.polygon(ellipse(la, (size + 0.6)), Tissue.PERICARDIUM, rough=0.12)
    canvas.ellipse((4.55, 8.0), (1.35, 2.9), Tissue.FAT, degrees=-12, rough=0.1)
    canvas.ellipse((4.5, 8.0), (0.95, 2.5), Tissue.BLOOD, degrees=-12, rough=0.1)  # right ventricular outflow tract
    paint_atrium(canvas, la, size)
    canvas.polygon(lv.shell(lv.wall), Tissue.MYOCARDIUM, rough=0.05)
    canvas.polygon(tube(*root, wide + 0.25, bulge=0.25), Tissue.FIBROUS, rough=0.03)
    canvas.polygon(lv.cavity(), Tissue.BLOOD, rough=0.09)
    canvas.polygon(tube(*root, wide, bulge=0.25), Tissue.BLOOD, rough=0.03)
    canvas.polygon(
        [lv.at(0.94, -lv.mouth), lv.at(0.94, 0.3), lv.at(1.12, 0.1), lv.at(1.14, -lv.mouth * 0.9)], Tissue.BLOOD
    )
    canvas.line([lv.at(1.0, 0.25 * lv.radius), (0.75, 11.2), (0.9, 13.0)], Tissue.FIBROUS, 0.22)
    canvas.ellipse(lv.at(1.01, -lv.mouth - 0.25), (0.3, 0.35), Tissue.FIBROUS)

    shift = pose.vector(*(-0.9 * lv.excursion * lv.along))
    r = lv.radius
    tip = lv.at(0.9, -0.35 * r)
    front, back = lv.at(1.0, 0.25 * lv.radius), lv.at(1.0, -lv.mouth)
    curves = [
        (
            curve_through(front, lv.at(0.97, 0.0), tip),
            curve_through(front, lv.at(0.88, 0.4 * r), lv.at(0.74, 0.15 * r)),
            "mitral",
        ),
        (
            curve_through(back, lv.at(0.98, -0.6 * r), tip),
            curve_through(back, lv.at(0.92, -0.8 * r), lv.at(0.84, -0.7 * r)),
            "mitral",
        ),
    ]
    axis = (root[1] - root[0]) / np.hypot(*(root[1] - root[0]))
    normal = np.array([-axis[1], axis[0]])
    for side in (-1.0, 1.0):
        hinge = root[0] + 0.5 * axis + side * wide * normal
        closed = curve_through(hinge, hinge + 0.7 * axis - side * 0.5 * normal, root[0] + 0.9 * axis)
        opened = curve_through(hinge, hinge + 0.8 * axis, hinge + 1.5 * axis - side * 0.2 * normal)
        curves.append((closed, opened, "aortic"))
    leaflets = [
        Leaflet(pose.points(closed), pose.points(opened), valve, shift, -20.0 + patient.fibrosis)
        for closed, opened, valve in curves
    ]
    jets = [
        Jet(pose.point(*lv.at(1.1, -0.8)), pose.point(*lv.at(0.25, -0.4)), 0.7, 0.85, "inflow"),
        Jet(pose.point(*lv.at(0.55, 0.3)), pose.point(*root[1]), 0.65, 1.2, "outflow"),
    ]
    marks = {
        "LV": pose.point(*lv.at(0.6, 0.0)),
        "LA": pose.point(*la),
        "aorta": pose.point(*(0.5 * (root[0] + root[1]))),
        "wall": pose.point(*lv.at(0.6, -r - 0.5 * lv.wall)),
    }
    return Scene(canvas.labels(), lv.motions(pose, patient, 4.8, la), leaflets, jets, marks)
