"""Reads the Image Pixel module (PS3.3 section C.7.6.3), and converts decoded samples by it to 8-bit gray or RGB.

The module is checked against bounds before anything is allocated. Palette colour (sections C.7.6.3.1.5 and C.7.9) has
three tables, plain or segmented, of 8 or 16 bits. Colours are converted by section C.7.6.3.1.2, with the weights of
ITU-R BT.601.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset

from heart2heart.dicom.header_values import DECODE_ERRORS, integer, text
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode
from heart2heart.store.block_sums import block_sums

_COLOURS = ("Red", "Green", "Blue")


def read_palette(technical: Dataset, *, bits: int, signed: bool, big_endian: bool) -> npt.NDArray[np.uint8]:
    """Read the palette of a technical dataset.

    Args:
        technical: The dataset.
        bits: Bits allocated to a pixel, 8 or 16.
        signed: Whether pixels are two's complement.
        big_endian: Byte order of the file.

    Returns:
        uint8 `(2**bits, 3)`: the colour of every stored bit pattern. Values outside the table get its first or
            last colour.

    Raises:
        DicomError: `failed:layout` when a table is missing or contradicts its descriptor.
    """
    try:
        descriptor = [int(value) for value in technical["RedPaletteColorLookupTableDescriptor"].value]
        tables = [_read_table(technical, colour, descriptor, big_endian=big_endian) for colour in _COLOURS]
    except DECODE_ERRORS:
        raise DicomError("the colour palette is missing or damaged", code=StatusCode.FAILED_LAYOUT) from None
    first = descriptor[1] - 65536 if signed and descriptor[1] >= 32768 else descriptor[1]
    values = np.arange(2**bits)
    values = np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if signed else values
    whole: npt.NDArray[np.uint8] = np.stack(tables, axis=1)
    palette: npt.NDArray[np.uint8] = whole[np.clip(values - first, 0, len(whole) - 1)]
    return palette


def _read_table(technical: Dataset, colour: str, descriptor: list[int], *, big_endian: bool) -> npt.NDArray[np.uint8]:
    entries, bits = descriptor[0] or 65536, descriptor[2]
    name = f"{colour}PaletteColorLookupTableData"
    segmented = name not in technical
    raw = bytes(technical[f"Segmented{name}" if segmented else name].value)
    if big_endian:  # OW values are always 16-bit words
        raw = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").byteswap().tobytes()
    if segmented:
        values = _expand_segments(np.frombuffer(raw, "<u2" if bits == 16 else "u1").astype(np.int64), entries)
    else:
        bits = 16 if len(raw) >= 2 * entries else 8
        values = np.frombuffer(raw, "<u2" if bits == 16 else "u1")[:entries].astype(np.int64)
    if len(values) != entries:
        raise ValueError("the table has another length than its descriptor")
    # Some writers keep 8-bit colours in 16-bit entries.
    return (values >> 8 if bits == 16 and values.max(initial=0) > 255 else values).astype(np.uint8)


def _expand_segments(code: npt.NDArray[np.int64], entries: int) -> npt.NDArray[np.int64]:
    """Expand a segmented table: discrete, linear and indirect segments (PS3.3 section C.7.9.2)."""
    out: list[int] = []

    def segment(at: int, depth: int) -> int:
        kind, length = int(code[at]), int(code[at + 1])
        if kind == 0:
            out.extend(code[at + 2 : at + 2 + length].tolist())
            return at + 2 + length
        if kind == 1:
            start, end = out[-1], int(code[at + 2])
            out.extend(np.rint(start + (end - start) * np.arange(1, length + 1) / length).astype(int).tolist())
            return at + 3
        if kind != 2 or depth:
            raise ValueError("an unknown or nested segment")
        target = int(code[at + 2]) | int(code[at + 3]) << 16
        for _ in range(length):
            target = segment(target, depth + 1)
        return at + 4

    position = 0
    while position + 1 < len(code) and len(out) < entries:
        position = segment(position, 0)
    return np.asarray(out, np.int64)


MAX_SIDE = 8192
"""Maximum number of rows or columns of a picture; scanners write at most about 2,000."""
MAX_PIXELS = 2**24
"""Maximum number of pixels of one frame, so that a few decoded frames fit in the memory of a worker."""
MAX_FRAMES = 20_000
"""Maximum number of frames of a clip: more than five minutes at 60 frames per second."""

_PHOTOMETRIC = {
    "MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3, "YBR_PARTIAL_420": 3, "YBR_ICT": 3, "YBR_RCT": 3,
    "XYB": 3,
}  # fmt: skip


@dataclass(frozen=True)
class ImagePixel:
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
        declared_frames: Number of frames as declared, or None.
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
        """Whether a picture can hold colour."""
        return self.samples == 3 or self.palette is not None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame; 4:2:2 keeps two samples a pixel (PS3.5 section 8.2)."""
        samples = 2 if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else self.samples
        return self.rows * self.columns * samples * self.bits_allocated // 8


def read_image_pixel(dataset: Dataset, *, big_endian: bool) -> ImagePixel:
    """Read and check the Image Pixel Module of a technical dataset.

    Raises:
        DicomError: `failed:bounds` for sizes that no scanner writes, `failed:layout` for a contradictory header.
    """
    rows, columns = integer(dataset, "Rows") or 0, integer(dataset, "Columns") or 0
    declared = integer(dataset, "NumberOfFrames")
    if max(rows, columns) > MAX_SIDE or rows * columns > MAX_PIXELS or (declared or 0) > MAX_FRAMES:
        what = f"the header declares more than {MAX_SIDE} pixels a side, {MAX_PIXELS} a frame, or {MAX_FRAMES} frames"
        raise DicomError(what, code=StatusCode.FAILED_BOUNDS)
    photometric = " ".join(text(dataset, "PhotometricInterpretation").upper().split())
    samples = integer(dataset, "SamplesPerPixel") or _PHOTOMETRIC.get(photometric, 0)
    allocated = integer(dataset, "BitsAllocated") or 0
    stored = integer(dataset, "BitsStored") or allocated
    consistent = (
        rows > 0
        and columns > 0
        and _PHOTOMETRIC.get(photometric) == samples
        and allocated in (8, 16, 32)
        and 1 <= stored <= allocated
        and (samples == 1 or allocated == 8)
        and (photometric != "PALETTE COLOR" or allocated <= 16)
    )
    if not consistent:
        what = "the header's rows, columns, samples, bits and photometric interpretation contradict each other"
        raise DicomError(what, code=StatusCode.FAILED_LAYOUT)
    signed = integer(dataset, "PixelRepresentation") == 1
    planar = 1 if integer(dataset, "PlanarConfiguration") == 1 else 0
    frames = declared if declared is not None and declared > 0 else None
    palette = None
    if photometric == "PALETTE COLOR":
        palette = read_palette(dataset, bits=allocated, signed=signed, big_endian=big_endian)
    return ImagePixel(rows, columns, samples, allocated, stored, signed, photometric, planar, frames, palette)


def luma(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the luma of uint8 RGB `(..., 3)` in Pillow's and libjpeg's fixed-point arithmetic, so all paths agree."""
    flat = np.ascontiguousarray(rgb).reshape(-1, rgb.shape[-2], 3)
    return np.asarray(Image.fromarray(flat).convert("L")).reshape(rgb.shape[:-1])


_SHRINKS = (2, 4, 8)  # whose means of whole blocks are shifts


def block_mean(picture: npt.NDArray[np.uint8], shrink: int) -> npt.NDArray[np.uint8]:
    """Return a picture of `ceil(side / shrink)` pixels, each the mean of its block; edge blocks may be smaller.

    Args:
        picture: uint8 `(height, width)` or `(height, width, 3)`.
        shrink: Side of a block, pixels.
    """
    if shrink == 1:
        return picture
    if picture.ndim == 2 and not any(side % shrink for side in picture.shape) and shrink in _SHRINKS:
        sums = block_sums(picture[None], shrink, shrink)[0]  # 16 bits hold the sum of 64 pixels
        sums += sums.dtype.type(shrink * shrink // 2)
        sums >>= sums.dtype.type(2 * shrink.bit_length() - 2)
        mean: npt.NDArray[np.uint8] = sums.astype(np.uint8)
        return mean
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).reduce(shrink))


def to_picture(
    values: npt.NDArray[Any], photometric: str, image_pixel: ImagePixel, *, gray: bool
) -> npt.NDArray[np.uint8]:
    """Turn one decoded frame into a picture.

    Args:
        values: `(rows, columns)` or `(rows, columns, 3)` as decoded, before any colour conversion.
        photometric: Photometric interpretation of `values`; a codec may have converted them already.
        image_pixel: Image Pixel Module of the header, for bits, sign and palette.
        gray: Whether to return gray.

    Returns:
        uint8 `(rows, columns)` if `gray`, else `(rows, columns, 3)`.
    """
    if image_pixel.palette is not None:
        table = luma(image_pixel.palette[None])[0] if gray else image_pixel.palette
        patterns = values.view(f"{values.dtype.byteorder}u{values.dtype.itemsize}")
        if gray and patterns.dtype == np.uint8 and patterns.size % 2 == 0:  # two pixels at a time
            pairs = np.ascontiguousarray(patterns).reshape(-1).view(np.uint16)
            return np.take(_pair_table(table.tobytes()), pairs).view(np.uint8).reshape(patterns.shape)
        picture: npt.NDArray[np.uint8] = np.take(table, patterns, axis=0)
        return picture
    if values.ndim == 2:
        single = _eight_bits(values, image_pixel)
        single = np.subtract(255, single, dtype=np.uint8) if photometric == "MONOCHROME1" else single
        return single if gray else np.repeat(single[..., None], 3, axis=2)
    if photometric.startswith("YBR_FULL"):
        return values[..., 0].astype(np.uint8) if gray else _from_ybr(values)
    rgb = values.astype(np.uint8)
    return luma(rgb) if gray else rgb


@lru_cache(maxsize=4)
def _pair_table(table: bytes) -> npt.NDArray[np.uint16]:
    """Return uint16 `(65536,)`: the two bytes that a table of 256 bytes gives for each pair of bytes."""
    pairs = np.arange(2**16, dtype=np.uint16).view(np.uint8)
    return np.frombuffer(table, np.uint8)[pairs].view(np.uint16)


def _eight_bits(values: npt.NDArray[Any], image_pixel: ImagePixel) -> npt.NDArray[np.uint8]:
    if image_pixel.bits_stored == 8 and values.dtype == np.uint8:
        return values
    wide: npt.NDArray[np.int64] = values.astype(np.int64) + (
        1 << (image_pixel.bits_stored - 1) if image_pixel.signed else 0
    )
    shift = image_pixel.bits_stored - 8
    scaled = np.right_shift(wide, shift) if shift >= 0 else np.left_shift(wide, -shift)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _from_ybr(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    y, cb, cr = (values[..., channel].astype(np.float32) for channel in range(3))
    cb, cr = cb - 128, cr - 128
    rgb: npt.NDArray[np.float32] = np.stack(
        [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
