"""Inspects a few frames of a clip: where the scan is, and what mode the clip has."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.mode import decide_mode
from heart2heart.dicom.regions import Box, ScanArea
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.sector import bounding_box, sector_mask

# The same for every frame rule, so that the pixels of a kept frame depend on the clip alone.
_SAMPLED_FRAMES = FrameRule("even", 6)
_COLOURS = 3  # frames of the sample in which colour is looked for
_DETAIL = 160  # pixels along the longer side of the region that are enough to tell colour


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
        DicomError: `excluded:no_scan_area` when neither a region nor the pixels say where the scan is, so that text
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
        what = "neither a region nor the picture says where the scan is, so names beside it cannot be blanked"
        raise DicomError(what, code=StatusCode.EXCLUDED_NO_SCAN_AREA)
    flags = (ClipFlag.NO_SECTOR,) if mask is None else ()
    mask = whole if mask is None else mask
    mode = _decide_mode(reader, scan_area, numbers, gray, mask)
    left, top, right, bottom = bounding_box(mask)
    box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
    return ClipInspection(mode, box, mask[top:bottom, left:right], flags, gray[:, top:bottom, left:right])


def _decide_mode(
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
    # Blocks wholly inside the region, so that nothing beside it is judged.
    left, top, right, bottom = -(-x0 // shrink), -(-y0 // shrink), x1 // shrink, y1 // shrink
    inside = mask[shrink * top - y0 :: shrink, shrink * left - x0 :: shrink][: bottom - top, : right - left]
    return decide_mode(scan.kind, gray, colour[:, top:bottom, left:right], inside, moving=moving)
