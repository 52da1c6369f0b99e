"""The region and the frames that the text detector receives for each clip in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.header import technical_dataset
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.inspect_clip import ClipInspection, inspect_clip
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom, require_ultrasound
from heart2heart.dicom.regions import read_scan_area
from heart2heart.errors import DicomError
from heart2heart.ingest.source_files import find_files


def scan_of(path: Path) -> ClipInspection:
    """Return the region of the scan, with the frames from which it was estimated."""
    return scan_and_frames(path, 0)[0]


def scan_and_frames(path: Path, most: int) -> tuple[ClipInspection, npt.NDArray[np.uint8]]:
    """Return the region of the scan, and up to `most` consecutive gray frames `(n, height, width)` of its box."""
    with open_dicom(path) as opened:
        require_ultrasound(opened.header, has_pixels=opened.pixel_data_offset < len(opened.data))
        facts = technical_dataset(opened.header)
        layout = read_image_pixel(facts, big_endian=opened.big_endian)
        film = open_frames(find_frames(opened, layout), layout, strict=False)
        seen = inspect_clip(film, read_scan_area(facts, rows=layout.rows, columns=layout.columns))
        first = max(0, (len(film) - most) // 2)
        _, frames = film.decode(np.arange(first, min(len(film), first + most)), gray=True)
        x0, y0, x1, y1 = seen.box
        return seen, frames[:, y0:y1, x0:x1]


def scans(folders: list[Path], *, every: int = 1) -> Iterator[tuple[Path, ClipInspection]]:
    """Yield every `every`-th file of `folders` that is a clip or a still, with what is seen of it."""
    for path in find_files(folders)[::every]:
        try:
            yield path, scan_of(path)
        except DicomError:
            continue
