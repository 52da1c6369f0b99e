"""The taxonomy against CID 12226 and against the vocabularies it claims to translate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from heart2heart import views
from heart2heart.errors import UnknownNameError


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("A4C", codes.cid12226.ApicalFourChamber),
        ("A2C", codes.cid12226.ApicalTwoChamber),
        ("A3C", codes.cid12226.ApicalLongAxis),
        ("PLAX", codes.cid12226.ParasternalLongAxis),
        ("PSAX", codes.cid12226.ParasternalShortAxis),
        ("RV_INFLOW", codes.cid12226.RightVentricularInflowTractView),
        ("RV_OUTFLOW", codes.cid12226.RightVentricularOutflowTractView),
        ("SUBCOSTAL", codes.cid12226.SubcostalLongAxis),
        ("SUBCOSTAL_SAX", codes.cid12226.SubcostalShortAxis),
        ("SUPRASTERNAL", codes.cid12226.SuprasternalLongAxis),
    ],
)
def test_codes_are_those_of_the_standard(name: str, concept: object) -> None:
    view = views.get_view(name)
    assert (view.code, view.scheme) == (getattr(concept, "value", None), getattr(concept, "scheme_designator", None))


def test_codes_names_and_keys_are_unique() -> None:
    for field in ("name", "code", "key"):
        values = [getattr(view, field) for view in views.VIEWS.values()]
        assert len(set(values)) == len(values)


def test_from_code_knows_both_schemes_and_the_levels_of_psax() -> None:
    assert views.from_code("399214001") == views.from_code("G-A19C") == "A4C"
    assert views.from_code("399271003") == views.from_code("G-039B") == "PSAX"
    assert views.from_code("1") is None


def test_benchmark_order() -> None:
    assert views.SCORED == ("PLAX", "PSAX", "A4C", "A2C")


@pytest.mark.parametrize("mapping", sorted(views.MAPPINGS))
def test_every_vocabulary_leads_into_the_taxonomy(mapping: str) -> None:
    for word, view in views.MAPPINGS[mapping].items():
        assert views.translate(f"  {word.upper()} ", mapping) == view
        assert view is None or view in views.VIEWS


@given(st.text())
def test_unknown_words_are_refused_never_guessed(word: str) -> None:
    known = {key.casefold() for key in views.MAPPINGS["unity"]}
    if " ".join(word.split()).casefold() in known:
        assert views.translate(word, "unity") in views.VIEWS
    else:
        with pytest.raises(UnknownNameError, match="unknown view label"):
            views.translate(word, "unity")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match="unknown view 'X'"):
        views.get_view("X")
    with pytest.raises(UnknownNameError, match=r"unknown label vocabulary 'X'.*camus"):
        views.translate("a", "X")
