"""Taxonomies: the packaged ones, what a file must not say, and how a fine label serves a coarse task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.schema.answer_keys import MNEMONIC, OTHER_ANSWERS
from heart2heart.schema.taxonomy import MAX_FILE_BYTES, Taxonomy, read_taxonomy, taxonomy_names
from heart2heart.schema.views import SCORED_VIEWS, VIEWS

USUAL = read_taxonomy("usual")


def taxonomy(**views: dict[str, Any]) -> Taxonomy:
    content = {name: {"title": name} | view for name, view in views.items()}
    return Taxonomy.parse({"name": "own", "views": content}, where="test")


def written(folder: Path, text: str) -> Path:
    path = folder / "views.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_taxonomy_basic_has_the_views_that_every_label_store_knows() -> None:
    basic = read_taxonomy()
    assert taxonomy_names() == ("basic", "usual")
    assert list(basic.views) == list(VIEWS)
    for name, view in VIEWS.items():
        assert basic.views[name].title == view.title
        assert basic.view(name) == view
        assert basic.views[name].key == MNEMONIC[name]
        assert basic.views[name].parent is None


def test_read_taxonomy_usual_extends_basic_and_defines_every_view() -> None:
    basic = read_taxonomy()
    assert list(USUAL.views)[: len(VIEWS)] == list(VIEWS)
    assert all(view.definition.endswith(".") and view.key for view in USUAL.views.values())
    assert all(USUAL.views[name] == basic.views[name] for name in VIEWS)
    levels = [name for name, view in USUAL.views.items() if view.parent == "PSAX"]
    assert levels == ["PSAX_AV", "PSAX_MV", "PSAX_PM", "PSAX_APEX"]


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("PSAX_AV", codes.cid12226.ParasternalShortAxisAtTheAorticValveLevel),
        ("PSAX_MV", codes.cid12226.ParasternalShortAxisAtTheMitralValveLevel),
        ("PSAX_PM", codes.cid12226.ParasternalShortAxisAtThePapillaryMuscleLevel),
        ("SUPRASTERNAL_ARCH", codes.cid12226.SuprasternalLongAxisViewOfAorticArch),
        ("SUPRASTERNAL_SAX", codes.cid12226.SuprasternalShortAxis),
        ("A4C_RV", codes.cid12226.ApicalFourChamberRVFocused),
        ("A4C", codes.cid12226.ApicalFourChamber),
    ],
)
def test_view_from_code_gives_the_finest_view(name: str, concept: Any) -> None:
    assert USUAL.view_from_code(concept.value, concept.scheme_designator) == name
    assert (USUAL.view(name).code, USUAL.view(name).scheme) == (concept.value, concept.scheme_designator)


def test_view_from_code_of_a_finer_level_is_the_coarse_view_in_basic() -> None:
    assert read_taxonomy().view_from_code("399239005", "SCT") == "PSAX"
    assert USUAL.view_from_code("TEE_BICAVAL", "99HEART2HEART") == "TEE_BICAVAL"
    assert taxonomy(A4C={}).view_from_code("399239005", "SCT") is None


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"A": {"parent": "B"}}, "the parent 'B' of A is not a view"),
        ({"A": {"parent": "A"}}, "A is above itself"),
        ({"A": {"parent": "B"}, "B": {"parent": "C"}, "C": {"parent": "B"}}, "cycle"),
        ({"A": {"key": "4"}, "B": {"key": "4"}}, "A and B have one key: '4'"),
        ({"A": {"key": "4"}, "B": {"key": "4b"}}, "'4' of A begins '4b' of B"),
        ({"A": {"key": "x"}}, "have one key: 'x'"),
        ({"A": {"key": "z"}}, "key of an action"),
        ({"A": {"words": ["4CH"]}, "B": {"words": ["4ch"]}}, "one word has two meanings: '4ch' is A and B"),
        ({"A": {}, "B": {"words": ["a"]}}, "one word has two meanings"),
        ({"A": {"words": ["--"]}}, "'--' of A is no word"),
        ({"A": {"code": {"scheme": "SCT", "value": "1"}}, "B": {"code": {"scheme": "SCT", "value": "1"}}}, "one code"),
        ({"a4c": {}}, "no name of a view"),
        ({"UNSURE": {}}, "answer that is no view"),
        ({"A": {"colour": "red"}}, "unknown key"),
        ({}, "at least 1"),
    ],
    ids=["parent", "self", "cycle", "key", "prefix", "other answer", "action", "word", "name as word", "no word",
         "code", "name", "answer", "field", "empty"],
)  # fmt: skip
def test_taxonomy_refuses(views: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        taxonomy(**views)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: own\nviews:\n  A: {title: a}\n  A: {title: b}\n", r"have the name A \(line 4\)"),
        ("name: own\nextends: usual\nviews:\n  A4C: {title: a}\n", "A4C is a view of usual already"),
        ("name: own\nviews: [A4C]\n", "a name and views"),
        ("name: own\nviews: {A: {title: [}}\n", "YAML"),
        ("name: own\nviews: {A: {title: a, title: b}}\n", "have the name title"),
        ("#" * (MAX_FILE_BYTES + 1), "too large"),
    ],
    ids=["twice", "in base", "list", "yaml", "field twice", "large"],
)
def test_read_taxonomy_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_taxonomy(written(tmp_path, text))


def test_read_taxonomy_names_the_packaged_ones(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        read_taxonomy("fine")
    assert "basic, usual" in str(caught.value.remedy)
    with pytest.raises(MissingInputError):
        read_taxonomy(written(tmp_path, "name: own\nextends: ../basic\nviews: {}\n"))


def test_serve_counts_a_fine_label_as_its_parent() -> None:
    served = {view: USUAL.serve(view, SCORED_VIEWS) for view in USUAL.views}
    assert {view for view, name in served.items() if name == "PSAX"} == {"PSAX", "PSAX_AV", "PSAX_MV", "PSAX_PM",
                                                                        "PSAX_APEX"}  # fmt: skip
    assert (served["A4C_RV"], served["A3C"], served["SUBCOSTAL_IVC"]) == ("A4C", "A3C", "SUBCOSTAL")
    assert {served[view] for view in USUAL.views if view.startswith(("TEE", "ZOOM"))} == {"OTHER"}
    assert {served[view] for view in VIEWS} == set(VIEWS)


def test_serve_says_nothing_where_only_the_coarse_view_is_known() -> None:
    classes = ["PLAX", "PSAX_AV", "PSAX_MV"]
    assert [USUAL.serve(view, classes) for view in ("PSAX", "PSAX_AV", "PSAX_PM", "A4C")] == [
        None, "PSAX_AV", "PSAX", "A4C",
    ]  # fmt: skip
    with pytest.raises(UnknownNameError):
        USUAL.serve("A9C", classes)


def test_check_task_refuses_a_class_within_a_class() -> None:
    USUAL.check_task(["PSAX_AV", "PSAX_MV"])
    with pytest.raises(ConfigError, match="PSAX_AV is a part of PSAX"):
        USUAL.check_task(["PSAX", "PSAX_AV"])
    with pytest.raises(UnknownNameError):
        read_taxonomy().check_task(["PSAX_AV"])


@pytest.mark.parametrize(
    ("word", "view"),
    [("PSAX-AV", "PSAX_AV"), ("psax_av", "PSAX_AV"), ("Subcostal Four-Chamber", "SUBCOSTAL_4C"),
     ("VCI", "SUBCOSTAL_IVC"), ("heart", None)],
)  # fmt: skip
def test_translate_knows_names_and_words(word: str, view: str | None) -> None:
    assert USUAL.translate(word) == view


@given(st.dictionaries(st.sampled_from("ABCDEFGH"), st.sampled_from([*"ABCDEFGH", None]), min_size=1))
def test_taxonomy_takes_every_forest_and_nothing_else(parents: dict[str, str | None]) -> None:
    def has_root(name: str | None) -> bool:
        passed: set[str] = set()
        while name is not None:
            if name in passed or name not in parents:
                return False
            passed.add(name)
            name = parents[name]
        return True

    views = {name: {"parent": parent} for name, parent in parents.items()}
    if not all(map(has_root, parents)):
        with pytest.raises(ConfigError):
            taxonomy(**views)
        return
    forest = taxonomy(**views)
    tree = forest.tree()
    assert sorted(name for _, name in tree) == sorted(parents)
    assert all(depth == len(forest.lineage(name)) - 1 for depth, name in tree)


def test_taxonomy_has_one_hash_for_one_content(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(USUAL.model_dump(mode="json"), sort_keys=False))
    assert read_taxonomy(path).digest() == USUAL.digest() != read_taxonomy().digest()
    assert not OTHER_ANSWERS.keys() & {name.casefold() for name in USUAL.views}
