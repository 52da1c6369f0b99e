"""What kind of clip this is: from the regions first, then from chroma inside the sector, then from texture.

UltrasoundColorDataPresent (0028,0014) is not asked: it says what the scanner can do, not what it did. Nor is the whole
frame: a banner or a logo in colour is not Doppler.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.colour import luma

_GRID = 160  # colour is judged on at most about this many pixels a side
_LIT = 24  # gray level from which a pixel's hue can be judged
_COLOURED = 24.0  # distance in the Cb-Cr plane beyond the tint that is colour
_SOME = 0.015  # share of the sector that must be coloured for colour Doppler
_MOST = 0.55  # share of the lit sector coloured, above which it is the tissue that is coded in colour
_STREAKED = 4.0  # vertical over horizontal change of gray, above which a still is an M-mode sweep


def decide_mode(
    kind: str | None,
    gray: npt.NDArray[np.uint8],
    colour: npt.NDArray[np.uint8] | None,
    inside: npt.NDArray[np.bool_],
    *,
    moving: bool,
) -> str:
    """Decide among `b_mode`, `colour`, `tissue_doppler`, `m_mode`, `spectral` and `other`.

    Args:
        kind: Kind of the main region, or None when there are no regions.
        gray: uint8 `(n, height, width)`, frames spread over the clip, cropped to the region.
        colour: The same as RGB `(n, height, width, 3)`, or None when the file cannot hold colour.
        inside: bool `(height, width)`, the sector.
        moving: Whether the file is a clip of several frames; traces are told by texture only in stills.
    """
    if kind in ("spectral", "m_mode", "other"):
        return kind
    sector, lit = (0.0, 0.0) if colour is None else coloured_shares(colour, inside)
    if kind == "colour" or sector > _SOME:
        return "tissue_doppler" if lit > _MOST else "colour"
    return _by_texture(gray[0], inside) if kind is None and not moving else "b_mode"


def coloured_shares(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the coloured share of the sector and of its lit pixels, means over the frames.

    Args:
        pictures: uint8 RGB `(n, height, width, 3)`.
        inside: bool `(height, width)`, at least one pixel of it true.
    """
    step = -(-max(inside.shape) // _GRID)
    inside = inside[::step, ::step]
    counts = np.asarray([_count(picture, inside) for picture in pictures[:, ::step, ::step]], np.float64)
    lit, coloured = counts.T
    return float(np.mean(coloured) / max(1, np.count_nonzero(inside))), float(np.mean(coloured / np.maximum(lit, 1)))


def _count(picture: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the number of lit pixels and of those that are coloured.

    A tint (sepia, blue) gives every gray level one hue, so the hue that most pixels of a level have is subtracted
    first: what remains is colour that gray does not explain. Blue-tinted B-mode is B-mode.
    """
    gray = luma(picture)
    chosen = inside & (gray >= _LIT)
    level, values = gray[chosen], picture[chosen].astype(np.float32)
    if not len(level):
        return 0, 0
    chroma = np.stack([0.564 * (values[:, 2] - level), 0.713 * (values[:, 0] - level)], axis=1)
    if np.abs(chroma).max() < _COLOURED / 4:  # gray; subtracting a tint could not raise this to a colour
        return len(level), 0
    bands = level >> 4
    for band in np.unique(bands):
        chroma[bands == band] -= np.median(chroma[bands == band], axis=0)
    return len(level), int(np.count_nonzero(np.hypot(chroma[:, 0], chroma[:, 1]) > _COLOURED))


def _by_texture(gray: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> str:
    """Tell an M-mode sweep from a B-mode still: in a sweep neighbouring columns are nearly alike."""
    values = gray.astype(np.float32)
    down = np.abs(np.diff(values, axis=0))[inside[1:] & inside[:-1]]
    along = np.abs(np.diff(values, axis=1))[inside[:, 1:] & inside[:, :-1]]
    if not down.size or not along.size or float(down.mean()) < 0.5:
        return "other"
    return "m_mode" if float(down.mean()) > _STREAKED * float(along.mean()) else "b_mode"
