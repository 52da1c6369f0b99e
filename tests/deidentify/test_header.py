"""The allow-list: a new dataset with technical facts; text only as a word of a vocabulary."""

import re

import pytest
from pydicom import Dataset
from pydicom.tag import Tag

from heart2heart.deidentify.header import technical_dataset
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.deidentify.vocabulary import coded_view as view_by_code
from heart2heart.deidentify.vocabulary import protocol_number
from tests.dicom.build import dataset, speckle_frames

PLANTED = "Planted^Person"


def test_technical_dataset_keeps_only_named_tags() -> None:
    header = dataset(speckle_frames(1))
    for name in (
        "PatientName", "PatientComments", "InstitutionName", "StudyDescription", "SeriesDescription", "OperatorsName",
        "StageName", "ViewName", "ImageComments", "StationName", "AccessionNumber", "DeviceSerialNumber",
    ):  # fmt: skip
        setattr(header, name, PLANTED[:16])
    header.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "LO", PLANTED)
    header.SequenceOfUltrasoundRegions[0].RegionFlags = 2
    header.SequenceOfUltrasoundRegions[0].add_new(Tag(0x0029, 0x1001), "LO", PLANTED)
    kept = technical_dataset(header)
    assert PLANTED[:10] not in str(kept)
    assert not any(element.tag.is_private for element in kept.iterall())
    assert "PixelData" not in kept
    assert "PatientID" not in kept
    assert kept.Rows == 96
    assert kept.SequenceOfUltrasoundRegions[0].RegionFlags == 2


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Philips Medical Systems", "Philips"), ("GE Vingmed Ultrasound", "GE"), ("G.E. Medical Systems", "GE"),
        ("GEMS Ultrasound", "GE"), ("SIEMENS", "Siemens"), ("TOSHIBA_MEC_US", "Canon"), ("ALOKA CO., LTD.", "Hitachi"),
        ("Corvid Ultrasound (synthetic)", "Corvid Ultrasound (synthetic)"), ("  Acme   Products ", "unknown maker"),
        ("St. Nowhere Hospital", "unknown maker"), ("George's", "unknown maker"), ("   ", None),
    ],
)  # fmt: skip
def test_technical_dataset_gives_makers_their_common_name(written: str, kept: str | None) -> None:
    header = Dataset()
    header.Manufacturer = written
    assert technical_dataset(header).get("Manufacturer") == kept


def test_technical_dataset_takes_an_empty_maker_from_the_private_creator() -> None:
    header = Dataset()
    header.Manufacturer = ""
    header.private_block(0x0011, "SOMETHING ELSE", create=True)
    header.private_block(0x200D, "Philips US Imaging DD 001", create=True)
    assert technical_dataset(header).Manufacturer == "Philips"


@pytest.mark.parametrize(
    ("name", "kept"), [("Rest", "rest"), ("PEAK-EXERCISE", "peak"), ("Low Dose", "low dose"), ("Ward 7", None)]
)
def test_technical_dataset_takes_stress_stages_of_the_vocabulary(name: str, kept: str | None) -> None:
    header = Dataset()
    header.StageName = name
    assert technical_dataset(header).get("StageName") == kept


@pytest.mark.parametrize(("code", "view"), [("399214001", "A4C"), ("G-A19B", "A2C"), ("12345", None)])
def test_technical_dataset_keeps_the_code_of_the_view(code: str, view: str | None) -> None:
    header, item = Dataset(), Dataset()
    item.CodeValue, item.CodeMeaning = code, PLANTED
    header.ViewCodeSequence = [item]
    kept = technical_dataset(header)
    assert view_by_code(kept) == view
    assert "ViewName" not in kept
    assert PLANTED not in str(kept)


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("Apical 4 Chamber", "A4C"), ("AP4", "A4C"), ("4CH", "A4C"), ("a-2-c", "A2C"), ("PSAX", "PSAX"),
        ("SAX PM", "PSAX"), ("LAX", "PLAX"), ("APLAX", "A3C"), ("RV inflow", "RV_INFLOW"), ("Sag Liver L-M", None),
        (PLANTED, None), ("", None),
    ],
)  # fmt: skip
def test_technical_dataset_takes_views_of_a_protocol_of_the_vocabulary(name: str, view: str | None) -> None:
    header = Dataset()
    header.ViewName = name[:16]
    assert technical_dataset(header).get("ViewName") == view


def test_protocol_number_of_headers() -> None:
    header = Dataset()
    header.StageNumber, header.NumberOfStages, header.ViewNumber, header.NumberOfViewsInStage = 2, 4, 0, 10_000
    kept = technical_dataset(header)
    names = ("StageNumber", "NumberOfStages", "ViewNumber", "NumberOfViewsInStage")
    assert [protocol_number(kept, name) for name in names] == [2, 4, None, None]


def test_technical_dataset_uses_the_private_frame_rate_of_philips_only_without_another() -> None:
    header = Dataset()
    header.Manufacturer = "Philips Medical Systems"
    header.private_block(0x7FDF, "PHILIPS US", create=True).add_new(0x74, "FD", 50.0)
    assert float(technical_dataset(header).FrameTime) == 20.0
    header.CineRate = "25"
    assert "FrameTime" not in technical_dataset(header)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("EPIQ 7C", "EPIQ 7C"), ("Affiniti 70G", "Affiniti 70G"), ("vivid  E95", "Vivid E95"),
        ("CX50", "CX50"), ("LOGIQ 700", "LOGIQ 700"), ("SSD-4000", "SSD-4000"), ("Turbo", "Turbo"), ("NW-7", "NW-7"),
        ("EPIQ 7C of Dr. Planted", "EPIQ 7C"), ("Vivid Planted", "Vivid"), ("EPIQ 4711471", "EPIQ"),
        ("Planted", "unknown model"), ("Knowledge", "unknown model"), ("", None),
    ],
)  # fmt: skip
def test_technical_dataset_takes_models_of_the_vocabulary(written: str, kept: str | None) -> None:
    header = Dataset()
    header.ManufacturerModelName = written
    assert technical_dataset(header).get("ManufacturerModelName") == kept


def test_technical_dataset_gives_an_unknown_machine_one_label_a_key() -> None:
    def labels(written: str, secret: bytes) -> tuple[str, str]:
        header = Dataset()
        header.Manufacturer = header.ManufacturerModelName = written
        kept = technical_dataset(header, Key(secret * 32))
        return str(kept.Manufacturer), str(kept.ManufacturerModelName)

    one = labels("St. Nowhere, Ward 3", b"a")
    assert all(re.fullmatch(r"unknown (maker|model) [0-9a-f]{4}", label) for label in one)
    assert labels("ST NOWHERE  ward 3", b"a") == one
    assert len({one, labels("St. Nowhere, Ward 4", b"a"), labels("St. Nowhere, Ward 3", b"b")}) == 3
    assert labels(one[0], b"b")[0] == one[0]
