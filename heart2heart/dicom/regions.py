"""Reads ultrasound regions (PS3.3 section C.8.5.5): kind of data, position in the picture, and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from pydicom import Dataset

from heart2heart.dicom.header_values import integer, number, numbers
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 (exclusive), pixels."""

_KINDS = {2: ClipMode.M_MODE, 3: ClipMode.SPECTRAL}  # by spatial format (0018,6012); 4 is a waveform, 5 graphics
_CENTIMETRES = 3
_OVERSHOOT = 0.05  # a box may exceed the picture by this share of its size
_SMALL = 0.05  # share of the picture below which a Doppler or M-mode region is an inset


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes:
        kind: Mode of the data; `other` for traces, bars and graphics.
        box: Position in the picture, clipped to it.
        spacing_mm: Row and column spacing, where both axes are lengths.
    """

    kind: ClipMode
    box: Box
    spacing_mm: tuple[float, float] | None

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@dataclass(frozen=True)
class ScanArea:
    """The main region of a picture.

    Attributes:
        kind: Kind of the main region, or None when there is no region.
        box: The main region; the whole picture when there is none, or when its box belongs to another size.
        spacing_mm: Row and column spacing of the main region.
        flags: `no_region`, `region_mismatch`, `split_screen`.
    """

    kind: ClipMode | None
    box: Box
    spacing_mm: tuple[float, float] | None
    flags: tuple[ClipFlag, ...]


def clip_box(x0: int, y0: int, x1: int, y1: int, columns: int, rows: int) -> Box | None:
    """Return the box from its first to its last pixels, clipped to the picture; None if it is outside."""
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1 + 1, columns), min(y1 + 1, rows)
    return (left, top, right, bottom) if left < right and top < bottom else None


def read_scan_area(technical: Dataset, *, rows: int, columns: int) -> ScanArea:
    """Choose the main region of the picture.

    A spectral region comes before an M-mode region, and that before a 2D picture beside it, which shows the position of
    the line. Among regions of one kind the largest is chosen.

    Args:
        technical: The technical dataset.
        rows: Height of the picture.
        columns: Width of the picture.
    """
    whole = (0, 0, columns, rows)
    items = list(technical.get("SequenceOfUltrasoundRegions") or ())
    regions = [region for item in items if (region := _read_region(item, rows, columns)) is not None]
    shown = [r for r in regions if r.kind in (ClipMode.B_MODE, ClipMode.COLOUR)]
    traces = [
        r for r in regions if r.kind in (ClipMode.M_MODE, ClipMode.SPECTRAL) and r.area >= _SMALL * rows * columns
    ]
    for kind in (ClipMode.SPECTRAL, ClipMode.M_MODE):
        of_kind = [region for region in traces if region.kind == kind]
        if of_kind:
            main = max(of_kind, key=lambda region: region.area)
            break
    else:
        if not shown:
            return ScanArea(
                ClipMode.OTHER if regions else None, whole, _spacing_without_region(technical), (ClipFlag.NO_REGION,)
            )
        main = max(shown, key=lambda region: region.area)
        if main.kind == ClipMode.B_MODE and any(region.kind == ClipMode.COLOUR for region in shown):
            main = Region(ClipMode.COLOUR, main.box, main.spacing_mm)
    if any(_exceeds_picture(item, rows, columns) for item in items):
        return ScanArea(main.kind, whole, main.spacing_mm, (ClipFlag.REGION_MISMATCH,))
    return ScanArea(main.kind, main.box, main.spacing_mm, (ClipFlag.SPLIT_SCREEN,) if _side_by_side(shown) else ())


def _read_region(item: Dataset, rows: int, columns: int) -> Region | None:
    corners = _corners(item)
    box = None if corners is None else clip_box(*corners, columns, rows)
    if box is None:
        return None
    form, data = integer(item, "RegionSpatialFormat"), integer(item, "RegionDataType")
    kind = _KINDS.get(form or 0, ClipMode.OTHER)
    if form == 1:
        kind = {1: ClipMode.B_MODE, 2: ClipMode.COLOUR}.get(data or 0, ClipMode.OTHER)
    elif form == 3 and data not in (3, 4):  # traces drawn over a spectrum (5 to 7) are not the spectrum
        kind = ClipMode.OTHER
    return Region(kind, box, _spacing(item))


def _corners(item: Dataset) -> Box | None:
    names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    corners = [integer(item, f"RegionLocation{name}") for name in names]
    x0, y0, x1, y1 = corners
    return None if x0 is None or y0 is None or x1 is None or y1 is None else (x0, y0, x1, y1)


def _exceeds_picture(item: Dataset, rows: int, columns: int) -> bool:
    """Return whether a box exceeds the picture along both axes: then the picture was scaled and the box was not.

    A box that exceeds one axis belongs to a cropped picture and is clipped.
    """
    corners = _corners(item)
    if corners is None:
        return False
    return corners[2] > columns * (1 + _OVERSHOOT) and corners[3] > rows * (1 + _OVERSHOOT)


def _spacing(item: Dataset) -> tuple[float, float] | None:
    units = {integer(item, "PhysicalUnitsXDirection"), integer(item, "PhysicalUnitsYDirection")}
    along, down = number(item, "PhysicalDeltaX"), number(item, "PhysicalDeltaY")
    if units != {_CENTIMETRES} or not along or not down:
        return None
    return _plausible(10 * abs(down), 10 * abs(along))


def _spacing_without_region(technical: Dataset) -> tuple[float, float] | None:
    stated = numbers(technical, "PixelSpacing")
    return _plausible(*stated) if len(stated) == 2 else None


def _plausible(down: float, along: float) -> tuple[float, float] | None:
    """Return the spacing in millimetres unless no scanner has it: pixels of 0.001 to 10 mm, at most 4 : 1."""
    plausible = all(0.001 <= side <= 10 for side in (down, along)) and 0.25 <= down / along <= 4
    return (down, along) if plausible else None


def _side_by_side(shown: Sequence[Region]) -> bool:
    if not shown:
        return False
    largest = max(region.area for region in shown)
    big = [region for region in shown if region.area >= 0.25 * largest]
    return any(_overlap(a.box, b.box) < 0.2 * min(a.area, b.area) for a, b in combinations(big, 2))


def _overlap(a: Box, b: Box) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
