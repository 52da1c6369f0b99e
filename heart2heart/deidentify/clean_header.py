"""The header of a clean copy: rebuilt value by value, so that nothing passes that was not asked for by name.

`technical` copies elements as they stand, which is safe while they stay in memory. Here they leave the hospital, so a
number is read as a number and written anew, and a word is written from this project's own vocabulary.
"""

from __future__ import annotations

from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage
from pydicom.valuerep import DSfloat

from heart2heart.deidentify.pseudonyms import Pseudonyms
from heart2heart.deidentify.vocabulary import MAX_STAGES, coded_view
from heart2heart.dicom.header_values import numbers, text
from heart2heart.dicom.reader import ULTRASOUND_SOP_CLASSES
from heart2heart.schema.views import VIEWS, get_view

IMPLEMENTATION_UID = UID("2.25.73811523049962016548310284756109923341")
DEIDENTIFICATION_METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
"""What was done (PS3.16 CID 7050). 113109 is not claimed: of the device only maker and model stay, which the Basic
Profile does not ask to remove."""

_TIMING = ("FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate")
_REGION = (
    "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0", "RegionLocationMinY0",
    "RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
    "PhysicalDeltaX", "PhysicalDeltaY",
)  # fmt: skip
_LARGEST = {"US": 2**16 - 1, "UL": 2**32 - 1, "IS": 2**31 - 1}
_LONGEST_TIME = 1e6  # milliseconds or frames a second; a larger number times nothing
_MAX_DISTANCE = 1e5  # pixels, or units a pixel


def clean_header(facts: Dataset, pseudonyms: Pseudonyms, *, instance: str, n_frames: int) -> Dataset:
    """Return the header of a clean copy, without pixels.

    Args:
        facts: The clip's `technical` dataset.
        pseudonyms: Its pseudonyms, made with a key.
        instance: The SOP instance UID to write.
        n_frames: Frames that the copy will hold.
    """
    made = Dataset()
    stated = text(facts, "SOPClassUID")
    kind = UltrasoundMultiFrameImageStorage if n_frames > 1 else UltrasoundImageStorage
    made.SOPClassUID = UID(stated) if stated in ULTRASOUND_SOP_CLASSES else kind
    made.SOPInstanceUID = UID(instance)
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, UID(instance)
    made.file_meta.ImplementationClassUID, made.file_meta.ImplementationVersionName = IMPLEMENTATION_UID, "HEART2HEART"
    made.SpecificCharacterSet, made.ImageType, made.Modality = "ISO_IR 192", ["DERIVED", "PRIMARY"], "US"
    if text(facts, "SyntheticData").upper() == "YES":
        made.SyntheticData = "YES"
    _write_pseudonyms(made, pseudonyms)
    _write_methods(made)
    for name in ("Manufacturer", "ManufacturerModelName"):
        setattr(made, name, text(facts, name))  # a word of the vocabulary, or a label
    for name, most in (("HeartRate", 500), ("PixelSpacing", 100)):
        _write_numbers(facts, made, name, least=0, most=most)
    for name in _TIMING:
        _write_numbers(facts, made, name, least=0, most=_LONGEST_TIME)
    _write_view(facts, made)
    items = []
    for region in facts.get("SequenceOfUltrasoundRegions") or ():
        item = Dataset()
        for name in _REGION:
            _write_numbers(region, item, name, least=-_MAX_DISTANCE, most=_MAX_DISTANCE)
        items.append(item)
    if items:
        made.SequenceOfUltrasoundRegions = items
    made.NumberOfFrames = n_frames
    return made


def write_frame_times(made: Dataset, times: Any) -> None:
    """Say when the frames were taken, where some of the original's were left out or its own words were not kept.

    Args:
        made: The copy's header.
        times: Milliseconds from the first frame, float64 `(n,)`, or None to keep what the header says.
    """
    if times is not None:
        steps = [0.0, *(times[1:] - times[:-1]).tolist()]
        made.FrameTimeVector = [DSfloat(step, auto_format=True) for step in steps]
    timed = next((name for name in ("FrameTimeVector", "FrameTime") if name in made), None)
    if timed is not None:
        made.FrameIncrementPointer = Tag(tag_for_keyword(timed) or 0)


def _write_pseudonyms(made: Dataset, who: Pseudonyms) -> None:
    made.PatientName = made.PatientID = who.patient
    made.PatientBirthDate, made.PatientSex = "", who.sex or ""
    if who.age is not None:
        made.PatientAge = f"{who.age:03d}Y"
    made.StudyInstanceUID = UID(who.study)
    made.SeriesInstanceUID = UID(who.series or who.study)
    made.StudyDate = "" if who.date is None else who.date.strftime("%Y%m%d")
    for name in ("StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber"):
        setattr(made, name, None)  # type 2: must be there, may be empty


def _write_methods(made: Dataset) -> None:
    made.PatientIdentityRemoved, made.LongitudinalTemporalInformationModified = "YES", "MODIFIED"
    made.DeidentificationMethod = "heart2heart allow-list; pixels outside the scan blanked"
    made.BurnedInAnnotation = "NO"
    items = []
    for code, meaning in DEIDENTIFICATION_METHODS.items():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    made.DeidentificationMethodCodeSequence = items


def _write_view(facts: Dataset, made: Dataset) -> None:
    """Write stage and view, which `technical` has replaced by words of this project's vocabularies."""
    if stage := text(facts, "StageName"):
        made.StageName = stage
    for number in ("StageNumber", "NumberOfStages", "ViewNumber", "NumberOfViewsInStage"):
        _write_numbers(facts, made, number, least=1, most=MAX_STAGES)
    if (name := text(facts, "ViewName")) in VIEWS:
        made.ViewName = name
    if (coded := coded_view(facts)) is not None:
        named, item = get_view(coded), Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = named.code, named.scheme, named.title
        made.ViewCodeSequence = [item]


def _write_numbers(source: Dataset, target: Dataset, name: str, *, least: float, most: float) -> None:
    """Write the numbers of one element anew, unless one of them lies outside what the element is for."""
    found, vr = numbers(source, name), dictionary_VR(name)
    if not found or not all(least <= value <= most for value in found):
        return
    values: list[Any]
    if vr in _LARGEST:
        if not all(value == int(value) and 0 <= value <= _LARGEST[vr] for value in found):
            return
        values = [int(value) for value in found]
    else:
        values = [DSfloat(value, auto_format=True) if vr == "DS" else value for value in found]
    setattr(target, name, values if len(values) > 1 else values[0])
