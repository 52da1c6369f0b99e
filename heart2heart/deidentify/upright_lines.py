"""Finds small text that stands still, in rows along the picture, or up and down.

`upright_network` scores the cells of the least and greatest levels of a clip; cells form lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.upright_network import CELL, RADIUS, upright_log_odds
from heart2heart.store.block_sums import block_sums

Mask = npt.NDArray[np.bool_]


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
_TILE = 8  # cells a side: the parts of a picture that are scored or skipped
_BAND = 8  # tiles, the height of the band that is scored at once
_STEP = 24  # gray levels between neighbours at the edge of a letter
_EDGES = 6  # such neighbours in a tile, or it holds no letter


def upright_lines(planes: npt.NDArray[np.uint8], inside: Mask) -> Mask | None:
    """Return the lines of text that stand still, along rows and up and down columns, and the cells around them.

    Args:
        planes: uint8 `(3, height, width)`: the lowest and highest gray level of each pixel over the frames, and its
            level in the busiest frame; see `TextEvidence`.
        inside: bool `(height, width)`, the visible part.

    Returns:
        bool `(height, width)`, or None without text.

    Examples:
        >>> import numpy as np
        >>> upright_lines(np.zeros((3, 48, 64), np.uint8), np.ones((48, 64), bool)) is None
        True
    """
    masks = []
    for turns, rule in ((0, _UPRIGHT), (1, _SIDEWAYS), (3, _SIDEWAYS)):
        turned = np.ascontiguousarray(np.rot90(planes, turns, (1, 2))), np.ascontiguousarray(np.rot90(inside, turns))
        if (lines := _find_lines(*turned, rule)) is not None:
            masks.append(np.rot90(lines, -turns))
    union: Mask | None = np.logical_or.reduce(masks) if masks else None
    return union


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


def _find_lines(planes: npt.NDArray[np.uint8], inside: Mask, rule: _LineRule) -> Mask | None:
    """Return bool of the pixels of `planes`: the cells of the lines of text and those around them."""
    from scipy import ndimage

    height, width = inside.shape
    visible = any_in_cells(inside, CELL)
    odds = _visible_log_odds(planes, visible)
    block = np.ones((3, 3), bool)
    likely = (odds > _LIKELY) & visible
    parts, count = ndimage.label(likely, block)
    if not count:
        return None
    numbers = np.arange(1, count + 1)
    most, size = ndimage.maximum(odds, parts, numbers), ndimage.sum_labels(likely, parts, numbers)
    lines = numbers[(np.asarray(most) >= rule.sure) & (np.asarray(size) >= rule.cells)]
    if not len(lines):
        return None
    cells: Mask = np.isin(parts, lines)
    for _ in range(_ROUNDS):  # faint letters beside sure ones
        cells |= ndimage.binary_dilation(cells, block, iterations=_REACH) & likely
    cells = ndimage.binary_dilation(cells, block)
    mask: Mask = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    return mask


def _visible_log_odds(planes: npt.NDArray[np.uint8], visible: Mask) -> npt.NDArray[np.float32]:
    """Return the log-odds of each cell, float32; minus infinity where no letter can be."""
    odds = np.full(visible.shape, -np.inf, np.float32)
    tiles = _candidate_tiles(planes, visible)
    # Band by band, so that memory does not grow with the picture.
    for start in range(0, len(tiles), _BAND):
        rows, columns = (np.flatnonzero(tiles[start : start + _BAND].any(axis=axis)) for axis in (1, 0))
        if len(rows):
            top, bottom = (start + rows[0]) * _TILE, (start + rows[-1] + 1) * _TILE
            left, right = columns[0] * _TILE, (columns[-1] + 1) * _TILE
            first, edge = max(0, top - RADIUS), max(0, left - RADIUS)
            part = np.s_[:, first * CELL : (bottom + RADIUS) * CELL, edge * CELL : (right + RADIUS) * CELL]
            scores = upright_log_odds(planes[:2][part])[top - first :, left - edge :]
            band = odds[top:bottom, left:right]
            band[:] = scores[: band.shape[0], : band.shape[1]]
    return odds


def _candidate_tiles(planes: npt.NDArray[np.uint8], visible: Mask) -> Mask:
    """Return the tiles with edges as sharp as those of letters, in the least levels or in the busiest frame."""
    edges = np.zeros(visible.shape, np.uint32)
    for plane in (planes[0], planes[2]):
        for low, high in ((plane[:, :-1], plane[:, 1:]), (plane[:-1], plane[1:])):
            steps = np.zeros([side * CELL for side in visible.shape], np.uint8)
            steps[: low.shape[0], : low.shape[1]] = np.maximum(low, high) - np.minimum(low, high) >= _STEP
            edges += block_sums(steps[None], CELL, CELL)[0]
    edges *= visible
    down, along = visible.shape
    whole = np.pad(edges, ((0, -down % _TILE), (0, -along % _TILE)))
    strips = np.add.reduce([whole[row::_TILE] for row in range(_TILE)])  # as NumPy is slow over short axes
    candidates: Mask = np.add.reduce([strips[:, column::_TILE] for column in range(_TILE)]) >= _EDGES
    return candidates
