"""Estimates the sector, the area of the scan in the picture, from intensity and motion over the clip.

Text, scales, bars and banners around a scan neither move nor fill an area; the scan does one or both. Text that is
shown in some frames only has two levels a pixel, and does not count as motion. The estimate is the convex hull of the
moving or filled pixels, so that no part of the scan is cut; it may include an empty corner. Tissue under the probe may
not move during a clip. Lit pixels there, between the extended sides of the moving part, are included as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_CELLS = 128  # the estimate is made on a grid of at most this many cells a side
_LIT = 8  # gray levels from the background that count as lit
_MOVING = 1.5  # standard deviation over time, gray levels
_SWITCH = 24  # least difference between the two levels of a pixel that is switched on and off
_TWO_LEVELS = 6  # its levels differ from the nearer of the two by at most this part of the difference
_DENSE_SWITCHING = 0.25  # share of the varying pixels of a cell that are switched, above which it does not move
_DENSE_MOVING, _DENSE_LIT = 0.3, 0.45  # share of a cell that must be
_FILLED = 0.5  # share of a row above the moving part that must be lit
_LEAST = 0.12  # share of the picture below which the estimate is rejected
_BAND = 5.0  # a part longer than this many times its breadth is a banner or a bar


def sector_mask(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """Estimate the area of the scan.

    Args:
        pictures: uint8 `(n, height, width)`: gray frames spread over one clip, cropped to the scan's region if known.

    Returns:
        bool `(height, width)`, or None when no area looks like a scan.
    """
    n, height, width = pictures.shape
    cell = max(1, -(-max(height, width) // _CELLS))
    evidence = None
    if n >= 4:
        varying = _varying(pictures)
        moving, switching = _pool(varying, cell), _pool(varying & _switching(pictures), cell)
        evidence = _convex_hull(_close_gaps((moving > _DENSE_MOVING) & (switching < _DENSE_SWITCHING * moving)))
        if evidence is not None:
            _add_near_field(evidence, pictures, cell)
    if evidence is None:
        # Gaps are not closed here, because gaps between lines distinguish text from tissue.
        evidence = _convex_hull(_lit(pictures, cell))
    if evidence is None:
        return None
    return np.repeat(np.repeat(evidence, cell, axis=0), cell, axis=1)[:height, :width]


def _varying(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the pixels that vary over time: `n * sum(x^2) - sum(x)^2`, in exact integers, is `n^2` times the variance.

    Args:
        pictures: uint8 `(n, height, width)`.
    """
    count, shape = len(pictures), pictures.shape[1:]
    few = count <= 256  # so that the sums fit 16 bits, and their squares 32
    total, squares = np.zeros(shape, np.uint16 if few else np.uint32), np.zeros(shape, np.uint32 if few else np.uint64)
    square = np.empty(shape, np.uint16)
    for picture in pictures:
        total += picture
        squares += np.multiply(picture, picture, out=square, dtype=np.uint16)
    squares *= squares.dtype.type(count)
    squares -= np.square(total, dtype=squares.dtype)
    varying: npt.NDArray[np.bool_] = squares > squares.dtype.type(count**2 * _MOVING**2)
    return varying


def _switching(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the pixels that have one of two levels in every frame, as text that comes and goes; speckle has many."""
    least, greatest = pictures.min(axis=0), pictures.max(axis=0)
    spread, between = greatest - least, np.zeros_like(least)
    for picture in pictures:
        np.maximum(between, np.minimum(picture - least, greatest - picture), out=between)
    switching: npt.NDArray[np.bool_] = (spread >= _SWITCH) & (between <= spread // _TWO_LEVELS)
    return switching


def _lit(pictures: npt.NDArray[np.uint8], cell: int, height: int | None = None) -> npt.NDArray[np.bool_]:
    """Return the cells of the upper `height` rows that stand out from the background in any frame."""
    brightest = pictures[:, :height].max(axis=0)
    return _pool(np.abs(brightest.astype(np.int16) - _background(pictures)) > _LIT, cell) > _DENSE_LIT


def _add_near_field(hull: npt.NDArray[np.bool_], pictures: npt.NDArray[np.uint8], cell: int) -> None:
    """Extend the hull of moving pixels upwards, row by row, while most pixels between its extended sides are lit."""
    rows = np.flatnonzero(hull.any(axis=1))
    top, upper = int(rows[0]), rows[len(rows) // 8 : len(rows) // 2]  # above the eighth the hull rounds its corners
    if top == 0 or len(upper) < 4:
        return
    starts, ends = hull[upper].argmax(axis=1), hull.shape[1] - 1 - hull[upper, ::-1].argmax(axis=1)
    left, right = np.polyfit(upper, starts, 1), np.polyfit(upper, ends, 1)

    def span(row: int) -> slice:
        # Never wider than below: the sides of a scan converge towards the probe.
        first, last = max(np.polyval(left, row), starts[0]), min(np.polyval(right, row), ends[0])
        return slice(int(np.ceil(first)), int(np.floor(last)) + 1)

    lit, reached = _lit(pictures, cell, top * cell), top
    while reached > 0 and lit[reached - 1, span(reached - 1)].sum() > _FILLED * max(1, lit[0, span(reached - 1)].size):
        reached -= 1
    for row in range(reached, int(upper[0])) if reached < top else ():
        hull[row, span(row)] = True


def _background(pictures: npt.NDArray[np.uint8]) -> int:
    """Return the gray level that most of the border has at its brightest, or 0 when it has no common one."""
    sides = (pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1])
    border = np.concatenate([side.max(axis=0) for side in sides])
    counts = np.bincount(border, minlength=256)
    level = int(counts.argmax())
    return level if counts[max(0, level - 2) : level + 3].sum() > len(border) / 2 else 0


def bounding_box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 (exclusive) of a mask that holds at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _pool(mask: npt.NDArray[np.bool_], cell: int) -> npt.NDArray[np.float32]:
    """Return the share of true pixels a cell; the cells at the right and bottom edge may be narrower."""
    height, width = mask.shape
    down, along = -(-height // cell), -(-width // cell)
    whole = np.zeros((down, cell, along * cell), np.uint8)
    whole.reshape(down * cell, -1)[:height, :width] = mask
    # Slices are added one by one, as NumPy is slow over short axes.
    strips = np.zeros((down, along * cell), np.uint16 if cell < 256 else np.uint32)
    for row in range(cell):
        strips += whole[:, row]
    sums = np.zeros((down, along), np.uint32)
    for column in range(cell):
        sums += strips[:, column::cell]
    heights, widths = (np.diff(np.arange(0, side, cell), append=side) for side in (height, width))
    area = np.outer(heights, widths)
    shares: npt.NDArray[np.float32] = (sums / area).astype(np.float32)
    return shares


def _close_gaps(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from scipy import ndimage

    closed: npt.NDArray[np.bool_] = ndimage.binary_closing(np.pad(cells, 1), np.ones((3, 3), bool))[1:-1, 1:-1]
    return closed


def _convex_hull(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Return the convex hull of the large parts of `cells`, grown by one cell, or None if they cover too little."""
    from scipy import ndimage
    from scipy.spatial import ConvexHull, QhullError

    block = np.ones((3, 3), bool)
    solid = ndimage.binary_opening(cells, block, iterations=2)
    parts, count = ndimage.label(solid, block)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    for part, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        if max(tall, wide) > _BAND * min(tall, wide):
            sizes[part] = 0
    if sizes.max() == 0:
        return None
    kept = np.isin(parts, np.flatnonzero(sizes >= 0.05 * sizes.max()))
    ys = np.flatnonzero(kept.any(axis=1))
    first, last = kept[ys].argmax(axis=1), kept.shape[1] - 1 - kept[ys, ::-1].argmax(axis=1)
    # The ends of each row have the same hull as all of it.
    corners = np.concatenate([np.stack([xs, ys + dy], 1) for xs in (first - 0.5, last + 0.5) for dy in (-0.5, 0.5)])
    try:
        edges = ConvexHull(corners).equations
    except QhullError:
        return None
    down, along = np.ogrid[: cells.shape[0], : cells.shape[1]]
    hull = np.ones(cells.shape, bool)
    for across, up, offset in edges:
        hull &= across * along + (up * down + offset) <= 1.0
    return hull if hull.mean() >= _LEAST else None
