"""Which files are clips of ultrasound: by SOP class, before a pixel is touched."""

from __future__ import annotations

from pydicom import Dataset

from heart2heart.dicom.values import text
from heart2heart.errors import DicomError

ULTRASOUND = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.3.1",  # US multi-frame
        "1.2.840.10008.5.1.4.1.1.6.1",  # US
        "1.2.840.10008.5.1.4.1.1.3",  # US multi-frame, retired
        "1.2.840.10008.5.1.4.1.1.6",  # US, retired
    }
)

_ELSEWHERE = {
    "1.2.840.10008.1.3.10": ("excluded:dicomdir", "this is a DICOMDIR, an index of other files"),
    "1.2.840.10008.5.1.4.1.1.6.2": ("excluded:volume", "this is an Enhanced US Volume"),
    "1.2.840.113543.6.6.1.3.10002": ("excluded:volume", "this is a private 3D volume"),
}

_FAMILIES = (
    ("1.2.840.10008.5.1.4.1.1.7", "excluded:secondary_capture", "this is a secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.88.", "excluded:structured_report", "this is a structured report"),
)

_PRIVATE_VOLUMES = ("GEMS_ULTRASOUND_MOVIEGROUP", "KRETZ_US")


def require_ultrasound(header: Dataset, *, has_pixels: bool) -> None:
    """Pass a file that is a clip or a still of ultrasound.

    Args:
        header: The file's dataset as read.
        has_pixels: Whether the element (7FE0,0010) is there.

    Raises:
        DicomError: `excluded:...` for what belongs elsewhere, `failed:no_pixels` for a clip without pixel data.
    """
    kind = text(header, "SOPClassUID") or text(header.file_meta, "MediaStorageSOPClassUID")  # a DICOMDIR has but this
    if kind in _ELSEWHERE:
        code, what = _ELSEWHERE[kind]
        raise DicomError(what, code=code)
    for family, code, what in _FAMILIES:
        if kind == family or kind.startswith(family if family.endswith(".") else family + "."):
            raise DicomError(what, code=code)
    if kind not in ULTRASOUND and not (kind == "" and text(header, "Modality") == "US"):
        raise DicomError("this is not an ultrasound image", code="excluded:not_ultrasound")
    if not has_pixels:
        if _is_private_volume(header):
            raise DicomError("this holds only a private 3D volume", code="excluded:volume")
        raise DicomError("the file holds no pixel data", code="failed:no_pixels")


def _is_private_volume(header: Dataset) -> bool:
    creators = (text(header, tag).upper() for tag in sorted(header.keys()) if tag.is_private_creator)
    return any(creator.startswith(_PRIVATE_VOLUMES) for creator in creators)
