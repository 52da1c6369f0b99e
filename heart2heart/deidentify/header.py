"""Builds headers that hold no identity: the technical tags in an allow-list, and the header of a clean copy.

`technical_dataset` copies the elements of an allow-list and drops every other tag. It leaves them unchanged, which is
safe while they stay in memory. A clean copy leaves the hospital. So `clean_header` builds it value by value: each
number is parsed and written anew, and each text is a term of a vocabulary of this project.
"""

from __future__ import annotations

import re
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage
from pydicom.valuerep import DSfloat

from heart2heart.deidentify.descriptions import DESCRIPTIONS, clean_description, name_words, write_descriptions
from heart2heart.deidentify.pseudonyms import Key, Pseudonyms
from heart2heart.deidentify.vocabulary import MAX_STAGES, coded_view, manufacturer, model, phases, stage, view_name
from heart2heart.dicom.header_values import DECODE_ERRORS, number, numbers, text, texts
from heart2heart.schema.views import VIEWS, get_view

_PICTURE = (
    "SOPClassUID", "Modality", "SyntheticData", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames",
    "HeartRate", "PixelSpacing", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip

_TIMING = (
    "FrameIncrementPointer", "FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate",
)  # fmt: skip

_BEAT = ("RWaveTimeVector", "FrameNumbersOfInterest")
_PROTOCOL = ("StageNumber", "NumberOfStages", "ViewNumber", "NumberOfViewsInStage")
_COUNTED = ("SeriesNumber", "InstanceNumber", "UltrasoundColorDataPresent")
_BODY = ("PatientSize", "PatientWeight")

_REGION = (
    "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0", "RegionLocationMinY0",
    "RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
    "PhysicalDeltaX", "PhysicalDeltaY", "ReferencePixelX0", "ReferencePixelY0", "ReferencePixelPhysicalValueX",
    "ReferencePixelPhysicalValueY", "TransducerFrequency", "PulseRepetitionFrequency", "DopplerCorrectionAngle",
    "SteeringAngle", "DopplerSampleVolumeXPosition", "DopplerSampleVolumeYPosition",
)  # fmt: skip
_TRANSDUCERS = ("SECTOR_PHASED", "SECTOR_MECH", "SECTOR_ANNULAR", "LINEAR", "CURVED LINEAR", "SINGLE CRYSTAL")
_IMAGE_KINDS = (
    "EPICARDIAL", "INTRACARDIAC", "CARDIOLOGY", "TTE", "TEE", "ABDOMINAL", "BREAST", "CHEST", "FETAL HEART",
    "GYNECOLOGY", "OBSTETRICAL", "PEDIATRIC", "PELVIC", "RENAL", "SMALL PARTS", "THYROID", "VASCULAR",
)  # fmt: skip
_MODES = re.compile(r"0[0-9A-F]{3}")
"""Value 4 of Image Type, the sum of the modes (PS3.3 section C.8.5.6.1.1). A year begins with another digit."""

_PHILIPS_FRAME_RATE = Tag(0x7FDF, 0x1074)  # private, frames per second


def heart_rate(facts: Dataset) -> float | None:
    """Return the heart rate in beats a minute; None for a number that no heart has, such as a telephone number."""
    value = number(facts, "HeartRate")
    return value if value is not None and 0 < value <= _MAX_HEART_RATE else None


def technical_dataset(header: Dataset, key: Key | None = None) -> Dataset:
    """Return a new dataset of allow-listed tags.

    Numbers and codes are copied. Text becomes a term of a closed vocabulary (`deidentify.vocabulary`) or, for an
    unknown manufacturer or model, a label derived from the key. Region items are rebuilt from their own list.

    Args:
        header: The file's dataset as read; it is not changed.
        key: Key for the labels of unknown manufacturers and models; without it they all have the same label.
    """
    kept = Dataset()
    for name in _PICTURE + _TIMING + _BEAT + _PROTOCOL + _COUNTED + _BODY:
        _copy(header, kept, name)
    try:
        regions = list(header.get("SequenceOfUltrasoundRegions") or ())
    except DECODE_ERRORS:
        regions = []
    items = []
    for region in regions:
        item = Dataset()
        for name in _REGION:
            _copy(region, item, name)
        items.append(item)
    if items:
        kept.SequenceOfUltrasoundRegions = items
    for name, value in (("Manufacturer", manufacturer(header, key)), ("ManufacturerModelName", model(header, key))):
        if value is not None:
            setattr(kept, name, value)
    rate = number(header, _PHILIPS_FRAME_RATE) if kept.get("Manufacturer") == "Philips" else None
    if rate and not any(name in kept for name in _TIMING):
        kept.FrameTime = f"{1000 / rate:.4f}"
    if labels := phases(header, "FrameLabelVector"):
        kept.FrameLabelVector = labels
    if kinds := phases(header, "FrameOfInterestType") or phases(header, "FrameOfInterestDescription"):
        kept.FrameOfInterestType = kinds
    terms, names = Dataset(), name_words(header)
    for name in ("StageName", "ViewName"):
        setattr(terms, name, clean_description(text(header, name), names))
    if (stage_name := stage(header) or stage(terms)) is not None:
        kept.StageName = stage_name
    if (named := view_name(header) or view_name(terms)) is not None:
        kept.ViewName = named  # a name of `heart2heart.schema.views`, never the text of the file
    if (coded := coded_view(header)) is not None:
        item = Dataset()
        item.CodeValue = get_view(coded).code  # rebuilt: the meaning in the file may be free text
        kept.ViewCodeSequence = [item]
    _write_terms(header, kept)
    return kept


def _write_terms(header: Dataset, kept: Dataset) -> None:
    """Write the texts of which only terms of closed lists stay: descriptions, image type, body part, transducer."""
    write_descriptions(header, kept)
    kind, modes = [*texts(header, "ImageType")[2:4], "", ""][:2]
    known = [kind if kind in _IMAGE_KINDS else "", modes if _MODES.fullmatch(modes) else ""]
    kept.ImageType = ["DERIVED", "PRIMARY", *(known if known[1] else known[:1] if known[0] else [])]
    if text(header, "BodyPartExamined").upper() == "HEART":
        kept.BodyPartExamined = "HEART"
    if (transducer := text(header, "TransducerType")) in _TRANSDUCERS:
        kept.TransducerType = transducer


def _copy(source: Dataset, target: Dataset, name: str) -> None:
    try:
        if name in source:
            target[name] = source[name]
    except DECODE_ERRORS:
        return  # an unreadable value counts as missing


IMPLEMENTATION_UID = UID("2.25.73811523049962016548310284756109923341")
DEIDENTIFICATION_METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
"""Methods of the de-identification (PS3.16 CID 7050). 113109 is not claimed: of the device only manufacturer and model
stay, which the Basic Profile does not remove."""

_COPIED_TIMING = ("FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate")
_EMPTY = (
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber",
    "PatientOrientation",
)  # fmt: skip
"""Elements of type 2 and 2C: required, may be empty."""
_LARGEST = {"US": 2**16 - 1, "UL": 2**32 - 1, "IS": 2**31 - 1, "SL": 2**31 - 1}
_MAX_HEART_RATE = 500  # beats a minute
_LONGEST_TIME = 1e6  # milliseconds, or frames per second
_MAX_DISTANCE = 1e5  # pixels, units per pixel, or kilohertz
_MAX_COUNT = 9999
_SIZES = {"PatientSize": (0.2, 2.3), "PatientWeight": (0.3, 250.0)}  # m, kg: values beyond identify


def clean_header(
    facts: Dataset, pseudonyms: Pseudonyms, *, instance: str, n_frames: int, searched: bool = True
) -> Dataset:
    """Return the header of a clean copy, without pixels.

    Args:
        facts: The `technical_dataset` of the clip.
        pseudonyms: Pseudonyms of the clip, made with a key.
        instance: The SOP instance UID to write.
        n_frames: Number of frames of the copy.
        searched: Whether the pixels were searched for text, and what was found was blanked.
    """
    header = Dataset()
    multi_frame = n_frames > 1 or text(facts, "SOPClassUID") == UltrasoundMultiFrameImageStorage
    header.SOPClassUID = UltrasoundMultiFrameImageStorage if multi_frame else UltrasoundImageStorage
    header.SOPInstanceUID = UID(instance)
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    header.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    header.file_meta.ImplementationVersionName = "HEART2HEART"
    header.SpecificCharacterSet, header.Modality = "ISO_IR 192", "US"
    for name in ("ImageType", *DESCRIPTIONS, "BodyPartExamined", "TransducerType"):
        if name in facts:
            header[name] = facts[name]  # terms of closed lists
    if "BodyPartExamined" not in header:
        header.Laterality = None  # type 2C; absent for the heart, which is not paired
    if text(facts, "SyntheticData").upper() == "YES":
        header.SyntheticData = "YES"
    _write_pseudonyms(header, pseudonyms)
    _write_methods(header, searched=searched)
    for name in _COUNTED:
        _write_numbers(facts, header, name, least=0, most=_MAX_COUNT)
    for name, (least, most) in _SIZES.items():
        _write_numbers(facts, header, name, least=least, most=most)
    for name in ("Manufacturer", "ManufacturerModelName"):
        setattr(header, name, text(facts, name))  # a term of the vocabulary, or a label
    for name, most in (("HeartRate", _MAX_HEART_RATE), ("PixelSpacing", 100)):
        _write_numbers(facts, header, name, least=0, most=most)
    for name in _COPIED_TIMING:
        _write_numbers(facts, header, name, least=0, most=_LONGEST_TIME)
    _write_view(facts, header)
    items = []
    for region in facts.get("SequenceOfUltrasoundRegions") or ():
        item = Dataset()
        for name in _REGION:
            _write_numbers(region, item, name, least=-_MAX_DISTANCE, most=_MAX_DISTANCE)
        items.append(item)
    if items:
        header.SequenceOfUltrasoundRegions = items
    if multi_frame:
        header.NumberOfFrames = n_frames
    return header


def write_frame_times(header: Dataset, times: Any) -> None:
    """Write the times of the frames when the copy leaves out frames or header values of the original.

    Args:
        header: The copy's header.
        times: Milliseconds from the first frame, float64 `(n,)`, or None to keep the times of the header.
    """
    if times is not None:
        steps = [0.0, *(times[1:] - times[:-1]).tolist()]
        header.FrameTimeVector = [DSfloat(step, auto_format=True) for step in steps]
    timed = next((name for name in ("FrameTimeVector", "FrameTime") if name in header), None)
    if timed is not None:
        header.FrameIncrementPointer = Tag(tag_for_keyword(timed) or 0)


def _write_pseudonyms(header: Dataset, pseudonyms: Pseudonyms) -> None:
    header.PatientName = header.PatientID = pseudonyms.patient
    header.PatientBirthDate, header.PatientSex = "", pseudonyms.sex or ""
    if pseudonyms.age is not None:
        header.PatientAge = f"{pseudonyms.age:03d}Y"
    header.StudyInstanceUID = UID(pseudonyms.study)
    header.SeriesInstanceUID = UID(pseudonyms.series or pseudonyms.study)
    header.StudyDate = "" if pseudonyms.date is None else pseudonyms.date.strftime("%Y%m%d")
    for name in _EMPTY:
        setattr(header, name, None)


def _write_methods(header: Dataset, *, searched: bool) -> None:
    header.PatientIdentityRemoved, header.LongitudinalTemporalInformationModified = "YES", "MODIFIED"
    header.DeidentificationMethod = "heart2heart allow-list; pixels outside the scan blanked"
    if searched:  # else nobody knows, and the element (type 3) is absent
        header.BurnedInAnnotation = "NO"
    items = []
    for code, meaning in DEIDENTIFICATION_METHODS.items():
        if code == "113105" and not any(name in header for name in DESCRIPTIONS):
            continue
        if code == "113101" and not searched:
            continue
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    header.DeidentificationMethodCodeSequence = items


def _write_view(facts: Dataset, header: Dataset) -> None:
    """Write stage and view, which `technical_dataset` has replaced by terms of the vocabularies."""
    if stage := text(facts, "StageName"):
        header.StageName = stage
    for keyword in ("StageNumber", "NumberOfStages", "ViewNumber", "NumberOfViewsInStage"):
        _write_numbers(facts, header, keyword, least=1, most=MAX_STAGES)
        if keyword.startswith("NumberOf") and "StageName" in header and keyword not in header:
            setattr(header, keyword, None)  # type 2C: required in a staged protocol, may be empty
    if (name := text(facts, "ViewName")) in VIEWS:
        header.ViewName = name
    if (coded := coded_view(facts)) is not None:
        named, item = get_view(coded), Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = named.code, named.scheme, named.title
        header.ViewCodeSequence = [item]


def _write_numbers(source: Dataset, target: Dataset, name: str, *, least: float, most: float) -> None:
    """Write the numbers of one element, unless one of them is outside the valid range of the element."""
    stated, vr = numbers(source, name), dictionary_VR(name)
    if not stated or not all(least <= value <= most for value in stated):
        return
    values: list[Any]
    if vr in _LARGEST:
        least = -_LARGEST[vr] if vr == "SL" else 0
        if not all(value == int(value) and least <= value <= _LARGEST[vr] for value in stated):
            return
        values = [int(value) for value in stated]
    else:
        values = [DSfloat(value, auto_format=True) if vr == "DS" else value for value in stated]
    setattr(target, name, values if len(values) > 1 else values[0])
