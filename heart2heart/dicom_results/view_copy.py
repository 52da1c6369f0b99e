"""Copies of clips with a View Code Sequence (0054,0220): new UIDs, the same pixel data, and where they come from.

An original is never changed. The copy keeps the patient and study identifiers, the transfer syntax and every byte of
the pixel data. It has SOP Instance and Series Instance UIDs of its own, a derivation description, a reference to the
original (Source Image Sequence), and heart2heart as modifying equipment (Contributing Equipment Sequence).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from heart2heart.dicom.header_values import DECODE_ERRORS, number, silence_warnings, text
from heart2heart.dicom.implementation import IMPLEMENTATION_CLASS_UID
from heart2heart.dicom.reader import OpenDicom, open_dicom
from heart2heart.dicom_results.answered_clip import AnsweredClip
from heart2heart.dicom_results.codes import (
    MODIFYING_EQUIPMENT,
    PROCESSING_SOURCE,
    code_item,
    private_scheme_item,
    view_code,
)
from heart2heart.dicom_results.derived_uid import derived_uid, model_parts
from heart2heart.dicom_results.document import MANUFACTURER
from heart2heart.errors import DicomError
from heart2heart.schema.clip_answer import AnswerStatus
from heart2heart.schema.status import StatusCode
from heart2heart.schema.views import PRIVATE_SCHEME

MAX_BYTES = 2**31
"""Largest file that is copied; it is read into memory."""
_SERIES_NUMBER = 9100
_UNDEFINED_LENGTH = 0xFFFFFFFF  # of encapsulated frames
_SIGNATURES = ("DigitalSignaturesSequence", "MACParametersSequence")  # of the original, no longer valid


def view_copy_uid(clip: AnsweredClip) -> str | None:
    """Return the SOP Instance UID of the copy of a clip; None where the model gives not one view.

    Args:
        clip: The clip.
    """
    if clip.answer.status != AnswerStatus.ANSWERED:
        return None
    return derived_uid("view copy", clip.instance, model_parts(clip.answer.model), clip.answer.views[0])


def view_copy(clip: AnsweredClip, source: Path, *, made_at: datetime) -> Dataset:
    """Return a copy of a clip with the code of its view.

    Args:
        clip: A clip for which the model gave one view.
        source: The file, unpacked.
        made_at: When the answers were given, local time.

    Returns:
        The copy, with file meta information; `save_as` writes it in the transfer syntax of the original.

    Raises:
        DicomError: the file cannot be read whole, or is too large.
    """
    uid = view_copy_uid(clip)
    assert uid is not None, "only a clip with one view has a copy"
    if source.stat().st_size > MAX_BYTES:
        raise DicomError("this file is too large for a copy", code=StatusCode.FAILED_BOUNDS)
    with silence_warnings():
        try:
            with open_dicom(source) as opened:
                is_whole = _is_whole(opened)
            copy: Dataset = dcmread(source, force=True)
            is_whole = is_whole and "PixelData" in copy
        except DECODE_ERRORS as error:
            what = f"this file cannot be copied ({type(error).__name__})"
            raise DicomError(what, code=StatusCode.FAILED_HEADER) from None
        if not is_whole or not copy.file_meta.get("TransferSyntaxUID"):
            what = "this file cannot be copied: it has no whole pixel data, or no transfer syntax"
            raise DicomError(what, code=StatusCode.FAILED_NO_PIXELS)
        _describe(copy, clip, uid, made_at)
    return copy


def _is_whole(opened: OpenDicom) -> bool:
    """Return whether the pixel data has the length that its element states; pydicom reads less without a word."""
    start = opened.pixel_data_offset + (8 if opened.explicit_vr else 4)
    length = int.from_bytes(opened.data[start : start + 4], "big" if opened.big_endian else "little")
    return length == _UNDEFINED_LENGTH or start + 4 + length <= len(opened.data)


def _describe(copy: Dataset, clip: AnsweredClip, uid: str, made_at: datetime) -> None:
    model, code = clip.answer.model, view_code(clip.answer.views[0])
    original = Dataset()
    original.ReferencedSOPClassUID = UID(text(clip.header, "SOPClassUID"))
    original.ReferencedSOPInstanceUID = UID(clip.instance)
    original.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_SOURCE)]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [code_item(MODIFYING_EQUIPMENT)]
    equipment.Manufacturer, equipment.ManufacturerModelName = MANUFACTURER, "heart2heart"
    equipment.SoftwareVersions = model.version[:64]
    equipment.ContributionDescription = f"View code by the model {model.name[:64]}, {model.weights_sha256[:16]}"
    equipment.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S")
    copy.ViewCodeSequence = [code_item(code)]
    copy.SourceImageSequence = [original]
    copy.ContributingEquipmentSequence = [*(copy.get("ContributingEquipmentSequence") or ()), equipment]
    copy.DerivationDescription = "Copy with the view code of a model; pixel data unchanged"
    copy.SeriesInstanceUID = derived_uid("copy series", text(clip.header, "SeriesInstanceUID"), model_parts(model))
    copy.SeriesNumber = _SERIES_NUMBER + int(min(max(number(clip.header, "SeriesNumber") or 0, 0), 10**6))
    copy.SeriesDescription = f"Copies with views by {model.name.replace(chr(92), '/')[:30]} {model.weights_sha256[:8]}"
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    copy.file_meta.MediaStorageSOPClassUID = UID(text(clip.header, "SOPClassUID"))
    copy.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    for name in ("ImplementationVersionName", "SourceApplicationEntityTitle"):
        if name in copy.file_meta:
            delattr(copy.file_meta, name)
    for name in _SIGNATURES:
        if name in copy:
            delattr(copy, name)
    if code[1] == PRIVATE_SCHEME:
        copy.CodingSchemeIdentificationSequence = [
            *(copy.get("CodingSchemeIdentificationSequence") or ()),
            private_scheme_item(),
        ]
