"""Converts decoded samples to 8-bit gray or RGB (PS3.3 section C.7.6.3.1.2; weights of ITU-R BT.601)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from heart2heart.dicom.image_pixel import ImagePixel


def luma(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the luma of uint8 RGB `(..., 3)` in Pillow's and libjpeg's fixed-point arithmetic, so all paths agree."""
    flat = np.ascontiguousarray(rgb).reshape(-1, rgb.shape[-2], 3)
    return np.asarray(Image.fromarray(flat).convert("L")).reshape(rgb.shape[:-1])


def block_mean(picture: npt.NDArray[np.uint8], shrink: int) -> npt.NDArray[np.uint8]:
    """Return a picture of `ceil(side / shrink)` pixels, each the mean of its block; edge blocks may be smaller.

    Args:
        picture: uint8 `(height, width)` or `(height, width, 3)`.
        shrink: Side of a block, pixels.
    """
    return picture if shrink == 1 else np.asarray(Image.fromarray(np.ascontiguousarray(picture)).reduce(shrink))


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
