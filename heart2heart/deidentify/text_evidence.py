"""Collects what the search for text needs from all frames of a clip, frame by frame, without holding the clip.

Text that stays is seen in the least and greatest level of each pixel over the frames. Text that moves, blinks or
appears briefly is seen only while it is there: each tile of the picture keeps the frame with the strongest edges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

TILE = 32  # pixels, the side of a tile
_ROWS = 4  # edges are measured on every fourth row; a letter has more rows


class TextEvidence:
    """Running extremes, and the busiest frame of each tile, of one gray clip.

    Args:
        height: Rows of a picture.
        width: Columns of a picture.

    Attributes:
        count: Number of frames so far.

    Examples:
        >>> import numpy as np
        >>> evidence = TextEvidence(48, 64)
        >>> evidence.add(np.zeros((3, 48, 64), np.uint8))
        >>> evidence.count, evidence.planes().shape
        (3, (3, 48, 64))
    """

    def __init__(self, height: int, width: int) -> None:
        self.count = 0
        self._shape = height, width
        self._least = np.full((height, width), 255, np.uint8)
        self._greatest = np.zeros((height, width), np.uint8)
        self._busiest = _BusiestTiles(height, width)

    def add(self, pictures: Bytes) -> None:
        """Add frames.

        Args:
            pictures: uint8 `(n, height, width)`.
        """
        for picture in pictures:
            self.count += 1
            np.minimum(self._least, picture, out=self._least)
            np.maximum(self._greatest, picture, out=self._greatest)
            self._busiest.add(picture)

    def planes(self) -> Bytes:
        """Return uint8 `(3, height, width)`: the least and greatest levels, and each tile's busiest frame."""
        return np.stack([self._least, self._greatest, self._busiest.picture])

    def chosen(self) -> npt.NDArray[np.int32]:
        """Return the number of the frame that each tile keeps in `planes`, int32 `(down, along)`."""
        return self._busiest.chosen


class _BusiestTiles:
    """Keeps of each tile the frame with the strongest edges."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = height, width
        down, along = -(-height // TILE), -(-width // TILE)
        self._best = np.full((down, along), -1.0, np.float32)
        self._whole = np.zeros((down * TILE, along * TILE), np.uint8)
        self._kept = np.zeros_like(self._whole)
        rows = down * TILE // _ROWS
        self._levels = np.zeros((rows, along * TILE), np.uint8)
        self._larger, self._steps = np.zeros_like(self._levels), np.zeros_like(self._levels)
        self._squares = np.zeros(self._levels.shape, np.float32)
        self._sums = np.zeros((down, along * TILE), np.float32)
        self.chosen = np.zeros((down, along), np.int32)
        self._count = 0

    @property
    def picture(self) -> Bytes:
        """uint8 `(height, width)`: each tile as in its busiest frame."""
        return self._kept[: self._shape[0], : self._shape[1]]

    def add(self, picture: Bytes) -> None:
        """Add one frame."""
        height, width = self._shape
        self._whole[:height, :width] = picture
        energy = self._edge_energy()
        better = energy > self._best
        if better.any():
            self._best[better] = energy[better]
            self.chosen[better] = self._count
            _tiles(self._kept)[better] = _tiles(self._whole)[better]
        self._count += 1

    def _edge_energy(self) -> npt.NDArray[np.float32]:
        """Return the sum of squared steps between neighbours in a row, by tile."""
        np.copyto(self._levels, self._whole[1::_ROWS])
        levels, steps = self._levels.reshape(-1), self._steps.reshape(-1)
        # The larger minus the smaller of two neighbours, without a wider type.
        np.minimum(levels[1:], levels[:-1], out=steps[1:])
        larger = self._larger.reshape(-1)
        np.maximum(levels[1:], levels[:-1], out=larger[1:])
        np.subtract(larger, steps, out=steps)
        np.copyto(self._squares, self._steps)
        np.multiply(self._squares, self._squares, out=self._squares)
        down, along = self._best.shape
        np.add.reduce(self._squares.reshape(down, TILE // _ROWS, -1), axis=1, out=self._sums)
        energy: npt.NDArray[np.float32] = self._sums.reshape(down, along, TILE).sum(axis=2)
        return energy


def _tiles(picture: Bytes) -> Bytes:
    """Return a view `(down, along, TILE, TILE)`."""
    rows, columns = picture.shape
    return picture.reshape(rows // TILE, TILE, columns // TILE, TILE).transpose(0, 2, 1, 3)
