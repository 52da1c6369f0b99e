"""Descriptions keep words of echocardiography, and nothing that could name anybody."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.deidentify.descriptions import DESCRIPTIONS, clean_description, name_words, write_descriptions


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("DOE^JANE 19431122 Apical 4 Chamber", "apical 4 chamber"),
        ("Stress echo, Dr Morvosula", "stress echo"),
        ("PLAX color Doppler mitral valve", "plax color doppler mitral valve"),
        ("Dr Long and Mrs Short", ""),
        ("apical long axis of Mr Long", "apical long axis"),
        ("Stressmann, Adulte, Echos", ""),
        ("2D/Doppler\nadult", "2d doppler adult"),
        ("MRN 4711471", ""),
        ("", ""),
    ],
)
def test_clean_description_keeps_terms_only(written: str, kept: str) -> None:
    assert clean_description(written) == kept


@given(st.text(max_size=200))
def test_clean_description_of_any_text_is_short_and_holds_no_number(written: str) -> None:
    cleaned = clean_description(written)
    assert len(cleaned) <= 64
    assert not re.search(r"\d{2}", cleaned)
    assert set(cleaned.split()) <= set(written.casefold().split()) or cleaned in " ".join(
        re.findall(r"[\w-]+", written.casefold())
    )
    assert clean_description(cleaned) == cleaned


def test_clean_description_drops_terms_that_are_names_in_the_header() -> None:
    header = Dataset()
    header.PatientName, header.OperatorsName, header.InstitutionalDepartmentName = "Stress^Anna", "Peak", "Echo Lab"
    names = name_words(header)
    assert names == {"stress", "anna", "peak"}
    assert clean_description("Stress echo peak, adult", names) == "echo adult"


def test_write_descriptions_leaves_out_what_holds_no_term() -> None:
    header, target = Dataset(), Dataset()
    header.StudyDescription, header.SeriesDescription = "TTE Jane Doe", "Jane Doe"
    header.ProtocolName, header.ImageComments = "Adult Echo", "Adult Echo"
    write_descriptions(header, target)
    assert {element.keyword: element.value for element in target} == {
        "StudyDescription": "tte",
        "ProtocolName": "adult echo",
    }
    assert {element.keyword for element in target} <= set(DESCRIPTIONS)
