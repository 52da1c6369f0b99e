"""Pixels into the four transfer syntaxes that the synthetic hospitals use."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import simplejpeg
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from heart2heart.dicom.codecs.rle import encode_rle
from heart2heart.synthetic.colour_doppler import velocity_colour_map

Bytes = npt.NDArray[np.uint8]

JPEG_QUALITY = 82
SYNTAX_UIDS = {
    "jpeg": JPEGBaseline8Bit,
    "rle": RLELossless,
    "native": ExplicitVRLittleEndian,
    "palette": ExplicitVRLittleEndian,
}

_GRAYS = 192  # entries of the palette for gray; the rest are colours


def set_pixel_data(dataset: Dataset, frames: Bytes, syntax: str) -> None:
    """Write the image pixel module of `dataset`.

    Args:
        dataset: Where to.
        frames: uint8 `(n, rows, columns)` or RGB `(n, rows, columns, 3)`.
        syntax: A key of `SYNTAX_UIDS`. Gray frames become MONOCHROME2 in `rle` and `native`.
    """
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if syntax == "palette":
        _set_palette(dataset, frames)
        return
    gray = frames.ndim == 3
    dataset.SamplesPerPixel = 1 if gray and syntax != "jpeg" else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if gray else "RGB"
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    if syntax == "native":
        _set_native(dataset, frames)
    elif syntax == "rle":
        _set_encapsulated(dataset, [encode_rle(frame) for frame in frames])
    else:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        encoded = [_jpeg(frame) for frame in frames]
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{frames.size * (3 if gray else 1) / sum(map(len, encoded)):.1f}"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        _set_encapsulated(dataset, encoded)


def _jpeg(frame: Bytes) -> bytes:
    """Encode a gray or RGB frame with three components, chroma halved along rows."""
    rgb = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else frame
    encoded: bytes = simplejpeg.encode_jpeg(rgb, JPEG_QUALITY, "RGB", "422")
    return encoded


def _set_encapsulated(dataset: Dataset, encoded: list[bytes]) -> None:
    dataset.PixelData = encapsulate(encoded, has_bot=True)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _set_native(dataset: Dataset, frames: Bytes) -> None:
    raw = frames.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB"


@lru_cache(maxsize=1)
def _palette_lookup() -> tuple[Bytes, Bytes]:
    """Return the palette `(256, 3)` and, for each colour of a 32 x 32 x 32 cube, its nearest entry."""
    grays = np.round(np.linspace(0, 255, _GRAYS))[:, None].repeat(3, axis=1)
    entries = np.concatenate([grays, velocity_colour_map()[:: 256 // (256 - _GRAYS)]]).astype(np.int32)
    level = np.arange(32) * 8 + 4
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
    nearest = np.empty(len(cube), dtype=np.uint8)
    for first in range(0, len(cube), 4096):
        part = cube[first : first + 4096]
        nearest[first : first + 4096] = ((part[:, None] - entries) ** 2).sum(axis=2).argmin(axis=1)
    return entries.astype(np.uint8), nearest


def _set_palette(dataset: Dataset, frames: Bytes) -> None:
    entries, nearest = _palette_lookup()
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    scaled = np.round(np.arange(256) * ((_GRAYS - 1) / 255)).astype(np.uint8)
    if frames.ndim == 3:
        index = scaled[frames]
    else:
        cube = frames >> 3
        colour_code = (cube[..., 0].astype(np.int32) << 10) | (cube[..., 1].astype(np.int32) << 5) | cube[..., 2]
        gray = (frames[..., 0] == frames[..., 1]) & (frames[..., 1] == frames[..., 2])
        index = np.where(gray, scaled[frames[..., 0]], nearest[colour_code])
    for descriptor_index, name in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        words = entries[:, descriptor_index].astype("<u2") * 257
        setattr(dataset, f"{name}PaletteColorLookupTableData", words.tobytes())
    _set_native(dataset, index)
