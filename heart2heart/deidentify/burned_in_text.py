"""Finds text and codes burned into the visible picture, over all frames of a clip.

A small network (`text_network`) scores the cells of the planes of `TextEvidence`. It was fitted to text of 7 to 110
pixels in every direction, still, moving and blinking. Its sure cells form areas. `upright_lines` adds small text that
stands still, and the two networks strengthen each other. Faint cells beside either belong to the text. What may be text
outside of it leaves the finding unsure.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.text_evidence import TextEvidence
from heart2heart.deidentify.text_finding import TextFinding, unite_areas
from heart2heart.deidentify.text_network import CELL, MIN_SIDE, text_log_odds
from heart2heart.deidentify.upright_lines import any_in_cells, upright_lines
from heart2heart.dicom.image_pixel import luma
from heart2heart.dicom.inspect_clip import ClipInspection

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

_SURE = 3.0  # log-odds that one cell of an area must have
_LIKELY = 0.0  # log-odds of a cell that belongs to an area
_WEAK = -2.0  # log-odds of a cell that belongs to an area beside it
_LEAST = 3  # cells of an area
_REACH, _ROUNDS = 2, 2  # cells by which an area reaches for weak cells, and how often
_BESIDE = -1.0  # log-odds of a cell that belongs to an area or a line of another plane or network beside it
_POSSIBLE = -5.0  # log-odds below which a cell and those near it are not searched for small text
_AGREEMENT, _MOST = 0.5, 6.0  # weight of log-odds of small text beside the other ones, and the most that count
_DOUBT = 0.25  # log-odds that two cells of a part must have to leave a doubt
_DOUBT_REDUCED = 2.0  # the same of a reduced picture, where speckle is as fine as letters
_PART = -1.0  # log-odds of the cells of such a part
_COLOUR = 48  # distance of the channels of a pixel that has a colour
_BLOCK = np.ones((3, 3), bool)


class TextSearch:
    """Searches a clip for text, frame by frame, in gray and in colour, without holding the frames.

    Text whose gray level equals that of its surroundings differs from them in the least or greatest of its channels.

    Args:
        inside: bool `(height, width)`, the visible part; text elsewhere is not searched for.
        is_reduced: Whether the pictures were decoded at less than their size. Small text that stands still is not
            searched for in them: other frames show it at full size.

    Attributes:
        complete: Whether the search can find text; pictures of less than 24 pixels a side are not searched.

    Examples:
        >>> import numpy as np
        >>> search = TextSearch(np.ones((48, 64), bool))
        >>> search.add(np.zeros((3, 48, 64), np.uint8))
        >>> search.finding().is_found
        False
    """

    def __init__(self, inside: Mask, *, is_reduced: bool = False) -> None:
        self._inside = inside
        self._is_reduced = is_reduced
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

    def finding(self, known: Mask | None = None) -> TextFinding:
        """Return the areas of text with the cells around them, and whether there may be more.

        Args:
            known: bool `(height, width)`, text that another search of the clip has found; it is part of the areas.
        """
        if not self._gray.count:
            return TextFinding(None, 0.0, is_unsure=False)
        visible = any_in_cells(self._inside, CELL)
        planes = [evidence.planes() for evidence in (self._gray, *(self._channels or ()))]
        odds = [np.where(visible, text_log_odds(one), np.float32(-np.inf)) for one in planes]
        lines = np.zeros(visible.shape, bool) if known is None else any_in_cells(known, CELL)
        if not self._is_reduced:
            upright = upright_lines(planes[0], self._inside, odds[0] > _POSSIBLE)
            odds[0] += _AGREEMENT * np.clip(upright.odds, 0, _MOST)
            lines |= upright.lines
        text = unite_areas([self._mask_of(_text_cells(odds, lines))], self._inside, is_unsure=False)
        doubt = _DOUBT_REDUCED if self._is_reduced else _DOUBT
        return TextFinding(text.mask, text.share, _is_unsure(odds, text.mask, doubt))

    def _mask_of(self, cells: Mask) -> Mask | None:
        """Return the pixels of cells; None without any."""
        if not cells.any():
            return None
        height, width = self._inside.shape
        pixels: Mask = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
        return pixels


def find_text(inspection: ClipInspection) -> TextFinding:
    """Find text in the frames from which the sector was estimated; see `text_finding`.

    Args:
        inspection: Sector of the clip; text outside it is blanked anyway.

    Returns:
        The finding, in the box of `inspection`.
    """
    return text_finding(inspection.sample, inspection.mask)


def text_finding(pictures: npt.NDArray[np.uint8], inside: Mask) -> TextFinding:
    """Find text in the visible part of a clip.

    Args:
        pictures: uint8 `(n, height, width)`, or RGB `(n, height, width, 3)`: frames of one clip.
        inside: bool `(height, width)`, the visible part; text elsewhere is not searched for.
    """
    search = TextSearch(inside)
    search.add(pictures)
    return search.finding()


def text_mask(pictures: npt.NDArray[np.uint8], inside: Mask) -> Mask | None:
    """Return the areas of text that `text_finding` finds, bool `(height, width)`, or None when there is no text."""
    return text_finding(pictures, inside).mask


def _text_cells(odds: list[Floats], lines: Mask) -> Mask:
    """Return the cells of text and those around them.

    Args:
        odds: Log-odds of the cells in gray, and in the least and greatest channel.
        lines: Cells of small text.
    """
    from scipy import ndimage

    areas: Mask = np.logical_or.reduce([_area_cells(one) for one in odds])
    near = lines | ndimage.binary_dilation(areas | lines, _BLOCK, iterations=_REACH)
    areas |= near & (np.maximum.reduce(odds) > _BESIDE)
    around: Mask = lines | ndimage.binary_dilation(areas, _BLOCK)
    return around


def _area_cells(odds: Floats) -> Mask:
    """Return the cells of areas that are surely text, and faint cells beside them."""
    from scipy import ndimage

    parts, count = ndimage.label(odds > _LIKELY, _BLOCK)
    if not count:
        return np.zeros(odds.shape, bool)
    numbers = np.arange(1, count + 1)
    most = np.asarray(ndimage.maximum(odds, parts, numbers))
    size = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    cells: Mask = np.isin(parts, numbers[(most >= _SURE) & (size >= _LEAST)])
    for _ in range(_ROUNDS if cells.any() else 0):
        cells |= ndimage.binary_dilation(cells, _BLOCK, iterations=_REACH) & (odds > _WEAK)
    return cells


def _is_unsure(odds: list[Floats], text: Mask | None, least: float) -> bool:
    """Return whether a part of the picture outside of the text has two cells of at least `least`."""
    from scipy import ndimage

    covered = False if text is None else ndimage.binary_dilation(any_in_cells(text, CELL), _BLOCK)
    for scores in odds:
        outside = np.where(covered, np.float32(-np.inf), scores)
        parts, count = ndimage.label(outside > _PART, _BLOCK)
        doubtful = np.bincount(parts[outside >= least], minlength=count + 1)[1:]
        if (doubtful >= 2).any():
            return True
    return False
