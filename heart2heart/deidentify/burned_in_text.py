"""Finds text burned into the visible picture: a small convolutional network scores each cell, and cells form lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.inspect_clip import ClipInspection

Floats = npt.NDArray[np.float32]

CELL = 4  # pixels, the side of a cell
LAYERS = ((8, 8, 3, 1), (8, 16, 3, 1), (16, 16, 3, 2), (16, 16, 3, 3), (16, 1, 1, 1))
"""Channels in and out, size of the filter and its dilation. The first sees blocks of 2 x 2 pixels of both pictures; its
output is pooled to cells by the maximum."""
RADIUS = 7  # cells around a cell that influence its score
MIN_SIDE = 24  # pixels a side


@cache
def weights() -> list[tuple[Floats, Floats]]:
    """Return the filters `(rows, columns, in, out)` and biases of each layer, float32."""
    with np.load(Path(__file__).with_name("burned_in.npz"), allow_pickle=False) as stored:
        return [
            (stored[f"w{layer}"].astype(np.float32), stored[f"b{layer}"].astype(np.float32))
            for layer in range(len(LAYERS))
        ]


def text_evidence(least: npt.NDArray[np.uint8], greatest: npt.NDArray[np.uint8]) -> Floats:
    """Return the log-odds of text, float32 `(height / 4, width / 4)`, rounded up.

    Args:
        least: uint8 `(height, width)`, the lowest gray level of each pixel over the frames.
        greatest: uint8 `(height, width)`, the highest gray level of each pixel over the frames.
    """
    height, width = least.shape
    pad = ((0, -height % CELL), (0, -width % CELL))
    pair = np.stack([np.pad(least, pad, "edge"), np.pad(greatest, pad, "edge")])
    rows, columns = pair.shape[1] // 2, pair.shape[2] // 2
    # As torch's pixel_unshuffle orders channels: picture, row in the block, column in the block.
    blocks = pair.reshape(2, rows, 2, columns, 2).transpose(1, 3, 0, 2, 4).reshape(rows, columns, 8)
    x = blocks.astype(np.float32) / np.float32(255)
    for layer, ((weight, bias), (_, _, size, reach)) in enumerate(zip(weights(), LAYERS, strict=True)):
        x = _convolve(x, weight, bias, reach * (size // 2), reach)
        if layer < len(LAYERS) - 1:
            np.maximum(x, 0, out=x)
        if layer == 0:
            x = x.reshape(rows // 2, 2, columns // 2, 2, -1).max(axis=(1, 3))
    return x[..., 0]


def _convolve(x: Floats, weight: Floats, bias: Floats, pad: int, reach: int) -> Floats:
    """Return float32 `(rows, columns, out)` of `x` `(rows, columns, in)`; the border is padded with zeros."""
    rows, columns, _ = x.shape
    size = weight.shape[0]
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    output = np.empty((rows, columns, weight.shape[3]), np.float32)
    output[:] = bias
    for i in range(size):
        for j in range(size):
            output += padded[i * reach : i * reach + rows, j * reach : j * reach + columns] @ weight[i, j]
    return output


_Block = TypeVar("_Block", bound=np.generic)

_LIKELY = 0.0  # log-odds of a cell that belongs to a line
_SURE = 2.0  # log-odds that one cell of a line must have
_CELLS = 5  # minimum number of cells of a line
_TILE = 8  # cells a side: the parts of a picture that are scored or skipped
_BAND = 8  # tiles, the height of the band that is scored at once
_STILL = 60  # maximum change of a letter over the clip, gray levels, codecs included
_STEP = 24  # gray levels between neighbours at the edge of a letter, in the frame in which each is least
_EDGES = 6  # such neighbours in a tile, or it holds no letter


def find_text(inspection: ClipInspection) -> npt.NDArray[np.bool_] | None:
    """Find text in the frames from which the sector was estimated; see `text_mask`.

    Args:
        inspection: Sector of the clip; text outside it is blanked anyway.

    Returns:
        bool `(height, width)` of the box of `inspection`, or None when there is no text.
    """
    return text_mask(inspection.sample, inspection.mask)


def text_mask(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Find lines of text in the visible part of a clip.

    Args:
        pictures: uint8 `(n, height, width)`: gray frames spread over one clip.
        inside: bool `(height, width)`, the visible part; text elsewhere is not searched for.

    Returns:
        bool `(height, width)`, the cells of the lines and those around them, or None when there is no text.
    """
    from scipy import ndimage

    height, width = inside.shape
    if min(height, width) < MIN_SIDE:
        return None
    visible: npt.NDArray[np.bool_] = np.any(_blocks(inside, CELL), axis=(1, 3))
    odds = _text_log_odds(pictures.min(axis=0), pictures.max(axis=0), visible)
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
    mask: npt.NDArray[np.bool_] = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    return mask


def _text_log_odds(
    least: npt.NDArray[np.uint8], greatest: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the log-odds of each cell, float32; minus infinity where no letter can be."""
    odds = np.full(visible.shape, -np.inf, np.float32)
    tiles = _candidate_tiles(least, greatest, visible)
    # Band by band, so that memory does not grow with the picture.
    for start in range(0, len(tiles), _BAND):
        rows, columns = (np.flatnonzero(tiles[start : start + _BAND].any(axis=axis)) for axis in (1, 0))
        if len(rows):
            top, bottom = (start + rows[0]) * _TILE, (start + rows[-1] + 1) * _TILE
            left, right = columns[0] * _TILE, (columns[-1] + 1) * _TILE
            first, edge = max(0, top - RADIUS), max(0, left - RADIUS)
            part = np.s_[first * CELL : (bottom + RADIUS) * CELL, edge * CELL : (right + RADIUS) * CELL]
            scores = text_evidence(least[part], greatest[part])[top - first :, left - edge :]
            band = odds[top:bottom, left:right]
            band[:] = scores[: band.shape[0], : band.shape[1]]
    return odds


def _candidate_tiles(
    least: npt.NDArray[np.uint8], greatest: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the tiles with pixels that do not move and have edges as sharp as those of letters."""
    still = greatest - least <= _STILL
    step = np.maximum(least[:, 1:], least[:, :-1]) - np.minimum(least[:, 1:], least[:, :-1])
    edges = np.zeros(least.shape, np.uint8)
    edges[:, 1:] = (step >= _STEP) & (still[:, 1:] | still[:, :-1])
    counts = _blocks(edges, CELL).sum(axis=(1, 3), dtype=np.int32) * visible
    candidates: npt.NDArray[np.bool_] = _blocks(counts, _TILE).sum(axis=(1, 3)) >= _EDGES
    return candidates


def _blocks(values: npt.NDArray[_Block], side: int) -> npt.NDArray[_Block]:
    """Return `(rows, side, columns, side)` of a picture, padded with zeros below and to the right."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % side), (0, -width % side)))
    return padded.reshape(padded.shape[0] // side, side, -1, side)
