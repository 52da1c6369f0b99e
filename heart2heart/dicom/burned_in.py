"""Text burned into what remains visible: strokes that stand still, are bright and even, and line up as letters do.

Tissue moves and its speckle varies in brightness from spot to spot; letters do neither. A caliper, a depth tick or a
dotted ring is one mark, or marks that are too small, too far apart or not side by side. The detector raises a
suspicion; it does not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.sight import Sight
from heart2heart.frames.sector import bounding_box

_BRIGHT = 100  # gray level that a stroke keeps in every frame
_CONTRAST = 50  # gray levels that a stroke stands above what is left when thin bright things are removed
_STILL = 40  # most gray levels that a stroke may change over the clip; codecs disturb the pixels around moving tissue
_STROKE = 9  # pixels; what is thicker than this in both directions is not a stroke
_SMALLEST, _TALLEST = 5, 0.08  # height of a letter: pixels, and share of the picture's height
_LETTERS = 4  # side by side that make a line
_FEW = 2  # that do where the picture is known to hold writing: `cm`, a unit, an initial
_INK = 16  # gray levels around the middle letter's brightest, within which a letter was drawn in the same ink
_SHORT = 6  # letters below which a line must be twice as even, since a few specks may look alike
_MOST = 0.8  # share of a line's letters that are in one ink, and that stand on one base line
_BASE = 1.5  # pixels around the middle letter's foot that are the same base line
_MARGIN = 3  # pixels around a line that belong to it


@dataclass(frozen=True)
class _Mark:
    """One connected bright shape: its box, end exclusive, and its brightest level."""

    top: int
    bottom: int
    left: int
    right: int
    level: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def find_text(seen: Sight) -> npt.NDArray[np.bool_] | None:
    """Look for text in the frames that the sector was estimated from; see `text_mask`.

    Args:
        seen: Where the sector is; text outside is blanked anyway.

    Returns:
        bool, of the box of `seen`, or None when there is no text.
    """
    return text_mask(seen.sample, seen.mask)


def text_mask(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Find lines of text in what is visible of a clip.

    Args:
        pictures: uint8 `(n, height, width)`: gray frames spread over one clip.
        inside: bool `(height, width)`: what remains visible; text elsewhere is not looked for.

    Returns:
        bool `(height, width)`, the boxes of the lines, or None when there is no text.
    """
    lines = _lines(_marks(pictures, inside))
    if not lines:
        return None
    found = np.zeros_like(inside)
    for line in lines:
        top, bottom = min(mark.top for mark in line), max(mark.bottom for mark in line)
        left, right = min(mark.left for mark in line), max(mark.right for mark in line)
        found[max(0, top - _MARGIN) : bottom + _MARGIN, max(0, left - _MARGIN) : right + _MARGIN] = True
    return found


def _marks(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> list[_Mark]:
    """Return the letter-sized shapes, from left to right."""
    from scipy import ndimage

    darkest = pictures.min(axis=0)
    strokes = (darkest >= _BRIGHT) & inside & (pictures.max(axis=0) - darkest <= _STILL)
    if not strokes.any():
        return []
    x0, y0, x1, y1 = bounding_box(strokes)
    near = (slice(max(0, y0 - 2 * _STROKE), y1 + 2 * _STROKE), slice(max(0, x0 - 2 * _STROKE), x1 + 2 * _STROKE))
    opened = np.zeros_like(darkest)
    opened[near] = ndimage.grey_opening(darkest[near], (_STROKE, _STROKE))  # elsewhere there is nothing to judge
    strokes &= darkest.astype(np.int16) - opened >= _CONTRAST
    parts, _ = ndimage.label(strokes, np.ones((3, 3), bool))
    tallest = max(12, round(_TALLEST * inside.shape[0]))
    marks = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        if _SMALLEST <= tall <= tallest and wide <= 2 * tall:
            shape = parts[rows, columns] == number
            if float(shape.mean()) >= 0.2:
                level = int(darkest[rows, columns][shape].max())
                marks.append(_Mark(rows.start, rows.stop, columns.start, columns.stop, level))
    return sorted(marks, key=lambda mark: (mark.left, mark.top))


def _lines(marks: list[_Mark]) -> list[list[_Mark]]:
    """Chain marks that stand side by side; keep the even chains, if one of them is long enough to be writing."""
    chains: list[list[_Mark]] = []
    for mark in marks:
        near = [chain for chain in chains if _follows(chain[-1], mark)]
        if near:
            min(near, key=lambda chain: mark.left - chain[-1].right).append(mark)
        else:
            chains.append([mark])
    written = [chain for chain in chains if len(chain) >= _FEW and _even(chain)]
    return written if any(len(chain) >= _LETTERS for chain in written) else []


def _follows(last: _Mark, mark: _Mark) -> bool:
    low, high = sorted((last.height, mark.height))
    shared = min(last.bottom, mark.bottom) - max(last.top, mark.top)
    return high <= 1.7 * low and shared >= 0.6 * low and -1 <= mark.left - last.right <= 1.2 * high


def _even(chain: list[_Mark]) -> bool:
    """Tell whether the marks have one brightness and one base line, as letters have and speckle has not."""
    levels, feet = np.asarray([mark.level for mark in chain]), np.asarray([mark.bottom for mark in chain])
    ink = _INK if len(chain) >= _SHORT else _INK / 2
    return _close(levels, ink) >= _MOST and _close(feet, _BASE) >= _MOST


def _close(values: npt.NDArray[np.int_], distance: float) -> float:
    return float(np.mean(np.abs(values - np.median(values)) <= distance))
