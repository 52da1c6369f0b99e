"""Text burned into what remains visible: found by a small network, line by line; see `heart2heart.dicom.text_net`.

Letters stand still while tissue moves, and their edges are sharp. Where nothing of that kind is, the network is not
asked. The detector raises a suspicion; it does not read.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.sight import Sight
from heart2heart.dicom.text_net import CELL, NARROWEST, SEES, evidence

_T = TypeVar("_T", bound=np.generic)

_LIKELY = 0.0  # log-odds of a cell that belongs to a line
_SURE = 2.0  # log-odds that one cell of a line must have
_CELLS = 5  # that make a line
_TILE = 8  # cells a side: the parts of a picture that are judged or passed over
_BAND = 8  # tiles, the height of what is judged at once
_STILL = 60  # most gray levels that a letter changes over the clip, codecs included
_STEP = 24  # gray levels between neighbours at the edge of a letter, in the frame in which each is least
_EDGES = 6  # such neighbours in a tile, or it holds no letter


def find_text(inspection: Sight) -> npt.NDArray[np.bool_] | None:
    """Look for text in the frames that the sector was estimated from; see `text_mask`.

    Args:
        inspection: Where the sector is; text outside is blanked anyway.

    Returns:
        bool, of the box of `seen`, or None when there is no text.
    """
    return text_mask(inspection.sample, inspection.mask)


def text_mask(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Find lines of text in what is visible of a clip.

    Args:
        pictures: uint8 `(n, height, width)`: gray frames spread over one clip.
        inside: bool `(height, width)`: what remains visible; text elsewhere is not looked for.

    Returns:
        bool `(height, width)`, the cells of the lines and those around them, or None when there is no text.
    """
    from scipy import ndimage

    height, width = inside.shape
    if min(height, width) < NARROWEST:
        return None
    visible: npt.NDArray[np.bool_] = np.any(_blocks(inside, CELL), axis=(1, 3))
    odds = _judged(pictures.min(axis=0), pictures.max(axis=0), visible)
    likely = (odds > _LIKELY) & visible
    parts, count = ndimage.label(likely, np.ones((3, 3), bool))
    if not count:
        return None
    numbers = np.arange(1, count + 1)
    most, size = ndimage.maximum(odds, parts, numbers), ndimage.sum_labels(likely, parts, numbers)
    lines = numbers[(np.asarray(most) >= _SURE) & (np.asarray(size) >= _CELLS)]
    if not len(lines):
        return None
    cells = ndimage.binary_dilation(np.isin(parts, lines), np.ones((3, 3), bool))
    found: npt.NDArray[np.bool_] = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    return found


def _judged(
    least: npt.NDArray[np.uint8], greatest: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the log-odds of each cell, float32; where no letter can be, they are minus infinity."""
    odds = np.full(visible.shape, -np.inf, np.float32)
    tiles = _worth_judging(least, greatest, visible)
    # Band by band, so that memory does not grow with the picture.
    for start in range(0, len(tiles), _BAND):
        rows, columns = (np.flatnonzero(tiles[start : start + _BAND].any(axis=axis)) for axis in (1, 0))
        if len(rows):
            top, bottom = (start + rows[0]) * _TILE, (start + rows[-1] + 1) * _TILE
            left, right = columns[0] * _TILE, (columns[-1] + 1) * _TILE
            first, edge = max(0, top - SEES), max(0, left - SEES)
            part = np.s_[first * CELL : (bottom + SEES) * CELL, edge * CELL : (right + SEES) * CELL]
            judged = evidence(least[part], greatest[part])[top - first :, left - edge :]
            place = odds[top:bottom, left:right]
            place[:] = judged[: place.shape[0], : place.shape[1]]
    return odds


def _worth_judging(
    least: npt.NDArray[np.uint8], greatest: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the tiles in which something stands still and has edges as sharp as a letter's."""
    still = greatest - least <= _STILL
    step = np.maximum(least[:, 1:], least[:, :-1]) - np.minimum(least[:, 1:], least[:, :-1])
    edges = np.zeros(least.shape, np.uint8)
    edges[:, 1:] = (step >= _STEP) & (still[:, 1:] | still[:, :-1])
    counts = _blocks(edges, CELL).sum(axis=(1, 3), dtype=np.int32) * visible
    worth: npt.NDArray[np.bool_] = _blocks(counts, _TILE).sum(axis=(1, 3)) >= _EDGES
    return worth


def _blocks(values: npt.NDArray[_T], side: int) -> npt.NDArray[_T]:
    """Return `(rows, side, columns, side)` of a picture, filled up with zeros below and to the right."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % side), (0, -width % side)))
    return padded.reshape(padded.shape[0] // side, side, -1, side)
