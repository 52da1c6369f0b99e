"""Named, versioned geometries: how a decoded picture becomes a square frame.

`tmed2` follows the TMED-2 data set (fix_a_step, section "TMED-2 on disk"): grayscale, longest side N,
zero-padding at the bottom and the right only. `centred` pads on all sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.errors import StoreError, UnknownNameError

VERSIONS = {"tmed2": 1, "centred": 1}
"""Current version of each geometry. A change of pixels is a new version, and so another store.

Version 1 reduces by 1, 2, 4 or 8 while decoding, averages whole blocks where a frame pixel still covers two or more,
and interpolates once.
"""


@dataclass(frozen=True)
class ContentRect:
    """Where the content of a picture lies inside its square frame.

    Attributes:
        height: Rows of content, frame pixels.
        width: Columns of content, frame pixels.
        top: First row of content.
        left: First column of content.
        step: Side of one frame pixel, in the unit that the picture's extent was given in.
    """

    height: int
    width: int
    top: int
    left: int
    step: float


@dataclass(frozen=True)
class Geometry:
    """The rule by which frames were made.

    Attributes:
        name: `tmed2` or `centred`.
        size: Side N of the square frame, pixels.
        version: Version of the procedure of that name.
    """

    name: str = "tmed2"
    size: int = 112
    version: int = 1

    def __post_init__(self) -> None:
        if self.name not in VERSIONS:
            raise UnknownNameError.among("geometry", self.name, list(VERSIONS))
        if not 8 <= self.size <= 1024:
            raise StoreError(f"frame size {self.size} is out of range", remedy="Choose 8 to 1024 pixels")

    def letterbox(self, height: float, width: float) -> ContentRect:
        """Return the position of a picture of the given physical extent; its longest side becomes N, the rest padding.

        Args:
            height: Extent down the rows, any unit, above zero.
            width: Extent along the columns, the same unit.
        """
        step = max(height, width) / self.size
        rows = min(self.size, max(1, round(height / step)))
        columns = min(self.size, max(1, round(width / step)))
        if self.name == "tmed2":
            return ContentRect(rows, columns, 0, 0, step)
        return ContentRect(rows, columns, (self.size - rows) // 2, (self.size - columns) // 2, step)

    def to_json(self) -> dict[str, Any]:
        """Return the form kept in `store.json`."""
        return {"name": self.name, "size": self.size, "version": self.version}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Geometry:
        """Read the form kept in `store.json`."""
        return cls(str(content["name"]), int(content["size"]), int(content["version"]))

    def __str__(self) -> str:
        """Return e.g. `tmed2-112 (version 1)`."""
        return f"{self.name}-{self.size} (version {self.version})"
