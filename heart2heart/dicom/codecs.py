"""One pinned decoder for each transfer syntax, without a fallback.

libjpeg-turbo decodes JPEG baseline, pylibjpeg-rle decodes RLE Lossless, and pydicom decodes all other syntaxes with
one named plugin each. If a decoder is not installed, the status is `failed:no_decoder`, with the remedy. There is no
fallback, because one once returned a picture for a corrupt frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.dicom.image_pixel import ImagePixel, block_mean, to_picture
from heart2heart.dicom.jpeg import JPEG_EXTENDED, check_segments, codestream_size, decode_12_bit, jpeg_precision
from heart2heart.dicom.jpeg2000 import decode_reduced, is_reducible
from heart2heart.dicom.jpeg_xl import JPEG_XL_SYNTAXES, decode_jpeg_xl, has_jpeg_xl, jpeg_xl_size
from heart2heart.dicom.rle import decode_rle
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

Picture = npt.NDArray[np.uint8]


class Decoder(Protocol):
    """Turns the encoded bytes of one frame into a picture."""

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """Return uint8 `(rows, columns)` if `gray`, else RGB `(rows, columns, 3)`.

        Args:
            frame: Encoded bytes.
            image_pixel: Image Pixel Module of the header.
            gray: Whether to return gray.
            shrink: 1, 2, 4 or 8: both sides are divided by it, rounded up, and a pixel is the mean of its block.

        Raises:
            DicomError: `failed:decode` when the bytes are not one complete frame of the declared size.
        """


@dataclass(frozen=True)
class TurboJpegDecoder:
    """JPEG baseline by libjpeg-turbo. The colour space of the codestream overrides the one in the header.

    A gray picture is the luma plane itself. A smaller picture is decoded from the low frequencies of each 8 x 8 DCT
    block; it differs from the mean of decoded blocks by one or two gray levels.
    """

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        import simplejpeg

        _check_size(codestream_size(frame), image_pixel)
        height, width = -(-image_pixel.rows // shrink), -(-image_pixel.columns // shrink)
        try:
            picture: Picture = simplejpeg.decode_jpeg(
                frame, colorspace="GRAY" if gray else "RGB", min_height=height, min_width=width
            )
        except DECODE_ERRORS as error:
            raise _decode_error(error) from None
        assert picture.shape[:2] == (height, width)
        return picture[..., 0] if gray else picture


@dataclass(frozen=True)
class ExtendedJpegDecoder:
    """JPEG extended: by libjpeg-turbo if its samples have 8 bits, else by `dicom.jpeg`."""

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        if jpeg_precision(frame) != 12:
            return TurboJpegDecoder().decode(frame, image_pixel, gray=gray, shrink=shrink)
        _check_size(codestream_size(frame), image_pixel)
        return decode_12_bit(frame, image_pixel, gray=gray, shrink=shrink)


@dataclass(frozen=True)
class RleDecoder:
    """RLE Lossless by pylibjpeg-rle."""

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        try:
            values = decode_rle(
                frame, image_pixel.rows, image_pixel.columns, image_pixel.samples, image_pixel.bits_allocated
            )
        except DECODE_ERRORS as error:
            raise _decode_error(error) from None
        return block_mean(to_picture(values, image_pixel.photometric, image_pixel, gray=gray), shrink)


@dataclass(frozen=True)
class NativeDecoder:
    """Native pixels. The bytes of unsigned 8-bit samples are the picture; pydicom reads all others."""

    syntax: str

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        interleaved = image_pixel.samples == 1 or (
            image_pixel.planar == 0 and image_pixel.photometric in ("RGB", "YBR_FULL")
        )
        eight_bits = image_pixel.bits_allocated == image_pixel.bits_stored == 8 and not image_pixel.signed
        if not (eight_bits and interleaved and len(frame) == image_pixel.frame_bytes):
            return PydicomDecoder(self.syntax, "").decode(frame, image_pixel, gray=gray, shrink=shrink)
        size = (image_pixel.rows, image_pixel.columns)
        values = np.frombuffer(frame, np.uint8).reshape(size if image_pixel.samples == 1 else (*size, 3))
        return block_mean(to_picture(values, image_pixel.photometric, image_pixel, gray=gray), shrink)


@dataclass(frozen=True)
class PydicomDecoder:
    """Any other syntax, by one named plugin of pydicom.

    Attributes:
        syntax: Transfer syntax UID.
        plugin: Name of pydicom's plugin; empty for native pixels.
    """

    syntax: str
    plugin: str

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        from pydicom.encaps import encapsulate
        from pydicom.pixels.decoders.base import get_decoder

        if self.plugin:
            _check_size(codestream_size(frame), image_pixel)
        if self.plugin == _JPEG_LS_PLUGIN and not frame[-_PADDING:].rstrip(b"\0").endswith(_END_OF_IMAGE):
            raise DicomError("a JPEG-LS frame has no end", code=StatusCode.FAILED_DECODE)
        options: Any = {
            "number_of_frames": 1,
            "rows": image_pixel.rows,
            "columns": image_pixel.columns,
            "samples_per_pixel": image_pixel.samples,
            "bits_allocated": image_pixel.bits_allocated,
            "bits_stored": image_pixel.bits_stored,
            "pixel_representation": int(image_pixel.signed),
            "photometric_interpretation": image_pixel.photometric,
            "planar_configuration": image_pixel.planar,
            "pixel_keyword": "PixelData",
        }
        if self.plugin == "gdcm":
            check_segments(frame)
        encoded = encapsulate([frame], has_bot=False) if self.plugin else frame
        try:
            values, properties = get_decoder(UID(self.syntax)).as_array(
                encoded, index=0, raw=True, decoding_plugin=self.plugin, **options
            )
        except DECODE_ERRORS as error:
            raise _decode_error(error) from None
        picture = to_picture(values, str(properties["photometric_interpretation"]), image_pixel, gray=gray)
        return block_mean(picture, shrink)


_JPEG_LS_PLUGIN = "pyjpegls"  # CharLS, which reads some damaged frames without an end for ever
_END_OF_IMAGE = b"\xff\xd9"  # T.87 annex C.2.1
_PADDING = 64  # bytes; writers pad frames with zeros


@dataclass(frozen=True)
class Jpeg2000Decoder:
    """JPEG 2000 and its high-throughput form by OpenJPEG.

    A smaller picture is decoded at a lower resolution of the wavelet transform if the stream has it, by Pillow; see
    `dicom.jpeg2000`. All other pictures are decoded by pydicom's plugin.
    """

    syntax: str
    plugin: str

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        _check_size(codestream_size(frame), image_pixel)
        if not is_reducible(frame, image_pixel, shrink):
            return PydicomDecoder(self.syntax, self.plugin).decode(frame, image_pixel, gray=gray, shrink=shrink)
        try:
            values = decode_reduced(frame, shrink)
        except DECODE_ERRORS as error:
            raise _decode_error(error) from None
        # OpenJPEG inverts the colour transform of the stream, as it does in pydicom's plugin.
        transformed = image_pixel.photometric in ("YBR_ICT", "YBR_RCT")
        return to_picture(values, "RGB" if transformed else image_pixel.photometric, image_pixel, gray=gray)


@dataclass(frozen=True)
class JpegXlDecoder:
    """JPEG XL by libjxl, see `dicom.jpeg_xl`."""

    syntax: str

    def decode(self, frame: bytes, image_pixel: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        """See `Decoder.decode`."""
        _check_size(jpeg_xl_size(frame), image_pixel)
        return decode_jpeg_xl(frame, image_pixel, self.syntax, gray=gray, shrink=shrink)


_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_RLE = "1.2.840.10008.1.2.5"
_PLUGINS = {
    JPEG_EXTENDED: "gdcm",
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG lossless
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000, by OpenJPEG
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # High-throughput JPEG 2000, by OpenJPEG
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
}


def pinned_decoder(syntax: str) -> Decoder:
    """Return the decoder of a transfer syntax.

    Raises:
        DicomError: `failed:unsupported_syntax`, or `failed:no_decoder` with what to install.
    """
    from pydicom.pixels.decoders.base import get_decoder

    if syntax == _JPEG_BASELINE:
        return TurboJpegDecoder()
    if syntax == _RLE:
        return RleDecoder()
    if syntax in _NATIVE:
        return NativeDecoder("1.2.840.10008.1.2.1" if syntax.endswith(".99") else syntax)
    if syntax in JPEG_XL_SYNTAXES and not has_jpeg_xl():
        remedy = "Run: pip install 'heart2heart[jpegxl]'"
        raise DicomError("the decoder libjxl is not installed", code=StatusCode.FAILED_NO_DECODER, remedy=remedy)
    if syntax in JPEG_XL_SYNTAXES:
        return JpegXlDecoder(syntax)
    if syntax not in _PLUGINS:
        raise DicomError("no decoder is known for this transfer syntax", code=StatusCode.FAILED_UNSUPPORTED_SYNTAX)
    plugin = _PLUGINS[syntax]
    if plugin not in get_decoder(UID(syntax)).available_plugins:
        remedy = "Run: pip install 'heart2heart[codecs]'"
        raise DicomError(f"the decoder {plugin} is not installed", code=StatusCode.FAILED_NO_DECODER, remedy=remedy)
    if plugin == "pylibjpeg":
        return Jpeg2000Decoder(syntax, plugin)
    return ExtendedJpegDecoder() if syntax == JPEG_EXTENDED else PydicomDecoder(syntax, plugin)


def _check_size(size: tuple[int, int] | None, image_pixel: ImagePixel) -> None:
    if size is None:
        raise DicomError("a frame is not a codestream of its transfer syntax", code=StatusCode.FAILED_DECODE)
    if size != (image_pixel.rows, image_pixel.columns):
        raise DicomError("a frame states another size than the header", code=StatusCode.FAILED_DECODE)


def _decode_error(error: Exception) -> DicomError:
    return DicomError(f"a frame cannot be decoded ({type(error).__name__})", code=StatusCode.FAILED_DECODE)
