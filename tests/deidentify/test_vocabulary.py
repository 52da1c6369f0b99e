"""What says that a file shows no heart, in which order, and that no word of it is kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.deidentify.clip import load_clip
from heart2heart.deidentify.header import technical_dataset
from heart2heart.deidentify.vocabulary import is_not_cardiac
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write


def header(**tags: Any) -> Dataset:
    dataset = Dataset()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def region(code: str, meaning: str) -> list[Dataset]:
    return [header(CodeValue=code, CodeMeaning=meaning)]


@pytest.mark.parametrize(
    ("tags", "elsewhere"),
    [
        ({}, False),
        ({"BodyPartExamined": "HEART"}, False),
        ({"BodyPartExamined": "CHEST"}, False),
        ({"BodyPartExamined": "ABDOMEN"}, True),
        ({"AnatomicRegionSequence": region("80891009", "")}, False),
        ({"AnatomicRegionSequence": region("T-32000", "")}, False),
        ({"AnatomicRegionSequence": region("64033007", "Kidney")}, True),
        (
            {"AnatomicRegionSequence": region("51185008", "Thorax"), "StudyDescription": "Carotids duplex, carotid"},
            True,
        ),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "EPICARDIAL", "0001"], "StudyDescription": "US KIDNEY"}, False),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "OBSTETRICAL"]}, True),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "FETAL HEART"]}, True),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]}, True),
        ({"ImageType": ["ORIGINAL", "PRIMARY"]}, False),
        ({"ProcessingFunction": "CARD_ADULT_GEN_CV"}, False),
        ({"ProcessingFunction": "OB_GENERAL"}, True),
        ({"ProcessingFunction": "SM_PRTS_ADV_BREAST", "StudyDescription": "Echocardiogram"}, True),
        ({"ProcessingFunction": ["VASC_CAROTID", "Cardiac"]}, False),
        ({"SeriesDescription": "Transesophageal Echocardiogram"}, False),
        ({"ProtocolName": "Free Form", "StudyDescription": "US KIDNEY"}, True),
        ({"StudyDescription": "ECHO ABDOMINALE"}, True),
        ({"StudyDescription": "Echo transthoracic, cardiovascular lab"}, False),
        ({"StudyDescription": "Echo"}, False),
        ({"StudyDescription": "Heartland clinic, neckarsulm"}, False),
        ({"TransducerData": ["L12_5", "", ""]}, True),
        ({"TransducerData": ["9L-D"]}, True),
        ({"TransducerData": ["S5_1"]}, False),
        ({"TransducerData": ["C5-1"], "TransducerType": "CURVED LINEAR"}, False),
        ({"TransducerType": "LINEAR"}, True),
        ({"TransducerType": "LINEAR", "StudyDescription": "TTE adult"}, False),
    ],
)
def test_is_not_cardiac_by_header(tags: dict[str, Any], elsewhere: bool) -> None:
    assert is_not_cardiac(header(**tags)) is elsewhere


@given(st.text(max_size=40), st.text(max_size=16))
def test_is_not_cardiac_of_any_text(one: str, other: str) -> None:
    dataset = header(StudyDescription=one, ProcessingFunction=other)
    assert is_not_cardiac(dataset) in (True, False)
    assert is_not_cardiac(header(StudyDescription=f"cardiac {one}")) in (True, False)


def test_is_not_cardiac_alone_leaves_the_header(tmp_path: Path) -> None:
    tags = {"StudyDescription": "US KIDNEY of somebody", "ProtocolName": "Renal, somebody"}
    path = write(tmp_path / "a", speckle_frames(2), **tags)
    clip = load_clip(path, geometry=Geometry("tmed2", 32))
    assert "not_a_heart_preset" in clip.facts.flags
    assert clip.facts.mode == "b_mode"
    assert "KIDNEY" not in repr(clip.facts)
    assert "somebody" not in str(technical_dataset(header(**tags)))
