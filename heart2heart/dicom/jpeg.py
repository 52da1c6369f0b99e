"""Reads the size that a JPEG family codestream states, and decodes 12-bit JPEG Extended with GDCM.

The size is read before a codec allocates memory for it. pydicom refuses 12-bit JPEG Extended
(1.2.840.10008.1.2.4.51) with both of its plugins. GDCM decodes it to the same pixels as `dcmdjpeg` of dcmtk and
fails on a damaged stream.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.dicom.image_pixel import ImagePixel, block_mean, to_picture
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF markers; F7 is JPEG-LS
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return height and width from a JPEG, JPEG-LS or JPEG 2000 codestream, or None if it states none.

    Sources: ITU-T T.81 annex B.2.2 (SOF), T.87 annex C (SOF55), T.800 annex A.5.1 (SIZ).
    """
    if frame[:4] == b"\xff\x4f\xff\x51":
        if len(frame) < 24:
            return None
        right, bottom, left, top = struct.unpack(">4I", frame[8:24])
        return bottom - top, right - left
    at = _start_of_frame(frame)
    if at is None:
        return None
    height, width = struct.unpack(">2H", frame[at + 5 : at + 9])
    return height, width


def jpeg_precision(frame: bytes) -> int | None:
    """Return the bits per sample that a JPEG or JPEG-LS codestream states (T.81 annex B.2.2), or None."""
    at = _start_of_frame(frame)
    return None if at is None else frame[at + 4]


def _start_of_frame(frame: bytes) -> int | None:
    """Return the offset of the first SOF marker segment of a JPEG, or None if it is missing or cut."""
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            return at if at + 9 <= len(frame) else None
        else:
            at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None


def check_segments(frame: bytes) -> None:
    """Refuse a JPEG whose marker segments do not follow each other up to the first scan, or that has several SOF.

    T.81 annex B.1.1 forbids both, and GDCM ends the process on some of them.

    Raises:
        DicomError: `failed:decode`.
    """
    at, frames = 2, 0
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        frames += marker in _JPEG_FRAMES
        if marker == _START_OF_SCAN and frames == 1:
            return
        if marker == 0xFF:
            at += 1
        else:
            at += 2 if marker in _STANDALONE else 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    raise DicomError("the segments of a frame are damaged", code=StatusCode.FAILED_DECODE)


_START_OF_SCAN = 0xDA
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def decode_12_bit(frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int) -> npt.NDArray[np.uint8]:
    """Decode one gray frame of 12 bits and keep the upper 8 bits of each sample.

    Args:
        frame: A JPEG stream of process 4 (ITU-T T.81), whose size agrees with the header.
        image_pixel: Image Pixel Module of the header.
        gray: Whether the picture is uint8 `(rows, columns)`, else RGB `(rows, columns, 3)`.
        shrink: Both sides are divided by this, see `Decoder.decode`.

    Raises:
        DicomError: `failed:decode`, also when the header declares colour or 8 bits.
    """
    if image_pixel.samples != 1 or image_pixel.bits_allocated != 16:
        raise DicomError("a frame has 12 bits, which the header does not declare", code=StatusCode.FAILED_DECODE)
    check_segments(frame)
    try:
        raw = _by_gdcm(frame, image_pixel)
        values = np.frombuffer(raw, "<u2").reshape(image_pixel.rows, image_pixel.columns)
    except DECODE_ERRORS as error:
        raise DicomError(f"a frame cannot be decoded ({type(error).__name__})", code=StatusCode.FAILED_DECODE) from None
    twelve = replace(image_pixel, bits_stored=jpeg_precision(frame) or 12, signed=False)
    return block_mean(to_picture(values, image_pixel.photometric, twelve, gray=gray), shrink)


def _by_gdcm(frame: bytes, image_pixel: ImagePixel) -> bytes:
    """Return little-endian 16-bit samples."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    encoded = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    encoded.SetValue(fragments.__ref__())
    picture = gdcm.Image()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((image_pixel.columns, image_pixel.rows, 1))
    picture.SetDataElement(encoded)
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")  # `to_picture` turns an inverted one
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    picture.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(JPEG_EXTENDED)))
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    decoded = picture.GetBuffer()  # None when the stream is damaged
    if decoded is None:
        raise ValueError("the stream is damaged")
    raw: bytes = decoded.encode("utf-8", "surrogateescape")  # the binding returns bytes as text
    return raw
