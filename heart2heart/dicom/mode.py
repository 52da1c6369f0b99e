"""Decides the mode of a clip from its regions, then from colour inside the sector, then from texture.

UltrasoundColorDataPresent (0028,0014) is not used: it states what the scanner can do, not what it did. Pixels outside
the sector are not used either: a coloured banner or logo is not Doppler.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.colour import luma
from heart2heart.schema.enums import ClipMode

_GRID = 160  # colour is judged on at most about this many pixels a side
_LIT = 24  # gray level from which a pixel's hue can be judged
_COLOURED = 24.0  # distance in the Cb-Cr plane beyond the tint that is colour
_SOME = 0.015  # share of the sector that must be coloured for colour Doppler
_MOST = 0.55  # share of the lit sector coloured, above which it is the tissue that is coded in colour
_STREAKED = 4.0  # vertical over horizontal change of gray, above which a still is an M-mode sweep


def decide_mode(
    kind: ClipMode | None,
    gray: npt.NDArray[np.uint8],
    colour: npt.NDArray[np.uint8] | None,
    inside: npt.NDArray[np.bool_],
    *,
    moving: bool,
) -> ClipMode:
    """Decide the mode of a clip.

    Args:
        kind: Kind of the main region, or None when there are no regions.
        gray: uint8 `(n, height, width)`, frames spread over the clip, cropped to the region.
        colour: The same as RGB `(n, height, width, 3)`, or None when the file cannot hold colour.
        inside: bool `(height, width)`, the sector.
        moving: Whether the file is a clip of several frames; only stills are tested for the texture of traces.
    """
    if kind in (ClipMode.SPECTRAL, ClipMode.M_MODE, ClipMode.OTHER):
        return kind
    sector, lit = (0.0, 0.0) if colour is None else coloured_fractions(colour, inside)
    if kind == ClipMode.COLOUR or sector > _SOME:
        return ClipMode.TISSUE_DOPPLER if lit > _MOST else ClipMode.COLOUR
    return _by_texture(gray[0], inside) if kind is None and not moving else ClipMode.B_MODE


def coloured_fractions(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the coloured share of the sector and of its lit pixels, over all frames.

    Args:
        pictures: uint8 RGB `(n, height, width, 3)`.
        inside: bool `(height, width)`, at least one pixel of it true.
    """
    step = -(-max(inside.shape) // _GRID)
    inside = inside[::step, ::step]
    levels, chromas = zip(*(_lit_chroma(picture, inside) for picture in pictures[:, ::step, ::step]), strict=True)
    tinted = [_mostly_coloured(chroma) for chroma in chromas]
    if _one_hue([chroma for chroma, tint in zip(chromas, tinted, strict=True) if tint]):
        for level, chroma, tint in zip(levels, chromas, tinted, strict=True):
            if tint:
                _subtract_tint(level, chroma)
    coloured = sum(int(np.count_nonzero(np.hypot(*chroma.T) > _COLOURED)) for chroma in chromas)
    area = len(pictures) * max(1, int(np.count_nonzero(inside)))
    return coloured / area, coloured / max(1, sum(map(len, chromas)))


def _lit_chroma(
    picture: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return gray level `(m,)` and Cb, Cr `(m, 2)` of the lit pixels."""
    gray = luma(picture)
    chosen = inside & (gray >= _LIT)
    level, values = gray[chosen], picture[chosen].astype(np.float32)
    return level, np.stack([0.564 * (values[:, 2] - level), 0.713 * (values[:, 0] - level)], axis=1)


def _mostly_coloured(chroma: npt.NDArray[np.float32]) -> bool:
    return len(chroma) > 0 and float(np.mean(np.hypot(*chroma.T) > _COLOURED / 4)) > 0.5


def _one_hue(chromas: list[npt.NDArray[np.float32]]) -> bool:
    """Tell whether mostly coloured frames share one hue: sepia or blue-tinted B-mode, which is still B-mode.

    Tissue Doppler colours most pixels too, but in opposite hues, over the sector or over the cardiac cycle.
    """
    if not chromas:
        return False
    whole = np.concatenate(chromas)
    return float(np.hypot(*whole.mean(axis=0))) > 0.8 * float(np.hypot(*whole.T).mean())


def _subtract_tint(level: npt.NDArray[np.uint8], chroma: npt.NDArray[np.float32]) -> None:
    """Subtract from every pixel the median hue of the pixels of its gray level."""
    bands = level >> 4
    for band in np.unique(bands):
        chroma[bands == band] -= np.median(chroma[bands == band], axis=0)


def _by_texture(gray: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> ClipMode:
    """Distinguish an M-mode sweep from a B-mode still: in a sweep, neighbouring columns are nearly equal."""
    values = gray.astype(np.float32)
    down = np.abs(np.diff(values, axis=0))[inside[1:] & inside[:-1]]
    along = np.abs(np.diff(values, axis=1))[inside[:, 1:] & inside[:, :-1]]
    if not down.size or not along.size or float(down.mean()) < 0.5:
        return ClipMode.OTHER
    return ClipMode.M_MODE if float(down.mean()) > _STREAKED * float(along.mean()) else ClipMode.B_MODE
