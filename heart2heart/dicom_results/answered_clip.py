"""A clip with its DICOM header and its answer, and the studies that clips belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from heart2heart.dicom.header_values import DECODE_ERRORS, number, text
from heart2heart.dicom.reader import open_dicom, require_ultrasound
from heart2heart.errors import DicomError
from heart2heart.schema.clip_answer import ClipAnswer
from heart2heart.schema.status import StatusCode

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Elements that a document takes from the clips as they are, so that the archive files it with them."""
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_OTHERS = ("SpecificCharacterSet", "SyntheticData", "SeriesNumber", "InstanceNumber", "Rows", "Columns")


@dataclass(frozen=True)
class AnsweredClip:
    """One DICOM clip and the answer of a model for it.

    Attributes:
        header: What `read_clip_header` gives. It holds identity.
        answer: The answer.
        path: The file, as `unpacked` takes it.
    """

    header: Dataset = field(repr=False)
    answer: ClipAnswer
    path: Path = field(repr=False)

    @property
    def instance(self) -> str:
        """Its SOP Instance UID."""
        return text(self.header, "SOPInstanceUID")


def read_clip_header(path: Path) -> Dataset:
    """Return what results take from the header of an ultrasound clip or still: patient, study, UIDs and size.

    Args:
        path: The file, unpacked.

    Raises:
        DicomError: the file is no DICOM file, holds no ultrasound image, or lacks a UID by which it is referred to.

    Examples:
        >>> from pathlib import Path
        >>> read_clip_header(Path("clip.dcm")).Modality
        'US'
    """
    with open_dicom(path) as opened:
        require_ultrasound(opened.header, has_pixels=True)
        header = Dataset()
        for name in (*_UIDS, *PATIENT_AND_STUDY, *_OTHERS):
            with suppress(*DECODE_ERRORS):  # an element that cannot be decoded counts as missing
                header[name] = opened.header[name]
    if not all(re.fullmatch(r"[0-9.]{1,64}", text(header, name)) for name in _UIDS):
        raise DicomError("this file lacks a UID, so no report can refer to it", code=StatusCode.FAILED_HEADER)
    return header


def group_by_study(clips: Iterable[AnsweredClip]) -> list[list[AnsweredClip]]:
    """Return the clips of each study, in the order of series and instance numbers; an instance counts once.

    A study that an archive holds under two patients by error becomes two, one a patient.

    Args:
        clips: The clips, in any order.

    Examples:
        >>> group_by_study([])
        []
    """
    studies: dict[tuple[str, str], dict[str, AnsweredClip]] = {}
    for clip in clips:
        study = text(clip.header, "StudyInstanceUID"), text(clip.header, "PatientID")
        studies.setdefault(study, {}).setdefault(clip.instance, clip)
    return [sorted(studies[study].values(), key=_rank) for study in sorted(studies)]


def _rank(clip: AnsweredClip) -> tuple[float, str, float, str]:
    header = clip.header
    series, instance = (number(header, name) or 0.0 for name in ("SeriesNumber", "InstanceNumber"))
    return series, text(header, "SeriesInstanceUID"), instance, clip.instance
