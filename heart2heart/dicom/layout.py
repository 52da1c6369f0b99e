"""What a header declares about its pictures, checked against bounds before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from heart2heart.dicom.palette import read_palette
from heart2heart.dicom.values import integer, text
from heart2heart.errors import DicomError

MAX_SIDE = 8192
"""Rows or columns beyond this are a fault, not a picture; scanners write at most about 2,000."""
MAX_PIXELS = 2**24
"""Pixels of one frame, so that a few decoded frames fit in a worker's memory."""
MAX_FRAMES = 20_000
"""Frames beyond this are a fault, not a clip: over five minutes at 60 frames a second."""

_PHOTOMETRIC = {
    "MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3, "YBR_PARTIAL_420": 3, "YBR_ICT": 3, "YBR_RCT": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """The Image Pixel Module (PS3.3 section C.7.6.3) of one file.

    Attributes:
        rows: Height of the picture.
        columns: Width of the picture.
        samples: 1, or 3 for colour.
        bits_allocated: 8, 16 or 32.
        bits_stored: At most `bits_allocated`.
        signed: Whether pixels are two's complement.
        photometric: Photometric interpretation as declared.
        planar: Planar configuration, 0 or 1.
        declared_frames: Number of frames as declared, or None when the header does not say.
        palette: uint8 `(2**bits_allocated, 3)`, for PALETTE COLOR.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: int
    declared_frames: int | None
    palette: npt.NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    @property
    def coloured(self) -> bool:
        """Whether a picture can hold colour at all."""
        return self.samples == 3 or self.palette is not None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame; 4:2:2 keeps two samples a pixel (PS3.5 section 8.2)."""
        samples = 2 if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else self.samples
        return self.rows * self.columns * samples * self.bits_allocated // 8


def read_layout(dataset: Dataset, *, big_endian: bool) -> Layout:
    """Read and check the layout of a technical dataset.

    Raises:
        DicomError: `failed:bounds` for sizes no scanner writes, `failed:layout` for a header that contradicts itself.
    """
    rows, columns = integer(dataset, "Rows") or 0, integer(dataset, "Columns") or 0
    declared = integer(dataset, "NumberOfFrames")
    if max(rows, columns) > MAX_SIDE or rows * columns > MAX_PIXELS or (declared or 0) > MAX_FRAMES:
        what = f"the header declares more than {MAX_SIDE} pixels a side, {MAX_PIXELS} a frame, or {MAX_FRAMES} frames"
        raise DicomError(what, code="failed:bounds")
    photometric = " ".join(text(dataset, "PhotometricInterpretation").upper().split())
    samples = integer(dataset, "SamplesPerPixel") or _PHOTOMETRIC.get(photometric, 0)
    allocated = integer(dataset, "BitsAllocated") or 0
    stored = integer(dataset, "BitsStored") or allocated
    sound = (
        rows > 0
        and columns > 0
        and _PHOTOMETRIC.get(photometric) == samples
        and allocated in (8, 16, 32)
        and 1 <= stored <= allocated
        and (samples == 1 or allocated == 8)
        and (photometric != "PALETTE COLOR" or allocated <= 16)
    )
    if not sound:
        what = "the header's rows, columns, samples, bits and photometric interpretation contradict each other"
        raise DicomError(what, code="failed:layout")
    signed = integer(dataset, "PixelRepresentation") == 1
    planar = 1 if integer(dataset, "PlanarConfiguration") == 1 else 0
    frames = declared if declared is not None and declared > 0 else None
    palette = None
    if photometric == "PALETTE COLOR":
        palette = read_palette(dataset, bits=allocated, signed=signed, big_endian=big_endian)
    return Layout(rows, columns, samples, allocated, stored, signed, photometric, planar, frames, palette)
