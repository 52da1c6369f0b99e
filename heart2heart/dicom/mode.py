"""What kind of clip this is: from the regions first, then from chroma inside the sector, then from texture.

UltrasoundColorDataPresent (0028,0014) is not asked: it says what the scanner can do, not what it did. Nor is the whole
frame: a banner or a logo in colour is not Doppler.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.colour import luma

_LIT = 24  # gray level from which a pixel's hue can be judged
_COLOURED = 24.0  # distance in the Cb-Cr plane beyond the tint that is colour
_SOME = 0.015  # share of the sector that must be coloured for colour Doppler
_MOST = 0.55  # share of the lit sector coloured, above which it is the tissue that is coded in colour
_STREAKED = 4.0  # vertical over horizontal change of gray, above which a still is an M-mode sweep


def decide_mode(
    kind: str | None, pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_], *, moving: bool
) -> str:
    """Decide among `b_mode`, `colour`, `tissue_doppler`, `m_mode`, `spectral` and `other`.

    Args:
        kind: Kind of the main region, or None when there are no regions.
        pictures: uint8 RGB `(n, height, width, 3)`, frames spread over the clip, cropped to the region.
        inside: bool `(height, width)`, the sector.
        moving: Whether the file is a clip of several frames; traces are judged by texture only in stills.
    """
    if kind in ("spectral", "m_mode", "other"):
        return kind
    sector, lit = coloured_shares(pictures, inside)
    if kind == "colour" or sector > _SOME:
        return "tissue_doppler" if lit > _MOST else "colour"
    if kind is None and not moving:
        return _by_texture(luma(pictures[0]), inside)
    return "b_mode"


def coloured_shares(pictures: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the coloured share of the sector and of its lit pixels, means over the frames.

    A tint (sepia, blue) gives every gray level one hue, so the hue that most pixels of a level have is subtracted
    first: what remains is colour that gray does not explain. Blue-tinted B-mode is B-mode.
    """
    sector, lit = [], []
    for picture in pictures:
        values = picture[inside].astype(np.float32)
        gray = luma(picture)[inside]
        bright = gray >= _LIT
        if not bright.any():
            sector.append(0.0)
            lit.append(0.0)
            continue
        values, level = values[bright], gray[bright]
        y = level.astype(np.float32)
        chroma = np.stack([0.564 * (values[:, 2] - y), 0.713 * (values[:, 0] - y)], axis=1)
        for step in np.unique(level >> 4):
            mine = (level >> 4) == step
            chroma[mine] -= np.median(chroma[mine], axis=0)
        coloured = np.hypot(chroma[:, 0], chroma[:, 1]) > _COLOURED
        sector.append(float(coloured.sum() / inside.sum()))
        lit.append(float(coloured.mean()))
    return float(np.mean(sector)), float(np.mean(lit))


def _by_texture(gray: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> str:
    """Tell an M-mode sweep from a B-mode still: in a sweep neighbouring columns are nearly alike."""
    values = gray.astype(np.float32)
    down = np.abs(np.diff(values, axis=0))[inside[1:] & inside[:-1]]
    along = np.abs(np.diff(values, axis=1))[inside[:, 1:] & inside[:, :-1]]
    if not down.size or not along.size or float(down.mean()) < 0.5:
        return "other"
    return "m_mode" if float(down.mean()) > _STREAKED * float(along.mean()) else "b_mode"
