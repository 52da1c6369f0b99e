"""What all apical planes share: the left heart, an atrium, and the lungs beside the heart."""

from __future__ import annotations

import numpy as np

from heart2heart.synthetic.anatomy.scene import (
    Canvas,
    Jet,
    Leaflet,
    Points,
    Pose,
    Tissue,
    curve_through,
    ventricle,
)
from heart2heart.synthetic.cardiac_motion import (
    ConcentricContraction,
    DisplacementField,
    LongitudinalShortening,
    RadialContraction,
)
from heart2heart.synthetic.patient import SyntheticPatient


class LeftHeart:
    """The left ventricle of an apical plane: its axis, its size, and how it moves."""

    def __init__(
        self, patient: SyntheticPatient, apex: tuple[float, float], base: tuple[float, float], radius: float
    ) -> None:
        self.apex, self.base = np.array(apex), np.array(base)
        self.radius = radius * patient.dilation
        self.wall = patient.wall
        self.excursion = 2.1 * patient.ejection
        axis = self.base - self.apex
        self.along = axis / np.hypot(*axis)
        self.across = np.array([self.along[1], -self.along[0]])  # to the right of the screen
        self.mouth = 0.8 * self.radius

    def at(self, along: float, across: float) -> tuple[float, float]:
        """Point at a fraction of the axis and a distance (cm) to its right."""
        where = self.apex + along * (self.base - self.apex) + across * self.across
        return float(where[0]), float(where[1])

    def shell(self, thickness: float) -> Points:
        """Outline of the cavity grown by `thickness` cm; the apex grows less."""
        return ventricle(
            self.apex - 0.75 * thickness * self.along,
            self.base + 0.15 * self.along,
            self.radius + thickness,
            mouth=(self.mouth + thickness) / (self.radius + thickness),
        )

    def cavity(self) -> Points:
        """Outline of the cavity."""
        return ventricle(self.apex, self.base, self.radius)

    def ring(self) -> list[tuple[float, float]]:
        """Outline of the opening between ventricle and atrium."""
        across = ((0.94, -1.0), (0.94, 1.0), (1.11, 0.9), (1.11, -0.9))
        return [self.at(along, side * self.mouth) for along, side in across]

    def mitral(self, pose: Pose, fibrosis: float) -> list[Leaflet]:
        """Both mitral leaflets, hinged at the ring, closed with the coaptation in front of it."""
        shift = pose.vector(*(-0.95 * self.excursion * self.along))
        tip = self.at(0.93, 0.05 * self.radius)
        leaflets = []
        for side, reach in ((-1.0, 0.80), (1.0, 0.86)):
            hinge = self.at(1.0, side * self.mouth)
            closed = curve_through(hinge, self.at(1.01, side * 0.5 * self.mouth), tip)
            opened = curve_through(
                hinge, self.at(0.93, side * 0.86 * self.mouth), self.at(reach - 0.04, side * 0.5 * self.mouth)
            )
            leaflets.append(Leaflet(pose.points(closed), pose.points(opened), "mitral", shift, -20.0 + fibrosis))
        return leaflets

    def motions(self, pose: Pose, patient: SyntheticPatient, reach: float, atrium: Points) -> list[DisplacementField]:
        """Contraction of the cavity, descent of the base, and the kick of the left atrium centred at `atrium`."""
        apex, base = pose.point(*self.apex), pose.point(*self.base)
        radius, wall = self.radius * pose.scale, self.wall * pose.scale
        return [
            RadialContraction(apex, base, radius, wall, 0.52 * patient.ejection),
            LongitudinalShortening(apex, base, reach * pose.scale, self.excursion * pose.scale),
            ConcentricContraction(pose.point(*atrium), 2.1 * patient.atrium * pose.scale, 0.25, 0.1, "atrial"),
        ]

    def flow(self, pose: Pose, patient: SyntheticPatient) -> list[Jet]:
        """Filling towards the apex, ejection away from it, and a leak if the patient has one."""
        ring, tip = self.at(1.1, 0.2), self.at(0.25, 0.3)
        jets = [
            Jet(pose.point(*ring), pose.point(*tip), 0.75, 0.85, "inflow"),
            Jet(pose.point(*self.at(0.4, 0.0)), pose.point(*self.at(1.02, -0.75 * self.radius)), 0.6, 0.95, "outflow"),
        ]
        if patient.regurgitation > 0:
            end = self.at(1.1 + 0.35 * patient.regurgitation, 0.4)
            jets.append(Jet(pose.point(*self.at(0.97, 0.0)), pose.point(*end), 0.35, 4.2, "regurgitation"))
        return jets


def paint_lungs(canvas: Canvas, left: float, right: float) -> None:
    """Paint the lungs beside the heart, from `left` and `right` (cm) outwards."""
    canvas.polygon([(right, 3.0), (right + 1.2, 5.0), (right + 0.6, 24), (16, 24), (16, 2.0)], Tissue.LUNG, rough=0.3)
    canvas.polygon([(left, 4.0), (left - 0.6, 8.0), (left - 0.3, 24), (-16, 24), (-16, 3.0)], Tissue.LUNG, rough=0.3)


def paint_atrium(canvas: Canvas, centre: Points, size: Points, wall: float = 0.22) -> None:
    """Paint an atrium: blood in a wall of `wall` cm."""
    canvas.ellipse(centre, size + wall, Tissue.ATRIAL_WALL, rough=0.05)
    canvas.ellipse(centre, size, Tissue.BLOOD, rough=0.08)
