"""What the reports and key object selections of a study share: its patient and study, the model, and the dates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydicom import Dataset

from heart2heart.dicom.header_values import number, silence_warnings, text
from heart2heart.dicom.implementation import IMPLEMENTATION_CLASS_UID
from heart2heart.dicom_results.answered_clip import PATIENT_AND_STUDY, AnsweredClip
from heart2heart.dicom_results.codes import concept, private_scheme_item
from heart2heart.dicom_results.derived_uid import derived_uid, model_parts
from heart2heart.errors import ConfigError, InternalError
from heart2heart.schema.clip_answer import MODEL_OBSERVER_PREFIX, ModelIdentity

if TYPE_CHECKING:
    from highdicom.sr import ObserverContext

MANUFACTURER = "heart2heart"
_OPTIONAL = ("SpecificCharacterSet", "IssuerOfPatientID", "StudyDescription")


@contextmanager
def quiet_highdicom() -> Iterator[None]:
    """Silence the warnings and log lines of highdicom and pydicom, which quote names and identifiers.

    Raises:
        ConfigError: highdicom is not installed.

    Examples:
        >>> with quiet_highdicom():
        ...     import highdicom
    """
    if find_spec("highdicom") is None:
        raise ConfigError("highdicom is not installed", remedy="Run: pip install 'heart2heart[sr]'")
    logger = logging.getLogger("highdicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with silence_warnings():
            yield
    finally:
        logger.setLevel(level)


def model_of_study(clips: Sequence[AnsweredClip]) -> ModelIdentity:
    """Return the model whose answers the clips of one study have.

    Raises:
        ConfigError: two models, or two studies.

    Examples:
        >>> model_of_study([])
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: a report needs the clips of one study
    """
    studies = {(text(clip.header, "StudyInstanceUID"), text(clip.header, "PatientID")) for clip in clips}
    if len(studies) != 1:
        raise ConfigError("a report needs the clips of one study")
    models = {clip.answer.model for clip in clips}
    if len(models) != 1:
        raise ConfigError("a report has the answers of one model", remedy="Write one report for each model")
    return models.pop()


def study_parts(header: Dataset) -> list[str]:
    """Return what tells one study from another.

    Examples:
        >>> study_parts(Dataset())
        ['', '']
    """
    return [text(header, "StudyInstanceUID"), text(header, "PatientID")]


def model_observer(model: ModelIdentity) -> ObserverContext:
    """Return the model as the device that observed (TID 1004).

    Args:
        model: The model.
    """
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext

    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("model", *model_parts(model)),
        name=f"{MODEL_OBSERVER_PREFIX}{model.name}"[:64],
        manufacturer_name=MANUFACTURER,
        model_name=f"heart2heart {model.version}"[:64],
        serial_number=model.weights_sha256[:64],
    )
    return ObserverContext(concept(("121007", "DCM", "Device")), device)


def evidence(header: Dataset) -> Dataset:
    """Return what highdicom needs of a clip: its references, and empty fields for patient and study.

    highdicom checks names and dates, and refuses or shows those that break the standard. So `finish_document` copies
    them afterwards, as they are.

    Args:
        header: The header of the clip.
    """
    item = Dataset()
    for name in PATIENT_AND_STUDY:
        setattr(item, name, None)
    for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(item, name, text(header, name))
    item.Modality = "US"
    item.Rows, item.Columns = (min(int(number(header, name) or 0), 65_535) for name in ("Rows", "Columns"))
    return item


def document_arguments(
    model: ModelIdentity, header: Dataset, *, series: str, number: int, instance: str
) -> dict[str, Any]:
    """Return the arguments that the constructors of highdicom's documents share.

    Args:
        model: The model that answered.
        header: Header of a clip of the study.
        series: What the series holds, such as `report series`; its UID follows from it, the study and the model.
        number: Series number.
        instance: SOP Instance UID.
    """
    return {
        "series_instance_uid": derived_uid(series, study_parts(header), model_parts(model)),
        "series_number": number,
        "sop_instance_uid": instance,
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": "heart2heart",
        "software_versions": model.version[:64],
    }


def finish_document(document: Dataset, header: Dataset, made_at: datetime) -> Dataset:
    """Give a document the patient and study of a clip, the date, and the scheme of private codes.

    Args:
        document: A document of highdicom.
        header: Header of one of its clips.
        made_at: When the answers were given.

    Returns:
        The document.
    """
    for name in ("SpecificCharacterSet", *PATIENT_AND_STUDY):
        if name in document:
            del document[name]
        if name in header:
            document[name] = header[name]
        elif name not in _OPTIONAL:
            setattr(document, name, None)
    if text(header, "SyntheticData") == "YES":
        document.SyntheticData = "YES"
    document.InstanceCreationDate = document.ContentDate = made_at.strftime("%Y%m%d")
    document.InstanceCreationTime = document.ContentTime = made_at.strftime("%H%M%S")
    for equipment in document.get("ContributingEquipmentSequence") or ():  # highdicom itself
        equipment.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S")
    document.CodingSchemeIdentificationSequence = [private_scheme_item()]
    document.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    del document.file_meta.ImplementationVersionName
    if text(document, "StudyInstanceUID") != text(header, "StudyInstanceUID"):
        raise InternalError("a document has the study of another clip")
    return document
