"""Inspects a few frames of a clip: the location of the scan, and the mode of the clip.

The mode follows from the regions, then from colour inside the sector, then from texture. UltrasoundColorDataPresent
(0028,0014) is not used, because it states what the scanner can do and not what it did. Pixels outside the sector are
not used either, because a coloured banner or logo is not Doppler.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.image_pixel import luma
from heart2heart.dicom.regions import Box, ScanArea
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.sector import bounding_box, sector_mask

_GRID = 160  # colour is measured on at most about this many pixels a side
_LIT = 24  # gray level from which a pixel has a hue
_COLOURED = 24.0  # distance in the Cb-Cr plane beyond the tint that is colour
_SOME = 0.015  # share of the sector that must be coloured for colour Doppler
_MOST = 0.55  # share of the lit sector that must be coloured for tissue Doppler
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
    return _mode_by_texture(gray[0], inside) if kind is None and not moving else ClipMode.B_MODE


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
    """Return whether mostly coloured frames share one hue: sepia or blue-tinted B-mode, which is still B-mode.

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


def _mode_by_texture(gray: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> ClipMode:
    """Distinguish an M-mode sweep from a B-mode still: in a sweep, neighbouring columns are nearly equal."""
    values = gray.astype(np.float32)
    down = np.abs(np.diff(values, axis=0))[inside[1:] & inside[:-1]]
    along = np.abs(np.diff(values, axis=1))[inside[:, 1:] & inside[:, :-1]]
    if not down.size or not along.size or float(down.mean()) < 0.5:
        return ClipMode.OTHER
    return ClipMode.M_MODE if float(down.mean()) > _STREAKED * float(along.mean()) else ClipMode.B_MODE


# The same for every frame rule, so that the pixels of a kept frame depend on the clip alone.
_SAMPLED_FRAMES = FrameRule("even", 6)
_COLOURS = 3  # frames of the sample in which colour is measured
_DETAIL = 160  # pixels along the longer side of the region that are enough to measure colour


@dataclass(frozen=True)
class ClipInspection:
    """Location of the scan, and mode of the clip.

    Attributes:
        mode: Mode of the clip.
        box: Bounding box of the sector, source pixels.
        mask: bool, of the box: inside the sector.
        flags: `no_sector` when the whole region is taken for the sector.
        sample: uint8 `(n, height, width)` of the box: the gray frames that were inspected.
    """

    mode: ClipMode
    box: Box
    mask: npt.NDArray[np.bool_]
    flags: tuple[ClipFlag, ...]
    sample: npt.NDArray[np.uint8] = field(repr=False)


def inspect_clip(reader: FrameReader, scan_area: ScanArea) -> ClipInspection:
    """Estimate the sector and decide the mode from a few frames spread over the clip.

    The sector needs whole gray pictures, in which faint noise still moves. Colour needs fewer and smaller pictures.

    Raises:
        DicomError: `excluded:no_scan_area` when neither a region nor the pixels show where the scan is, so that text
            around it cannot be blanked; `failed:decode` when none of the frames can be decoded.
    """
    sample = _SAMPLED_FRAMES.choose(len(reader))
    numbers, pictures = reader.decode(sample, gray=True)
    if not len(numbers):
        raise DicomError("the frames cannot be decoded", code=StatusCode.FAILED_DECODE)
    x0, y0, x1, y1 = scan_area.box
    gray = pictures[:, y0:y1, x0:x1]
    trusted = not {ClipFlag.NO_REGION, ClipFlag.REGION_MISMATCH} & set(scan_area.flags)
    whole = np.ones((y1 - y0, x1 - x0), bool)
    mask = whole if trusted and scan_area.kind in (ClipMode.M_MODE, ClipMode.SPECTRAL) else sector_mask(gray)
    if mask is None and not trusted:
        what = "neither a region nor the picture shows where the scan is, so names beside it cannot be blanked"
        raise DicomError(what, code=StatusCode.EXCLUDED_NO_SCAN_AREA)
    flags = (ClipFlag.NO_SECTOR,) if mask is None else ()
    mask = whole if mask is None else mask
    mode = _mode_of_clip(reader, scan_area, numbers, gray, mask)
    left, top, right, bottom = bounding_box(mask)
    box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
    return ClipInspection(mode, box, mask[top:bottom, left:right], flags, gray[:, top:bottom, left:right])


def _mode_of_clip(
    reader: FrameReader,
    scan: ScanArea,
    numbers: npt.NDArray[np.int64],
    gray: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
) -> ClipMode:
    """Decide the mode; decode colour only if the frames can hold it and the regions leave the mode open."""
    moving = len(reader) > 1
    if not reader.coloured or scan.kind in (ClipMode.M_MODE, ClipMode.SPECTRAL, ClipMode.OTHER):
        return decide_mode(scan.kind, gray, None, mask, moving=moving)
    x0, y0, x1, y1 = scan.box
    shrink = next((s for s in (8, 4, 2) if moving and max(mask.shape) >= s * _DETAIL), 1)
    decoded, colour = reader.decode(numbers[:: max(1, len(numbers) // _COLOURS)], gray=False, shrink=shrink)
    if not len(decoded):
        raise DicomError("the colour of the frames cannot be decoded", code=StatusCode.FAILED_DECODE)
    # Blocks wholly inside the region, so that no pixel beside it is measured.
    left, top, right, bottom = -(-x0 // shrink), -(-y0 // shrink), x1 // shrink, y1 // shrink
    inside = mask[shrink * top - y0 :: shrink, shrink * left - x0 :: shrink][: bottom - top, : right - left]
    return decide_mode(scan.kind, gray, colour[:, top:bottom, left:right], inside, moving=moving)
