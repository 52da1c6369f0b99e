"""Draws each view of the taxonomy `usual` for the label page: python -m tools.view_drawings.

The simulator's anatomy paints the shapes, without its irregularities; views that it does not simulate are painted here
on the same canvas. The drawings are schematic: no size in them is a measurement.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.synthetic.anatomy import apical, parasternal
from heart2heart.synthetic.anatomy.scene import Canvas, Points, Pose, Scene, Tissue, curve_through, tube, ventricle
from heart2heart.synthetic.patient import SyntheticPatient

FOLDER = Path(__file__).parents[1] / "heart2heart" / "annotate" / "drawings"
COLOURS = {
    Tissue.SOFT: "#2b2b2b", Tissue.BLOOD: "#0a0a12", Tissue.MYOCARDIUM: "#8a8a8a", Tissue.PERICARDIUM: "#d0d0d0",
    Tissue.FIBROUS: "#c8c8c8", Tissue.ATRIAL_WALL: "#9a9a9a", Tissue.LIVER: "#5d5750", Tissue.CHEST_WALL: "#6a6a6a",
    Tissue.LUNG: "#1c1c1c", Tissue.FAT: "#707070",
}  # fmt: skip
_NAMES = {"LV": "LV", "RV": "RV", "LA": "LA", "RA": "RA", "aorta": "Ao"}
_PATIENT = SyntheticPatient(roughness=0.0)
_HALF_ANGLE = np.deg2rad(42.0)
Named = Mapping[str, tuple[float, float]]


class DrawingCanvas(Canvas):
    """A canvas that also keeps its shapes, in the order of painting.

    Args:
        pose: Where the heart lies in the picture.
    """

    def __init__(self, pose: Pose | None = None) -> None:
        super().__init__(pose or Pose(), np.random.default_rng(0), 0.0)
        self.shapes: list[tuple[Points, Tissue, float]] = []

    def polygon(self, points: npt.ArrayLike, tissue: Tissue, *, rough: float = 0.0) -> None:
        """Keep a filled polygon."""
        outline = self.pose.points(points)
        self.shapes.append((outline[:: 3 if len(outline) > 30 else 1], tissue, 0.0))

    def line(self, points: npt.ArrayLike, tissue: Tissue, thickness: float) -> None:
        """Keep an open line."""
        self.shapes.append((self.pose.points(points), tissue, thickness * self.pose.scale))


def _simulated(draw: Callable[[Canvas], Scene], pose: Pose | None = None, **more: tuple[float, float]) -> _Drawing:
    canvas = DrawingCanvas(pose)
    scene = draw(canvas)
    for leaflet in scene.leaflets:
        canvas.shapes.append((leaflet.closed[::4], Tissue.PERICARDIUM, 0.12))
    marks = {name: point for name, point in scene.landmarks.items() if name in _NAMES}
    return _Drawing(canvas, marks | {name: canvas.pose.point(*point) for name, point in more.items()})


class _Drawing:
    """Shapes, named points, and the part of the plane that is shown."""

    def __init__(self, canvas: DrawingCanvas, marks: Named, *, depth: float = 16.5) -> None:
        self.shapes, self.marks, self.depth = canvas.shapes, dict(marks), depth

    def upside_down(self, depth: float = 16.5) -> _Drawing:
        """Return the drawing as a probe behind the heart shows it: what was deep is next to the probe."""
        flipped = _Drawing(DrawingCanvas(), {name: (x, depth - z) for name, (x, z) in self.marks.items()}, depth=depth)
        flipped.shapes = [(points * [1, -1] + [0, depth], tissue, width) for points, tissue, width in self.shapes]
        return flipped

    def zoomed(self, centre: tuple[float, float], factor: float) -> _Drawing:
        """Return the drawing around a point, larger."""
        target = np.array([0.0, 0.55 * self.depth])
        zoom = _Drawing(DrawingCanvas(), {}, depth=self.depth)
        zoom.shapes = [((points - centre) * factor + target, tissue, width * factor)
                       for points, tissue, width in self.shapes]  # fmt: skip
        for name, point in self.marks.items():
            x, z = (np.array(point) - centre) * factor + target
            if abs(np.arctan2(x, z)) < 0.9 * _HALF_ANGLE and 1 < z < self.depth - 1:
                zoom.marks[name] = (float(x), float(z))
        return zoom

    def under_liver(self) -> _Drawing:
        """Return the drawing with the liver between probe and heart."""
        liver = np.array([(-13, 0), (13, 0), (13, 4.5), (7, 5.6), (2, 6.0), (-3, 6.6), (-13, 11.0)])
        heart = [shape for shape in self.shapes if shape[1] != Tissue.LUNG]
        self.shapes = [(liver, Tissue.LIVER, 0.0), *heart]
        self.marks["liver"] = (0.0, 3.2)
        return self

    def svg(self) -> str:
        """Return the drawing as SVG, 10 units a centimetre."""
        edge = 10 * self.depth * np.array([np.sin(_HALF_ANGLE), np.cos(_HALF_ANGLE)])
        radius, half = 10 * self.depth, round(float(edge[0]))
        sector = f"M0 0L{-edge[0]:.0f} {edge[1]:.0f}A{radius:.0f} {radius:.0f} 0 0 0 {edge[0]:.0f} {edge[1]:.0f}Z"
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-half} 0 {2 * half} {radius:.0f}">',
            f'<clipPath id="s"><path d="{sector}"/></clipPath><g clip-path="url(#s)">',
            f'<path fill="{COLOURS[Tissue.SOFT]}" d="{sector}"/>',
        ]
        for points, tissue, width in self.shapes:
            path = "M" + "L".join(f"{x:.0f} {z:.0f}" for x, z in 10 * points)
            filled = f'fill="{COLOURS[tissue]}" d="{path}Z"'
            drawn = f'fill="none" stroke="{COLOURS[tissue]}" stroke-width="{10 * width:.0f}" d="{path}"'
            lines.append(f"<path {drawn if width else filled}/>")
        lines.append('</g><g fill="#fff" font-family="sans-serif" font-size="11" text-anchor="middle">')
        for name, (x, z) in self.marks.items():
            lines.append(f'<text x="{10 * x:.0f}" y="{10 * z + 4:.0f}">{_NAMES.get(name, name)}</text>')
        return "\n".join([*lines, "</g>", "</svg>", ""])


_PARASTERNAL, _APICAL = Pose(pivot=(0.0, 7.0)), Pose(pivot=(0.0, 3.0))


def _level(level: str) -> _Drawing:
    return _simulated(lambda canvas: parasternal.short_axis(canvas, _PATIENT, level), _PARASTERNAL)


def _long_axis() -> _Drawing:
    return _simulated(lambda canvas: parasternal.long_axis(canvas, _PATIENT), _PARASTERNAL, RV=(0.0, 3.3))


def _four(aorta: float = 0.0, pose: Pose = _APICAL, patient: SyntheticPatient = _PATIENT) -> _Drawing:
    return _simulated(lambda canvas: apical.four_chamber(canvas, patient, aorta=aorta), pose, RA=(-2.95, 12.0))


def _two() -> _Drawing:
    return _simulated(lambda canvas: apical.two_chamber(canvas, _PATIENT), _APICAL)


def _apical_long() -> _Drawing:
    return _simulated(lambda canvas: apical.long_axis(canvas, _PATIENT), _APICAL)


def _vena_cava() -> _Drawing:
    canvas = DrawingCanvas()
    canvas.polygon([(-14, 0), (14, 0), (14, 18), (-14, 18)], Tissue.LIVER)
    canvas.ellipse((4.6, 9.0), (3.0, 2.5), Tissue.ATRIAL_WALL)
    canvas.polygon(tube(np.array([-8.0, 9.6]), np.array([4.0, 8.6]), 1.15), Tissue.FIBROUS)
    canvas.polygon(tube(np.array([-8.2, 9.6]), np.array([5.0, 8.6]), 0.95), Tissue.BLOOD)
    canvas.ellipse((4.6, 9.0), (2.8, 2.3), Tissue.BLOOD)
    canvas.polygon(tube(np.array([-2.0, 4.6]), np.array([0.6, 8.6]), 0.35), Tissue.BLOOD)
    return _Drawing(canvas, {"liver": (-1.5, 3.4), "IVC": (-3.5, 9.3), "RA": (4.6, 9.1)})


def _arch(*, vessels: bool) -> _Drawing:
    canvas, turn = DrawingCanvas(), np.linspace(np.pi, 0, 30)
    for extra, tissue in ((0.25, Tissue.FIBROUS), (0.0, Tissue.BLOOD)):
        outer, inner = 3.9 + extra, 1.7 - extra
        rim = [(outer * np.cos(a), 7.6 - outer * np.sin(a)) for a in turn]
        rim += [(outer, 15.0), (inner, 15.0)] + [(inner * np.cos(a), 7.6 - inner * np.sin(a)) for a in turn[::-1]]
        for x in (-1.5, 0.2, 1.8) if vessels else ():
            canvas.polygon(tube(np.array([x, 4.6]), np.array([x - 0.5, 1.0]), 0.45 + extra / 2), tissue)
        canvas.polygon([*rim, (-inner, 13.0), (-outer, 13.0)], tissue)
    canvas.ellipse((0.0, 7.6), (1.15, 1.0), Tissue.FIBROUS)
    canvas.ellipse((0.0, 7.6), (0.95, 0.8), Tissue.BLOOD)
    return _Drawing(canvas, {"arch": (0.0, 5.0), "rPA": (0.0, 7.7)})


def _arch_across() -> _Drawing:
    canvas = DrawingCanvas()
    for extra, tissue in ((0.25, Tissue.FIBROUS), (0.0, Tissue.BLOOD)):
        canvas.ellipse((0.0, 5.0), (1.6 + extra, 1.5 + extra), tissue)
        canvas.polygon(tube(np.array([-6.0, 8.3]), np.array([4.0, 8.0]), 0.8 + extra), tissue)
        canvas.ellipse((0.0, 12.0), (2.6 + extra, 1.9 + extra), tissue)
    return _Drawing(canvas, {"arch": (0.0, 5.1), "rPA": (-1.0, 8.2), "LA": (0.0, 12.1)})


def _right_inflow() -> _Drawing:
    canvas = DrawingCanvas()
    apex, base = np.array([-4.6, 4.4]), np.array([1.0, 8.4])
    canvas.polygon(ventricle(apex - [0.4, 0.3], base, 2.9), Tissue.MYOCARDIUM)
    canvas.ellipse((3.0, 10.6), (2.9, 2.6), Tissue.ATRIAL_WALL)
    canvas.polygon(ventricle(apex, base, 2.4, mouth=0.9), Tissue.BLOOD)
    canvas.ellipse((3.0, 10.6), (2.65, 2.35), Tissue.BLOOD)
    for hinge, tip in (((-0.6, 10.2), (0.2, 8.6)), ((2.4, 6.6), (0.6, 8.2))):
        canvas.line(curve_through(hinge, tip, (0.0, 7.9), 8), Tissue.PERICARDIUM, 0.14)
    return _Drawing(canvas, {"RV": (-2.2, 6.4), "RA": (3.2, 10.9)})


def _right_outflow() -> _Drawing:
    canvas = DrawingCanvas()
    for extra, tissue in ((0.4, Tissue.MYOCARDIUM), (0.0, Tissue.BLOOD)):
        canvas.ellipse((-3.0, 6.0), (3.0 + extra, 2.2 + extra), tissue, degrees=12)
    canvas.polygon(tube(np.array([-1.0, 6.3]), np.array([5.6, 9.4]), 1.5), Tissue.FIBROUS)
    canvas.polygon(tube(np.array([-1.6, 6.1]), np.array([6.0, 9.5]), 1.25), Tissue.BLOOD)
    canvas.line(curve_through((0.8, 8.5), (1.4, 7.6), (1.7, 7.3), 8), Tissue.PERICARDIUM, 0.14)
    canvas.line(curve_through((1.9, 6.1), (1.6, 6.8), (1.7, 7.3), 8), Tissue.PERICARDIUM, 0.14)
    return _Drawing(canvas, {"RV": (-3.4, 5.9), "PA": (4.0, 8.7)})


def _bicaval() -> _Drawing:
    canvas = DrawingCanvas()
    canvas.ellipse((0.0, 5.0), (5.4, 2.4), Tissue.ATRIAL_WALL)
    canvas.ellipse((0.0, 4.8), (5.1, 2.1), Tissue.BLOOD)
    for extra, tissue in ((0.25, Tissue.ATRIAL_WALL), (0.0, Tissue.BLOOD)):
        canvas.polygon(tube(np.array([-8.5, 10.6]), np.array([-2.0, 9.6]), 1.0 + extra), tissue)
        canvas.polygon(tube(np.array([8.5, 10.2]), np.array([2.0, 9.4]), 0.9 + extra), tissue)
        canvas.ellipse((0.0, 9.8), (3.6 + extra, 2.5 + extra), tissue)
    return _Drawing(canvas, {"LA": (0.0, 4.8), "RA": (0.0, 10.0), "IVC": (-5.2, 10.2), "SVC": (5.2, 10.0)})


def _abdomen() -> _Drawing:
    canvas = DrawingCanvas()
    canvas.polygon([(-14, 0), (14, 0), (14, 9.0), (6, 10.5), (-2, 12.0), (-14, 13.5)], Tissue.LIVER)
    canvas.ellipse((2.5, 9.6), (4.2, 2.1), Tissue.MYOCARDIUM, degrees=-12)
    canvas.ellipse((2.5, 9.6), (2.4, 0.8), Tissue.FAT, degrees=-12)
    canvas.polygon(tube(np.array([-5.0, 5.0]), np.array([0.5, 4.2]), 0.35), Tissue.BLOOD)
    return _Drawing(canvas, {"liver": (-2.0, 7.6)})


def drawings() -> dict[str, Callable[[], _Drawing]]:
    """Return the drawing of each view."""
    subcostal = Pose(0.9, 66.0, (0.2, 8.5), (0.6, 2.6))
    wide = SyntheticPatient(roughness=0.0, right=1.25)
    return {
        "PLAX": _long_axis, "PSAX": lambda: _level("papillary"), "A4C": _four, "A2C": _two, "A3C": _apical_long,
        "A5C": lambda: _four(1.0), "SUBCOSTAL": lambda: _four(0.0, subcostal).under_liver(),
        "SUBCOSTAL_SAX": lambda: _level("papillary").under_liver(), "SUPRASTERNAL": lambda: _arch(vessels=False),
        "RV_INFLOW": _right_inflow, "RV_OUTFLOW": _right_outflow, "PSAX_AV": lambda: _level("aortic"),
        "PSAX_MV": lambda: _level("mitral"), "PSAX_PM": lambda: _level("papillary"),
        "PSAX_APEX": lambda: _level("apical"),
        "A4C_RV": lambda: _four(0.0, Pose(pivot=(0.0, 3.0), shift=(1.8, 0.0)), wide),
        "SUBCOSTAL_4C": lambda: _four(0.0, subcostal).under_liver(), "SUBCOSTAL_IVC": _vena_cava,
        "SUPRASTERNAL_ARCH": lambda: _arch(vessels=True), "SUPRASTERNAL_SAX": _arch_across,
        "ZOOM_AV": lambda: _long_axis().zoomed((2.0, 5.6), 2.6), "ZOOM_MV": lambda: _four().zoomed((1.2, 9.8), 2.4),
        "ZOOM_TV": lambda: _four().zoomed((-3.3, 9.6), 2.4), "TEE_4C": lambda: _four().upside_down(),
        "TEE_2C": lambda: _two().upside_down(), "TEE_LAX": lambda: _apical_long().upside_down(),
        "TEE_AV_SAX": lambda: _level("aortic").upside_down(13.0), "TEE_BICAVAL": _bicaval,
        "TEE_TG_SAX": lambda: _level("papillary").upside_down(13.5), "OTHER": _abdomen,
        "ZOOM": lambda: _apical_long().zoomed((0.4, 9.6), 2.2), "TEE": lambda: _four(1.0).upside_down(),
    }  # fmt: skip


def main() -> int:
    """Write every drawing."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in drawings().items():
        (FOLDER / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
