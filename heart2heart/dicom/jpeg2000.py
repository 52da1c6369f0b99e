"""Decodes a JPEG 2000 frame at a lower resolution of its wavelet transform, when only a smaller picture is needed.

Each resolution of a codestream (ITU-T T.800 annex F) halves the picture. Decoding ends at the lowest one that has the
needed size, which leaves out the finest levels and most of the time. A sample of such a picture lies at the first
pixel of its block, not in the middle. Linear interpolation between neighbours moves it there, and the result is an
estimate of the mean of the block. It differs from the mean of decoded pixels where the picture has sharp edges; see
docs/decisions/0002-resampling.md.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import features
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from heart2heart.dicom.image_pixel import ImagePixel

_SIZ_BYTES = 42  # of the start of the codestream, up to the components
_COD = 0xFF52
_SOT = 0xFF90  # the main header ends here
_SHIFTS = {2: 1, 4: 2, 8: 3}


def wavelet_levels(frame: bytes) -> int | None:
    """Return the levels of the wavelet transform that the main header states (T.800 table A.20), or None."""
    at = 2
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">2H", frame, at)
        if marker == _SOT or marker < 0xFF00:
            return None
        if marker == _COD:
            return frame[at + 9] if at + 9 < len(frame) else None
        at += 2 + length
    return None


def is_reducible(frame: bytes, image_pixel: ImagePixel, shrink: int) -> bool:
    """Return whether `decode_reduced` can decode a frame: unsigned 8-bit samples, no palette, and enough levels.

    Args:
        frame: A JPEG 2000 codestream.
        image_pixel: Image Pixel Module of the header.
        shrink: 1, 2, 4 or 8.
    """
    plain = image_pixel.bits_stored == 8 and not image_pixel.signed and image_pixel.palette is None
    samples = image_pixel.samples
    whole = len(frame) >= _SIZ_BYTES + 3 * samples
    if shrink not in _SHIFTS or not plain or not whole or not features.check("jpg_2000"):
        return False
    # Origin of the picture, and the tiles (T.800 table A.9); then depth and sampling of each component.
    left, top = struct.unpack_from(">2I", frame, 16)
    depths = frame[_SIZ_BYTES : _SIZ_BYTES + 3 * samples]
    known = struct.unpack_from(">H", frame, 40)[0] == samples and depths == b"\x07\x01\x01" * samples
    return known and left == top == 0 and (wavelet_levels(frame) or 0) >= _SHIFTS[shrink]


def decode_reduced(frame: bytes, shrink: int) -> npt.NDArray[np.uint8]:
    """Decode a frame for which `is_reducible` holds to an estimate of its block means.

    Args:
        frame: A JPEG 2000 codestream of one or three components.
        shrink: 2, 4 or 8, the side of a block.

    Returns:
        uint8 `(rows, columns)` or `(rows, columns, 3)`, the sides divided by `shrink` and rounded up.

    Raises:
        ValueError: the codestream is damaged.
    """
    try:
        with Jpeg2KImageFile(io.BytesIO(frame)) as picture:
            picture.reduce = _SHIFTS[shrink]
            picture.load()
            return _to_block_centres(np.asarray(picture), shrink)
    except (SyntaxError, IndexError, struct.error) as error:  # as Pillow's parser meets a damaged header
        raise ValueError(f"a damaged JPEG 2000 codestream ({error})") from error


def _to_block_centres(samples: npt.NDArray[np.uint8], shrink: int) -> npt.NDArray[np.uint8]:
    """Move samples from the first pixel of each block to its middle: `(shrink - 1) / (2 * shrink)` of the way on.

    The weights are whole numbers, so the pixels are the same on every machine.
    """
    ahead, scale = shrink - 1, 2 * shrink
    values = samples.astype(np.int32)
    for axis in (0, 1):
        size = values.shape[axis]
        following = values.take(np.minimum(np.arange(1, size + 1), size - 1), axis=axis)
        values = (scale - ahead) * values + ahead * following
    return np.asarray((values + scale * scale // 2) // (scale * scale), np.uint8)
