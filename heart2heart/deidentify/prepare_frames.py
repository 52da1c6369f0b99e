"""Prepares the frames of a clip: sector, mode, text, crop, quality and hashes, alike for DICOM and for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.burned_in_text import TextSearch, find_text
from heart2heart.deidentify.stored_text import any_in_blocks, stored_area, to_source_pixels
from heart2heart.deidentify.text_finding import TextFinding, unite_areas
from heart2heart.deidentify.viewing_pictures import viewing_pictures
from heart2heart.dicom.extract_frames import choose_shrink, extract_frames
from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.inspect_clip import ClipInspection, inspect_clip
from heart2heart.dicom.regions import Box, ScanArea
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import ContentRect, Geometry
from heart2heart.store.quality import difference_hash, frame_quality
from heart2heart.store.viewing_copies import ViewingPictures


@dataclass(frozen=True)
class PreparedFrames:
    """The kept frames of one clip.

    Attributes:
        pixels: uint8 `(n, N, N)`, black outside the sector, and where text was blanked.
        rows: `index`, `time_ms`, `phase`, `quality` and `dhash` of each kept frame.
        mode: Mode of the clip.
        box: Bounding box of the sector, source pixels.
        flags: Flags of the frames, of the scan's area, of the sector, and of text.
        viewing: Pictures of the viewing copy; None where none was asked for, or text is suspected.
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    rows: list[dict[str, Any]] = field(repr=False)
    mode: ClipMode
    box: Box
    flags: tuple[ClipFlag, ...]
    viewing: ViewingPictures | None = field(default=None, repr=False)


def prepare_frames(
    reader: FrameReader,
    scan: ScanArea,
    rule: FrameRule,
    geometry: Geometry,
    *,
    times: npt.NDArray[np.float64] | None,
    phases: Mapping[int, str],
    aspect: tuple[float, float] = (1.0, 1.0),
    text_policy: TextPolicy = TextPolicy.BLANK,
    viewing_copy: bool = False,
) -> PreparedFrames:
    """Find the sector, decide the mode, and return the chosen frames, blanked outside the sector and resampled.

    Args:
        reader: The clip.
        scan: Where the scan is, as far as the file says.
        rule: Which frames to keep.
        geometry: Geometry of the frames.
        times: Milliseconds of each frame from the first, float64 `(n,)`, or None.
        phases: `ED` or `ES` by frame.
        aspect: Height and width of a pixel, any unit, where `scan` gives no spacing.
        text_policy: What to do with text inside the scan. Where `blank` would take more than a quarter of the scan,
            nothing is blanked, and the clip is quarantined. So is a clip that may hold more text than was found. A few
            frames are searched at full size, and every kept frame at the size at which it is decoded, which is at least
            the size at which it is stored.
        viewing_copy: Whether to make the pictures of a viewing copy as well.

    Raises:
        DicomError: the clip gives no frames; see `inspect_clip` and `extract_frames`. `excluded:text_in_scan` for text
            under the policy `refuse`.
    """
    inspection = inspect_clip(reader, scan)
    spacing = scan.spacing_mm or aspect
    chosen = rule.choose(len(reader), phases)
    x0, y0, x1, y1 = inspection.box
    shrink = choose_shrink(y1 - y0, x1 - x0, spacing, geometry)
    search = TextSearch(any_in_blocks(inspection.mask, inspection.box, shrink), is_reduced=shrink > 1)
    numbers, pixels, inside = extract_frames(reader, inspection, spacing, chosen, geometry, search.add)
    content_rect = geometry.letterbox((y1 - y0) * spacing[0], (x1 - x0) * spacing[1])
    flags = (*reader.flags, *scan.flags, *inspection.flags)
    text = _find_in_all(search, inspection, shrink, is_whole=shrink == 1 and len(numbers) == len(reader))
    if text.is_found:
        if text_policy == TextPolicy.REFUSE:
            raise DicomError("text is burned into the scan itself", code=StatusCode.EXCLUDED_TEXT_IN_SCAN)
        flags = (*flags, ClipFlag.TEXT_SUSPECTED)
        if text_policy == TextPolicy.QUARANTINE or not text.is_bounded:
            flags = (*flags, ClipFlag.TEXT_QUARANTINED)
        if text_policy == TextPolicy.BLANK and text.mask is not None and text.is_small:
            flags = (*flags, ClipFlag.TEXT_BLANKED)
            pixels[:, stored_area(text.mask, content_rect, geometry.size)] = 0
    rows = _frame_rows(pixels, numbers, inside, content_rect, times, phases)
    viewing = None
    if viewing_copy and not text.is_found:
        viewing = viewing_pictures(reader, inspection, scan.spacing_mm, times, aspect=aspect)
    return PreparedFrames(pixels, rows, inspection.mode, inspection.box, flags, viewing)


def _find_in_all(search: TextSearch, inspection: ClipInspection, shrink: int, *, is_whole: bool) -> TextFinding:
    """Return the text that the search of the kept frames finds, and a search of the inspected ones at full size.

    Args:
        search: Search of the kept frames, as they were decoded.
        inspection: Sector and inspected frames of the clip.
        shrink: Source pixels of a block of the pictures of `search`.
        is_whole: Whether `search` saw all frames at full size.
    """
    box = inspection.box
    sampled = TextFinding(None, 0.0, is_unsure=False) if is_whole else find_text(inspection)
    decoded = search.finding(None if sampled.mask is None else any_in_blocks(sampled.mask, box, shrink))
    areas = sampled.mask, to_source_pixels(decoded.mask, box, shrink)
    return unite_areas(areas, inspection.mask, is_unsure=sampled.is_unsure or decoded.is_unsure)


def mean_frame_time(times: npt.NDArray[np.float64] | None) -> float | None:
    """Return the mean time between two frames, milliseconds; None for one frame, unknown times, or over 10 seconds."""
    mean = None if times is None or len(times) < 2 else float(times[-1] / (len(times) - 1))
    return None if mean is None or mean > _LONGEST_FRAME_TIME else mean


_LONGEST_FRAME_TIME = 10_000.0  # milliseconds


def _frame_rows(
    pixels: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.int64],
    inside: npt.NDArray[np.bool_],
    content_rect: ContentRect,
    times: npt.NDArray[np.float64] | None,
    phases: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Return one row per kept frame."""
    quality = frame_quality(pixels, inside)
    top, left = content_rect.top, content_rect.left
    hashes = difference_hash(pixels[:, top : top + content_rect.height, left : left + content_rect.width])
    frame_times = [None] * len(numbers) if times is None else times[numbers].tolist()
    named = [phases.get(number) for number in numbers.tolist()]
    columns = (numbers.tolist(), frame_times, named, quality.tolist(), hashes.tolist())
    names = ("index", "time_ms", "phase", "quality", "dhash")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
