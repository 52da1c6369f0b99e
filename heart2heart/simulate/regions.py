"""Ultrasound regions, (0018,6011): which part of the picture shows what, in which unit (PS3.3 C.8.5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pydicom.dataset import Dataset


class SpatialFormat(IntEnum):
    """(0018,6012)."""

    PLANE = 1
    M_MODE = 2
    SPECTRAL = 3
    WAVEFORM = 4
    GRAPHICS = 5


class DataType(IntEnum):
    """(0018,6014)."""

    TISSUE = 1
    COLOUR_FLOW = 2
    PULSED_WAVE = 3
    CONTINUOUS_WAVE = 4
    ECG = 10
    GRAY_BAR = 13
    COLOUR_BAR = 14


class Unit(IntEnum):
    """(0018,6024) and (0018,6026)."""

    NONE = 0
    CM = 3
    SECONDS = 4
    CM_PER_SECOND = 7


@dataclass(frozen=True)
class Region:
    """One item of the sequence.

    Attributes:
        spatial: Spatial format.
        data: Data type.
        box: x0, y0, x1, y1 of the region; x1 and y1 are its last column and row, as the standard has it.
        units: Units across and down.
        deltas: Size of a pixel in those units, across and down; negative when values fall with the row.
        reference: Pixel of the origin relative to the box, if there is one.
    """

    spatial: SpatialFormat
    data: DataType
    box: tuple[int, int, int, int]
    units: tuple[Unit, Unit] = (Unit.NONE, Unit.NONE)
    deltas: tuple[float, float] = (0.0, 0.0)
    reference: tuple[int, int] | None = None

    def to_dataset(self) -> Dataset:
        """Return the item of the Sequence of Ultrasound Regions."""
        item = Dataset()
        item.RegionSpatialFormat = int(self.spatial)
        item.RegionDataType = int(self.data)
        item.RegionFlags = 2 if self.spatial is SpatialFormat.PLANE else 0
        item.RegionLocationMinX0, item.RegionLocationMinY0 = self.box[0], self.box[1]
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = self.box[2], self.box[3]
        if self.reference is not None:
            item.ReferencePixelX0, item.ReferencePixelY0 = self.reference
            item.ReferencePixelPhysicalValueX = 0.0
            item.ReferencePixelPhysicalValueY = 0.0
        item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = int(self.units[0]), int(self.units[1])
        item.PhysicalDeltaX, item.PhysicalDeltaY = self.deltas
        return item
