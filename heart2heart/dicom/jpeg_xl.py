"""Decodes JPEG XL frames (transfer syntaxes 1.2.840.10008.1.2.4.110 to .112) with libjxl, by the extra `jpegxl`.

The size is read before the codec allocates memory for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.dicom.image_pixel import ImagePixel, block_mean, to_picture
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_SYNTAXES = (JPEG_XL_LOSSLESS, "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112")
"""Lossless, recompressed JPEG, and any JPEG XL."""
JPEG_XL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a")
"""First bytes of a codestream, and of a container file."""

_SIZE_BITS = (9, 13, 18, 30)  # of a side, by selector
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width to height
_SIZE_HEADER_BYTES = 12


def jpeg_xl_size(frame: bytes) -> tuple[int, int] | None:
    """Return height and width that a JPEG XL codestream or container states, or None if it states none.

    Source: ISO/IEC 18181-1 annex D.2 (SizeHeader), 18181-2 (boxes).
    """
    stream = frame if frame.startswith(JPEG_XL_STARTS[0]) else _first_codestream(frame)
    if stream is None or not stream.startswith(JPEG_XL_STARTS[0]) or len(stream) < 6:
        return None
    bits = int.from_bytes(stream[2:_SIZE_HEADER_BYTES], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & (1 << count) - 1
        bits >>= count
        return value

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take(_SIZE_BITS[take(2)])

    small = take(1) == 1
    height, ratio = side(), take(3)
    if ratio == 0:
        return height, side()
    across, down = _RATIOS[ratio]
    return height, height * across // down


def _first_codestream(frame: bytes) -> bytes | None:
    """Return the start of the codestream in a container: in the box `jxlc`, or in the first `jxlp`."""
    at = 0
    while at + 8 <= len(frame):
        size, kind, header = int.from_bytes(frame[at : at + 4], "big"), frame[at + 4 : at + 8], 8
        if size == 1:
            size, header = int.from_bytes(frame[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + header + (4 if kind == b"jxlp" else 0)  # a part begins with its number
            return frame[start : start + _SIZE_HEADER_BYTES]
        if size < header:  # the last box, or damage
            return None
        at += size
    return None


def decode_jpeg_xl(
    frame: bytes, image_pixel: ImagePixel, syntax: str, *, gray: bool, shrink: int
) -> npt.NDArray[np.uint8]:
    """Decode one frame.

    Args:
        frame: A JPEG XL codestream or container whose size agrees with the header.
        image_pixel: Image Pixel Module of the header.
        syntax: Transfer syntax UID. Only the lossless one can keep YBR samples; the codec turns all others to RGB.
        gray: Whether the picture is uint8 `(rows, columns)`, else RGB `(rows, columns, 3)`.
        shrink: Both sides are divided by this, see `Decoder.decode`.

    Raises:
        DicomError: `failed:decode`, also for samples of other depths than 8 and 16 bits.
    """
    import imagecodecs

    try:
        values = imagecodecs.jpegxl_decode(frame, index=0, keeporientation=True, numthreads=1)
    except DECODE_ERRORS as error:
        raise DicomError(f"a frame cannot be decoded ({type(error).__name__})", code=StatusCode.FAILED_DECODE) from None
    shape = (image_pixel.rows, image_pixel.columns, *((3,) if image_pixel.samples == 3 else ()))
    bits = 8 * values.dtype.itemsize
    if values.shape != shape or values.dtype.kind != "u" or not bits == image_pixel.bits_stored <= 16:
        raise DicomError("a frame has other samples than the header declares", code=StatusCode.FAILED_DECODE)
    kept = image_pixel.samples == 1 or syntax == JPEG_XL_LOSSLESS
    photometric = image_pixel.photometric if kept else "RGB"
    return block_mean(to_picture(values, photometric, image_pixel, gray=gray), shrink)


def has_jpeg_xl() -> bool:
    """Return whether the decoder is installed."""
    try:
        import imagecodecs
    except ModuleNotFoundError:
        return False
    return bool(imagecodecs.JPEGXL.available)
