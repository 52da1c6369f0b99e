"""The taxonomy against CID 12226 and against the vocabularies it claims to translate."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr import _cid_dict, _concepts_dict, _snomed_dict
from pydicom.sr.codedict import codes

from heart2heart.errors import UnknownNameError
from heart2heart.schema import views


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
def test_view_from_code_knows_the_codes_of_the_standard(name: str, concept: object) -> None:
    view = views.get_view(name)
    assert (view.code, view.scheme) == (getattr(concept, "value", None), getattr(concept, "scheme_designator", None))


def _standard() -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return the meaning and the SNOMED-RT code of every code of CID 12226, by scheme and value, as pydicom has it."""
    groups_of: Any = _cid_dict.cid_concepts
    concepts: Any = _concepts_dict.concepts
    codes = {}
    for scheme, names in groups_of[12226].items():
        for name in names:
            for code, (meaning, groups) in concepts[scheme][name].items():
                if 12226 in groups:
                    codes[scheme, code] = meaning, _snomed_dict.mapping["SCT"].get(code)
    return codes


WITHOUT_VIEW = {
    "130681": "Apical four chamber RV Focused", "130682": "Apical four chamber RV Modified",
    "399145009": "Suprasternal short axis", "443163004": "Suprasternal sagittal view",
    "443162009": "Suprasternal coronal view", "443100003": "Subcostal view of cardiac outlets directed anteriorly",
    "443640005": "Subcostal oblique coronal view", "443698002": "Transesophageal short axis view",
}  # fmt: skip
"""Of CID 12226, what no view of ours includes: an import leaves such clips without a label."""


def test_view_from_code_knows_every_code_of_the_standard() -> None:
    standard = _standard()
    assert len(standard) == 29
    none = {
        code: meaning for (scheme, code), (meaning, _) in standard.items() if views.view_from_code(code, scheme) is None
    }
    assert none == WITHOUT_VIEW
    words = {"PLAX": "parasternal long axis", "PSAX": "parasternal short axis", "A4C": "apical four chamber",
             "A2C": "apical two chamber", "A3C": "apical long axis", "SUBCOSTAL": "subcostal long axis",
             "SUBCOSTAL_SAX": "subcostal short axis", "SUPRASTERNAL": "suprasternal long axis", "RV_INFLOW": "inflow",
             "RV_OUTFLOW": "outflow"}  # fmt: skip
    for (scheme, code), (meaning, older) in standard.items():
        view = views.view_from_code(code, scheme)
        if view is not None:
            assert words[view] in meaning.casefold()
            assert older is not None
            assert views.view_from_code(older, "SRT") == view
    for known_view in views.VIEWS.values():
        if known_view.scheme == "SCT":
            assert standard[known_view.scheme, known_view.code][1] == known_view.older
            assert words[known_view.name] in known_view.title.casefold()


def test_view_from_code_ignores_other_schemes() -> None:
    assert views.view_from_code("A5C", "99HEART2HEART") == "A5C"
    for scheme in ("SCT", "99OTHER", ""):
        assert views.view_from_code("A5C", scheme) is None
    assert views.view_from_code("399214001", "99OTHER") is None
    assert views.view_from_code("399214001", "99HEART2HEART") is None


def test_views_have_unique_codes_and_names() -> None:
    for field in ("name", "code"):
        values = [getattr(view, field) for view in views.VIEWS.values()]
        assert len(set(values)) == len(values)


def test_view_from_code_knows_both_schemes_and_the_levels_of_psax() -> None:
    assert views.view_from_code("399214001") == views.view_from_code("G-A19C") == "A4C"
    assert views.view_from_code("399271003") == views.view_from_code("G-039B") == "PSAX"
    assert views.view_from_code("1") is None


def test_scored_views_are_in_the_order_of_the_benchmark() -> None:
    assert views.SCORED_VIEWS == ("PLAX", "PSAX", "A4C", "A2C")


@pytest.mark.parametrize("mapping", sorted(views.VOCABULARIES))
def test_vocabularies_lead_into_the_taxonomy(mapping: str) -> None:
    for word, view in views.VOCABULARIES[mapping].items():
        assert views.translate_label(f"  {word.upper()} ", mapping) == view
        assert view is None or view in views.VIEWS


@given(st.text())
def test_translate_label_refuses_unknown_labels(word: str) -> None:
    known = {key.casefold() for key in views.VOCABULARIES["unity"]}
    if " ".join(word.split()).casefold() in known:
        assert views.translate_label(word, "unity") in views.VIEWS
    else:
        with pytest.raises(UnknownNameError, match="unknown view label"):
            views.translate_label(word, "unity")


def test_get_view_lists_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown view 'X'"):
        views.get_view("X")
    with pytest.raises(UnknownNameError, match=r"unknown label vocabulary 'X'.*camus"):
        views.translate_label("a", "X")
