"""Makes a clean DICOM copy of one clip for sharing: a new header, and only the pixels of the scan.

JPEG baseline stays JPEG baseline (quality 95, one more generation of loss). Every other syntax becomes RLE Lossless,
which every reader decodes. With the same settings, `ingest` extracts the same frames from the copy as from the
original: byte for byte, or within a mean of one gray level for JPEG. Where the original has no valid region, the sector
is estimated again, and its box may move by four pixels.

Every frame is searched for text before it is copied, so each is decoded twice. BurnedInAnnotation is NO, and the Clean
Pixel Data Option (113101) is claimed, only where the picture could be searched.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from heart2heart.deidentify.burned_in_text import TextSearch
from heart2heart.deidentify.clip import KnownContentError
from heart2heart.deidentify.header import clean_header, technical_dataset, write_frame_times
from heart2heart.deidentify.pseudonyms import Pseudonymizer, Pseudonyms, pseudonymize
from heart2heart.deidentify.vocabulary import attach_manufacturer
from heart2heart.dicom.frame_reader import FrameReader, open_frames
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.inspect_clip import ClipInspection, inspect_clip
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom, require_ultrasound
from heart2heart.dicom.regions import read_scan_area
from heart2heart.dicom.rle import encode_rle
from heart2heart.dicom.timing import frame_times, tagged_phases, write_phases
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

TextPolicy = Literal["blank", "refuse", "best_effort"]

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CleanCopy:
    """A clip that may leave the hospital.

    Attributes:
        dataset: Header and pixels, ready to be written.
        pseudonyms: Pseudonyms of the clip.
        content: Keyed hash of the bytes of the original.
        n_frames: Number of frames.
        text_blanked: Whether text inside the scan was found and blanked.
    """

    dataset: Dataset = field(repr=False)
    pseudonyms: Pseudonyms
    content: str
    n_frames: int
    text_blanked: bool


def clean_copy(
    path: str | Path,
    *,
    pseudonymizer: Pseudonymizer,
    site: str,
    text: TextPolicy = "blank",
    known: Collection[str] = (),
) -> CleanCopy:
    """Make the clean copy of one file.

    The visible part is the one that `ingest` keeps: the sector inside the main region. Of a file that is cut short or
    damaged, the complete frames are kept.

    Args:
        path: A DICOM file.
        pseudonymizer: Pseudonymizer of the hospital's key.
        site: Name of the hospital, to which patient identifiers belong.
        text: What to do with text inside the scan: `blank` it, but refuse a file whose text cannot be bounded; `refuse`
            every file with text; or `best_effort`, which blanks what was found, also where that may not be all. Such a
            copy does not claim that nothing is burned in.
        known: Content hashes of the files that have a copy already.

    Raises:
        KnownContentError: the file's content is among `known`.
        DicomError: no clean copy can be made; `code` holds the reason. The message never quotes the file.
    """
    path = Path(path)
    with open_dicom(path) as opened, attach_manufacturer(opened.header):
        require_ultrasound(opened.header, has_pixels=opened.pixel_data_offset < len(opened.data))
        content = pseudonymizer.content(path)
        if content in known:
            raise KnownContentError(content)
        pseudonyms = pseudonymize(opened.header, pseudonymizer, site=site, content=content)
        facts = technical_dataset(opened.header, pseudonymizer.key)
        image_pixel = read_image_pixel(facts, big_endian=opened.big_endian)
        source = find_frames(opened, image_pixel)
        reader = open_frames(source, image_pixel, strict=False)
        inspection = inspect_clip(reader, read_scan_area(facts, rows=image_pixel.rows, columns=image_pixel.columns))
        search = _search_all_frames(reader, inspection)
        finding = search.finding()
        if finding.is_found and text == "refuse":
            raise DicomError("text is burned into the scan itself", code=StatusCode.EXCLUDED_TEXT_IN_SCAN)
        if not finding.is_bounded and text != "best_effort":
            message = "text may be burned into the scan itself, and the search cannot tell where it ends"
            raise DicomError(message, code=StatusCode.EXCLUDED_TEXT_IN_SCAN)
        shown = inspection.mask if finding.mask is None else inspection.mask & ~finding.mask
        jpeg = opened.syntax == JPEGBaseline8Bit
        kept, encoded = _encode(reader, inspection, shown, jpeg=jpeg)
        instance = pseudonyms.instance or pseudonymizer.uid(f"content {content}")
        is_searched = search.complete and finding.is_bounded
        dataset = clean_header(facts, pseudonyms, instance=instance, n_frames=len(encoded), searched=is_searched)
        times = frame_times(facts, len(reader))
        write_frame_times(
            dataset, None if times is None or len(encoded) == len(reader) else times[kept] - times[kept[0]]
        )
        phases = tagged_phases(facts, times, len(reader))
        write_phases(dataset, {position: phases[i] for position, i in enumerate(kept.tolist()) if i in phases})
        dataset.Rows, dataset.Columns = image_pixel.rows, image_pixel.columns
    _write_pixels(dataset, encoded, coloured=image_pixel.coloured, jpeg=jpeg)
    return CleanCopy(dataset, pseudonyms, content, len(encoded), finding.mask is not None)


def _search_all_frames(reader: FrameReader, inspection: ClipInspection) -> TextSearch:
    """Search every frame at full size, in colour if the frames can hold it; one frame at a time."""
    search, (x0, y0, x1, y1) = TextSearch(inspection.mask), inspection.box
    for _, picture in reader.stream(np.arange(len(reader)), gray=not reader.coloured):
        search.add(picture[None, y0:y1, x0:x1])
    return search


def _encode(
    reader: FrameReader, inspection: ClipInspection, shown: npt.NDArray[np.bool_], *, jpeg: bool
) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Return the numbers of the decoded frames and their encoded bytes; pixels outside `shown` are black."""
    import simplejpeg

    x0, y0, x1, y1 = inspection.box
    mask = shown[..., None] if reader.coloured else shown
    kept, encoded = [], []
    # Decodes one frame at a time, so that memory does not grow with the clip.
    for number, picture in reader.stream(np.arange(len(reader)), gray=not reader.coloured):
        clean = np.zeros_like(picture)
        clean[y0:y1, x0:x1] = np.where(mask, picture[y0:y1, x0:x1], 0)
        if not jpeg:
            encoded.append(encode_rle(clean))
        elif reader.coloured:
            encoded.append(simplejpeg.encode_jpeg(clean, _JPEG_QUALITY, "RGB", "422"))
        else:
            encoded.append(simplejpeg.encode_jpeg(clean[..., None], _JPEG_QUALITY, "GRAY", "Gray"))
        kept.append(number)
    if not kept:
        raise DicomError("no frame can be decoded", code=StatusCode.FAILED_DECODE)
    return np.array(kept, np.int64), encoded


def _write_pixels(dataset: Dataset, encoded: list[bytes], *, coloured: bool, jpeg: bool) -> None:
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = ("YBR_FULL_422" if jpeg else "RGB") if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if jpeg:
        plain = len(encoded) * dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
        dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
        dataset.LossyImageCompressionRatio = f"{plain / sum(map(len, encoded)):.1f}"
    dataset.PixelData = encapsulate(encoded, has_bot=True)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else RLELossless
