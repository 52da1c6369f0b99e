"""Converts areas of text between source pixels, blocks of reduced pictures, and stored frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.regions import Box
from heart2heart.store.geometry import ContentRect

Mask = npt.NDArray[np.bool_]


def any_in_blocks(mask: Mask, box: Box, shrink: int) -> Mask:
    """Return whether a block of the reduced picture has a pixel of `mask`, over all blocks that overlap the box.

    Args:
        mask: bool `(height, width)`, pixels of the box.
        box: Position of the mask in the picture.
        shrink: Side of a block, pixels.

    Examples:
        >>> import numpy as np
        >>> any_in_blocks(np.ones((3, 2), bool), (1, 0, 3, 3), 2)
        array([[ True,  True],
               [ True,  True]])
    """
    x0, y0, x1, y1 = box
    whole = np.pad(mask, ((y0 % shrink, -y1 % shrink), (x0 % shrink, -x1 % shrink)))
    strips = np.logical_or.reduce([whole[row::shrink] for row in range(shrink)])  # as NumPy is slow over short axes
    blocks: Mask = np.logical_or.reduce([strips[:, column::shrink] for column in range(shrink)])
    return blocks


def to_source_pixels(blocks: Mask | None, box: Box, shrink: int) -> Mask | None:
    """Return the pixels of the box that blocks of a reduced picture cover; None for None.

    Args:
        blocks: bool, blocks that overlap the box, as `any_in_blocks` returns them.
        box: Position of the result in the picture.
        shrink: Side of a block, pixels.

    Examples:
        >>> import numpy as np
        >>> to_source_pixels(np.array([[False, True]]), (1, 0, 4, 2), 2)
        array([[False,  True,  True],
               [False,  True,  True]])
    """
    if blocks is None:
        return None
    x0, y0, x1, y1 = box
    pixels = blocks.repeat(shrink, axis=0).repeat(shrink, axis=1)
    return pixels[y0 % shrink :, x0 % shrink :][: y1 - y0, : x1 - x0]


def stored_area(area: Mask, content_rect: ContentRect, size: int) -> Mask:
    """Return the pixels of a stored frame to which pixels of `area` contribute, and those around them.

    Args:
        area: bool `(height, width)`, source pixels of the box.
        content_rect: Position of the box in the frame.
        size: Side of the frame, pixels.

    Examples:
        >>> import numpy as np
        >>> from heart2heart.store.geometry import Geometry
        >>> area = np.zeros((100, 200), bool)
        >>> area[54, 26] = True
        >>> np.argwhere(stored_area(area, Geometry("tmed2", 20).letterbox(100, 200), 20)).tolist()
        [[4, 1], [4, 2], [4, 3], [5, 1], [5, 2], [5, 3], [6, 1], [6, 2], [6, 3]]
    """
    from scipy import ndimage

    block = np.ones((3, 3), bool)
    area = ndimage.binary_dilation(area, block)  # linear interpolation reaches the neighbour of a source pixel
    height, width = area.shape
    rows = np.arange(content_rect.height) * height // content_rect.height
    columns = np.arange(content_rect.width) * width // content_rect.width
    reduced = np.logical_or.reduceat(np.logical_or.reduceat(area, rows, axis=0), columns, axis=1)
    frame = np.zeros((size, size), bool)
    top, left = content_rect.top, content_rect.left
    # The antialiasing reaches less than one frame pixel further.
    frame[top : top + content_rect.height, left : left + content_rect.width] = reduced
    grown: Mask = ndimage.binary_dilation(frame, block)
    return grown
