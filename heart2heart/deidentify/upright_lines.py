"""Finds small text that stands still, in rows along the picture, or up and down.

`upright_network` scores the cells of the least and greatest levels of a clip, in the parts of the picture where
`text_network` leaves text possible; cells form lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.text_network import CELL
from heart2heart.deidentify.upright_network import CELL as FINE
from heart2heart.deidentify.upright_network import RADIUS, upright_log_odds

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class UprightText:
    """Small text that stands still.

    Attributes:
        lines: bool `(rows, columns)` of cells of 8 pixels: the lines of text and what is around them.
        odds: float32 `(rows, columns)`: the greatest log-odds in each cell over the directions; minus infinity where
            none was computed.
    """

    lines: Mask = field(repr=False)
    odds: Floats = field(repr=False)


@dataclass(frozen=True)
class _LineRule:
    """How cells form lines.

    Attributes:
        sure: Log-odds that one cell of a line must have.
        cells: Least number of cells of a line.
    """

    sure: float
    cells: int


_UPRIGHT = _LineRule(sure=2.0, cells=5)
_SIDEWAYS = _LineRule(sure=3.0, cells=8)
_LIKELY = 0.0  # log-odds of a cell that belongs to a line, or to one beside it
_REACH, _ROUNDS = 3, 2  # cells by which a line reaches for other cells, and how often
_TILE = 4  # cells of 8 pixels a side: the parts of a picture that are scored or skipped
_BAND = 64  # cells of 8 pixels, the greatest height of a part that is scored at once
_RATIO = CELL // FINE
_BLOCK = np.ones((3, 3), bool)


def upright_lines(planes: npt.NDArray[np.uint8], inside: Mask, possible: Mask) -> UprightText:
    """Return the lines of text that stand still, along rows and up and down columns.

    Args:
        planes: uint8 `(3, height, width)`: the lowest and highest gray level of each pixel over the frames, and its
            level in the busiest frame; see `TextEvidence`.
        inside: bool `(height, width)`, the visible part.
        possible: bool `(height / 8, width / 8)`, rounded up: cells that may hold text. Tiles without one are skipped.

    Examples:
        >>> import numpy as np
        >>> planes, inside = np.zeros((3, 48, 64), np.uint8), np.ones((48, 64), bool)
        >>> bool(upright_lines(planes, inside, np.ones((6, 8), bool)).lines.any())
        False
    """
    height, width = inside.shape
    rows, columns = -height % CELL // FINE, -width % CELL // FINE  # cells of 4 pixels without a pixel
    whole = np.pad(planes[:2], ((0, 0), (0, -height % FINE), (0, -width % FINE)), "edge")
    visible = np.pad(any_in_cells(inside, FINE), ((0, rows), (0, columns)))
    searched = _whole_tiles(possible)
    lines, odds = np.zeros(possible.shape, bool), np.full(possible.shape, -np.inf, np.float32)
    for turns, rule, corner in ((0, _UPRIGHT, (0, 0)), (1, _SIDEWAYS, (columns, 0)), (3, _SIDEWAYS, (0, rows))):
        turned = np.rot90(whole, turns, (1, 2)), np.rot90(visible, turns), np.rot90(searched, turns)
        fine = _visible_log_odds(*turned, corner)
        lines |= np.rot90(any_in_cells(_cells_of_lines(fine, rule), _RATIO), -turns)
        np.maximum(odds, np.rot90(_greatest_in_cells(fine), -turns), out=odds)
    return UprightText(lines, odds)


def any_in_cells(inside: Mask, side: int) -> Mask:
    """Return whether any pixel of each cell of `side` pixels is inside.

    Examples:
        >>> import numpy as np
        >>> any_in_cells(np.array([[False, False, True]]), 2)
        array([[False,  True]])
    """
    height, width = inside.shape
    padded = np.pad(inside, ((0, -height % side), (0, -width % side)))
    strips = np.logical_or.reduce([padded[row::side] for row in range(side)])  # as NumPy is slow over short axes
    cells: Mask = np.logical_or.reduce([strips[:, column::side] for column in range(side)])
    return cells


def _whole_tiles(possible: Mask) -> Mask:
    """Return the cells of the tiles in which a cell is possible."""
    rows, columns = possible.shape
    return any_in_cells(possible, _TILE).repeat(_TILE, axis=0).repeat(_TILE, axis=1)[:rows, :columns]


def _visible_log_odds(planes: npt.NDArray[np.uint8], visible: Mask, searched: Mask, corner: tuple[int, int]) -> Floats:
    """Return the log-odds of each cell of 4 pixels, float32; minus infinity where it is not searched or visible.

    Args:
        planes: uint8 `(2, height, width)`, the picture.
        visible: bool, cells of 4 pixels.
        searched: bool, cells of 8 pixels.
        corner: Cells of 4 pixels above the picture, and left of it.
    """
    odds = np.full(visible.shape, -np.inf, np.float32)
    ends = [start + length // FINE for start, length in zip(corner, planes.shape[1:], strict=True)]
    for box in _boxes(searched):
        parts, scored, inner_parts = [], [], []
        for side, start, end in zip(box, corner, ends, strict=True):
            first, last = max(start, _RATIO * side.start - RADIUS), min(end, _RATIO * side.stop + RADIUS)
            inner = max(first, _RATIO * side.start), min(last, _RATIO * side.stop)
            parts.append(slice((first - start) * FINE, (last - start) * FINE))
            scored.append(slice(*inner))
            inner_parts.append(slice(inner[0] - first, inner[1] - first))
        scores = upright_log_odds(np.ascontiguousarray(planes[:, parts[0], parts[1]]))
        odds[tuple(scored)] = scores[tuple(inner_parts)]
    odds[~(visible & searched.repeat(_RATIO, axis=0).repeat(_RATIO, axis=1))] = -np.inf
    return odds


def _boxes(searched: Mask) -> Iterator[tuple[slice, slice]]:
    """Yield the cells of boxes around the parts to be searched, of limited height.

    Memory does not grow with the picture.
    """
    from scipy import ndimage

    for start in range(0, len(searched), _BAND):
        parts, _ = ndimage.label(searched[start : start + _BAND])
        for rows, columns in ndimage.find_objects(parts):
            yield slice(start + rows.start, start + rows.stop), columns


def _cells_of_lines(odds: Floats, rule: _LineRule) -> Mask:
    """Return the cells of the lines of text and those around them."""
    from scipy import ndimage

    likely = odds > _LIKELY
    parts, count = ndimage.label(likely, _BLOCK)
    if not count:
        return likely
    numbers = np.arange(1, count + 1)
    most, size = ndimage.maximum(odds, parts, numbers), np.bincount(parts.ravel(), minlength=count + 1)[1:]
    lines = numbers[(np.asarray(most) >= rule.sure) & (size >= rule.cells)]
    if not len(lines):
        return np.zeros_like(likely)
    cells: Mask = np.isin(parts, lines)
    for _ in range(_ROUNDS):  # faint letters beside sure ones
        cells |= ndimage.binary_dilation(cells, _BLOCK, iterations=_REACH) & likely
    around: Mask = ndimage.binary_dilation(cells, _BLOCK)
    return around


def _greatest_in_cells(fine: Floats) -> Floats:
    """Return the greatest of each block of 2 x 2."""
    tall = np.maximum(fine[::2], fine[1::2])
    greatest: Floats = np.maximum(tall[:, ::2], tall[:, 1::2])
    return greatest
