"""Look at a few frames of a clip: where the scan is, and what kind of clip it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.colour import luma
from heart2heart.dicom.film import Film
from heart2heart.dicom.mode import decide_mode
from heart2heart.dicom.regions import Box, Scan
from heart2heart.errors import DicomError
from heart2heart.frames.choice import FrameRule
from heart2heart.frames.sector import bounding_box, sector_mask

_SAMPLE = FrameRule("even", 12)  # the same whatever frames are kept, so a kept frame's pixels depend on the clip alone


@dataclass(frozen=True)
class Sight:
    """What was seen.

    Attributes:
        mode: One of `frames.schema.MODES`.
        box: Bounding box of the sector, source pixels.
        mask: bool, of the box: inside the sector.
        flags: `no_sector` when the whole region had to be taken for it.
    """

    mode: str
    box: Box
    mask: npt.NDArray[np.bool_]
    flags: tuple[str, ...]


def look(film: Film, scan: Scan) -> Sight:
    """Estimate the sector and decide the mode from up to twelve frames spread over the clip.

    Raises:
        DicomError: `excluded:no_scan_area` when neither a region nor the pixels say where the scan is, so that what
            was burned in around it cannot be blanked; `failed:decode` when none of the frames can be decoded.
    """
    numbers, pictures = film.decode(_SAMPLE.choose(len(film)), gray=not film.coloured)
    if not len(numbers):
        raise DicomError("the frames cannot be decoded", code="failed:decode")
    x0, y0, x1, y1 = scan.box
    pictures = pictures[:, y0:y1, x0:x1]
    colour, gray = (pictures, luma(pictures)) if film.coloured else (None, pictures)
    trusted = not {"no_region", "region_mismatch"} & set(scan.flags)
    whole = np.ones((y1 - y0, x1 - x0), bool)
    mask = whole if trusted and scan.kind in ("m_mode", "spectral") else sector_mask(gray)
    if mask is None and not trusted:
        what = "neither a region nor the picture says where the scan is, so names beside it cannot be blanked"
        raise DicomError(what, code="excluded:no_scan_area")
    flags = ("no_sector",) if mask is None else ()
    mask = whole if mask is None else mask
    mode = decide_mode(scan.kind, gray, colour, mask, moving=len(film) > 1)
    left, top, right, bottom = bounding_box(mask)
    box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
    return Sight(mode, box, mask[top:bottom, left:right], flags)
