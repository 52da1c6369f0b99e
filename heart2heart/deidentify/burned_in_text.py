"""Finds text and codes burned into the visible picture, over all frames of a clip.

A small network (`text_network`) scores the cells of the planes of `TextEvidence`, at full and at a third of the size,
so that letters of 8 to 120 pixels are found; a picture below 150 pixels a side is searched at its full size alone. It
was fitted to text in every direction. A second one, fitted to text in rows that stands still, also sees the picture
turned to both sides. Cells form lines.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.text_evidence import REDUCTION, TextEvidence
from heart2heart.deidentify.text_network import CELL, MIN_SIDE, RADIUS, text_log_odds
from heart2heart.dicom.image_pixel import luma
from heart2heart.dicom.inspect_clip import ClipInspection

_Block = TypeVar("_Block", bound=np.generic)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _LineRule:
    """How cells form lines: log-odds of cells, their least number, and how far the mask reaches beyond them.

    Attributes:
        likely: Log-odds of a cell that belongs to a line.
        sure: Log-odds that one cell of a line must have.
        weak: Log-odds of a cell that belongs to a line beside it.
        cells: Least number of cells of a line.
        margin: Cells around a line that are blanked too.
    """

    likely: float
    sure: float
    weak: float
    cells: int
    margin: int


_UPRIGHT = _LineRule(likely=0.0, sure=2.0, weak=0.0, cells=5, margin=1)
_SIDEWAYS = _LineRule(likely=0.0, sure=3.0, weak=0.0, cells=8, margin=1)
_FULL_SIZE = _LineRule(likely=-0.5, sure=4.3, weak=-2.0, cells=6, margin=2)
_REDUCED = _LineRule(likely=-0.5, sure=3.5, weak=-1.0, cells=6, margin=1)
_LEAST_REDUCED = 150  # pixels: the shorter side of a picture whose reduced form still tells speckle from letters
_REACH, _ROUNDS = 3, 2  # cells by which a line reaches for weak cells, and how often
_TILE = 8  # cells a side: the parts of a picture that are scored or skipped
_BAND = 8  # tiles, the height of the band that is scored at once
_STEP = 24  # gray levels between neighbours at the edge of a letter
_EDGES = 6  # such neighbours in a tile, or it holds no letter
_COLOUR = 48  # distance of the channels of a pixel that has a colour


class TextSearch:
    """Searches a clip for text, frame by frame, in gray and in colour, without holding the frames.

    Text whose gray level equals that of its surroundings differs from them in the least or greatest of its channels.

    Args:
        inside: bool `(height, width)`, the visible part; text elsewhere is not searched for.

    Attributes:
        complete: Whether the search can find text; pictures of less than 24 pixels a side are not searched.

    Examples:
        >>> import numpy as np
        >>> search = TextSearch(np.ones((48, 64), bool))
        >>> search.add(np.zeros((3, 48, 64), np.uint8))
        >>> search.mask() is None
        True
    """

    def __init__(self, inside: Mask) -> None:
        self._inside = inside
        self._weight = inside.astype(np.uint8)
        self._gray = TextEvidence(*inside.shape)
        self._channels: tuple[TextEvidence, TextEvidence] | None = None
        self.complete = min(inside.shape) >= MIN_SIDE

    def add(self, pictures: npt.NDArray[np.uint8]) -> None:
        """Add frames.

        Args:
            pictures: uint8 `(n, height, width)`, or RGB `(n, height, width, 3)`.
        """
        if not self.complete:
            return
        for picture in pictures:
            if picture.ndim == 2:
                self._gray.add((picture * self._weight)[None])
                continue
            picture = picture * self._weight[..., None]
            # Channel by channel, as NumPy is slow over a last axis of three.
            least = np.minimum(np.minimum(picture[..., 0], picture[..., 1]), picture[..., 2])
            greatest = np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2])
            if self._channels is None and (greatest - least >= _COLOUR).any():
                self._channels = deepcopy(self._gray), deepcopy(self._gray)  # the frames so far were gray
            self._gray.add(luma(picture)[None])
            if self._channels is not None:
                self._channels[0].add(least[None])
                self._channels[1].add(greatest[None])

    def mask(self) -> Mask | None:
        """Return bool `(height, width)`, the cells of the lines and those around them, or None without text."""
        if not self._gray.count:
            return None
        masks = [mask for mask in (_upright_lines(self._gray.planes(), self._inside),) if mask is not None]
        rules = [(1, _FULL_SIZE), (REDUCTION, _REDUCED)][: 2 if min(self._inside.shape) >= _LEAST_REDUCED else 1]
        masks += [
            lines.repeat(factor, axis=0).repeat(factor, axis=1)[: self._inside.shape[0], : self._inside.shape[1]]
            for evidence in (self._gray, *(self._channels or ()))
            for factor, rule in rules
            for planes in (evidence.planes() if factor == 1 else evidence.small_planes(),)
            if (lines := _find_lines(planes, _any_inside(self._inside, factor), rule)) is not None
        ]
        union: Mask | None = np.logical_or.reduce(masks) if masks else None
        return union


def find_text(inspection: ClipInspection) -> Mask | None:
    """Find text in the frames from which the sector was estimated; see `text_mask`.

    Args:
        inspection: Sector of the clip; text outside it is blanked anyway.

    Returns:
        bool `(height, width)` of the box of `inspection`, or None when there is no text.
    """
    return text_mask(inspection.sample, inspection.mask)


def text_mask(pictures: npt.NDArray[np.uint8], inside: Mask) -> Mask | None:
    """Find text in the visible part of a clip.

    Args:
        pictures: uint8 `(n, height, width)`, or RGB `(n, height, width, 3)`: frames of one clip.
        inside: bool `(height, width)`, the visible part; text elsewhere is not searched for.

    Returns:
        bool `(height, width)`, the cells of the lines and those around them, or None when there is no text.
    """
    search = TextSearch(inside)
    search.add(pictures)
    return search.mask()


def _upright_lines(planes: npt.NDArray[np.uint8], inside: Mask) -> Mask | None:
    """Return the lines that stand still, along rows and up and down columns, by the network for text in rows."""
    masks = []
    for turns, rule in ((0, _UPRIGHT), (1, _SIDEWAYS), (3, _SIDEWAYS)):
        turned = np.ascontiguousarray(np.rot90(planes, turns, (1, 2))), np.ascontiguousarray(np.rot90(inside, turns))
        if (lines := _find_lines(*turned, rule, "upright")) is not None:
            masks.append(np.rot90(lines, -turns))
    union: Mask | None = np.logical_or.reduce(masks) if masks else None
    return union


def _find_lines(
    planes: npt.NDArray[np.uint8], inside: Mask, rule: _LineRule, network: str = "burned_in"
) -> Mask | None:
    """Return bool of the pixels of `planes`: the cells of the lines of text and those around them."""
    from scipy import ndimage

    height, width = inside.shape
    if min(height, width) < MIN_SIDE:
        return None
    visible: Mask = np.any(_blocks(inside, CELL), axis=(1, 3))
    odds = _visible_log_odds(planes, visible, network)
    block = np.ones((3, 3), bool)
    likely = (odds > rule.likely) & visible
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
        cells |= ndimage.binary_dilation(cells, block, iterations=_REACH) & (odds > rule.weak) & visible
    cells = ndimage.binary_dilation(cells, block, iterations=rule.margin)
    mask: Mask = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    return mask


def _visible_log_odds(planes: npt.NDArray[np.uint8], visible: Mask, network: str) -> npt.NDArray[np.float32]:
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
            scores = text_log_odds(planes[part], network)[top - first :, left - edge :]
            band = odds[top:bottom, left:right]
            band[:] = scores[: band.shape[0], : band.shape[1]]
    return odds


def _candidate_tiles(planes: npt.NDArray[np.uint8], visible: Mask) -> Mask:
    """Return the tiles with edges as sharp as those of letters, in the least levels or in the busiest frame."""
    edges = np.zeros(visible.shape, np.int32)
    for plane in (planes[0], planes[2]):
        for low, high in ((plane[:, :-1], plane[:, 1:]), (plane[:-1], plane[1:])):
            steps = np.zeros(plane.shape, np.uint8)
            steps[: low.shape[0], : low.shape[1]] = np.maximum(low, high) - np.minimum(low, high) >= _STEP
            edges += _blocks(steps, CELL).sum(axis=(1, 3), dtype=np.int32)
    candidates: Mask = _blocks(edges * visible, _TILE).sum(axis=(1, 3)) >= _EDGES
    return candidates


def _any_inside(inside: Mask, side: int) -> Mask:
    """Return whether any pixel of each block is inside."""
    reduced: Mask = inside if side == 1 else np.any(_blocks(inside, side), axis=(1, 3))
    return reduced


def _blocks(values: npt.NDArray[_Block], side: int) -> npt.NDArray[_Block]:
    """Return `(rows, side, columns, side)` of a picture, padded with zeros below and to the right."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % side), (0, -width % side)))
    return padded.reshape(padded.shape[0] // side, side, -1, side)
