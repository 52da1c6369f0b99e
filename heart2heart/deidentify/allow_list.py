"""Builds a new dataset of the technical tags in an allow-list; every other tag is dropped."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.tag import Tag

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.deidentify.vocabulary import coded_view, manufacturer, model, phases, stage, view_name
from heart2heart.dicom.header_values import DECODE_ERRORS, number
from heart2heart.schema.views import get_view

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

_REGION = (
    "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0", "RegionLocationMinY0",
    "RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
    "PhysicalDeltaX", "PhysicalDeltaY",
)  # fmt: skip

_PHILIPS_FRAME_RATE = Tag(0x7FDF, 0x1074)  # private, frames per second


def technical_dataset(header: Dataset, key: Key | None = None) -> Dataset:
    """Return a new dataset of allow-listed tags.

    Numbers and codes are copied. Text becomes a term of a closed vocabulary (`deidentify.vocabulary`) or, for an
    unknown manufacturer or model, a label derived from the key. Region items are rebuilt from their own list.

    Args:
        header: The file's dataset as read; it is not changed.
        key: Key for the labels of unknown manufacturers and models; without it they all have the same label.
    """
    kept = Dataset()
    for name in _PICTURE + _TIMING + _BEAT + _PROTOCOL:
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
    if (stage_name := stage(header)) is not None:
        kept.StageName = stage_name
    if (named := view_name(header)) is not None:
        kept.ViewName = named  # a name of `heart2heart.schema.views`, never the text of the file
    if (coded := coded_view(header)) is not None:
        item = Dataset()
        item.CodeValue = get_view(coded).code  # rebuilt: the meaning in the file may be free text
        kept.ViewCodeSequence = [item]
    return kept


def _copy(source: Dataset, target: Dataset, name: str) -> None:
    try:
        if name in source:
            target[name] = source[name]
    except DECODE_ERRORS:
        return  # an unreadable value counts as missing
