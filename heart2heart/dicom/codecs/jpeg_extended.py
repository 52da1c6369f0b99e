"""JPEG Extended (1.2.840.10008.1.2.4.51): 8-bit streams by libjpeg-turbo, 12-bit streams by GDCM, each and no other.

pydicom refuses 12 bits for both its plugins, though GDCM's own libjpeg of 12 bits decodes them: it gives the very
pixels of dcmtk's `dcmdjpeg`, and fails on a damaged stream.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from heart2heart.dicom import colour
from heart2heart.dicom.codecs.codestream import jpeg_precision
from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.dicom.image_pixel import ImagePixel
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def decode_12_bit(frame: bytes, layout: ImagePixel, *, gray: bool, shrink: int) -> npt.NDArray[np.uint8]:
    """Decode one gray frame of 12 bits; its upper 8 bits are kept.

    Args:
        frame: A JPEG stream of process 4 (ITU-T T.81), whose size agrees with the layout.
        layout: The declared layout.
        gray: Whether the picture is uint8 `(rows, columns)`, else RGB `(rows, columns, 3)`.
        shrink: Both sides are divided by this, see `decode.Decoder`.

    Raises:
        DicomError: `failed:decode`, also when the header declares colour or 8 bits.
    """
    if layout.samples != 1 or layout.bits_allocated != 16:
        raise DicomError("a frame has 12 bits and the header says otherwise", code=StatusCode.FAILED_DECODE)
    try:
        raw = _by_gdcm(frame, layout)
        values = np.frombuffer(raw, "<u2").reshape(layout.rows, layout.columns)
    except DECODE_ERRORS as error:
        raise DicomError(f"a frame cannot be decoded ({type(error).__name__})", code=StatusCode.FAILED_DECODE) from None
    twelve = replace(layout, bits_stored=jpeg_precision(frame) or 12, signed=False)
    return colour.block_mean(colour.to_picture(values, layout.photometric, twelve, gray=gray), shrink)


def _by_gdcm(frame: bytes, layout: ImagePixel) -> bytes:
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
    picture.SetDimensions((layout.columns, layout.rows, 1))
    picture.SetDataElement(encoded)
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")  # an inverted one is turned by `colour.finish`
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    picture.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(JPEG_EXTENDED)))
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    decoded = picture.GetBuffer()  # None when the stream is damaged
    if decoded is None:
        raise ValueError("the stream is damaged")
    raw: bytes = decoded.encode("utf-8", "surrogateescape")  # the binding hands out bytes as text
    return raw
