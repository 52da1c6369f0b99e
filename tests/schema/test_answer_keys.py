"""Layouts of keys: what can be typed, and the file that keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.answer_keys import (
    ACTION_KEYS,
    FORMER,
    MNEMONIC,
    OTHER_ANSWERS,
    KeyLayout,
    check_keys,
    complete_keys,
    keys_path,
    read_key_layouts,
    write_key_layout,
)
from heart2heart.schema.views import VIEWS


@pytest.mark.parametrize("layout", [MNEMONIC, FORMER], ids=["mnemonic", "former"])
def test_key_layout_takes_the_shipped_layouts(layout: dict[str, str]) -> None:
    assert KeyLayout(keys=dict(layout)).keys == layout
    assert layout.keys() == {*VIEWS, *OTHER_ANSWERS}


def test_mnemonic_names_the_apical_views_by_their_chambers() -> None:
    assert [MNEMONIC[f"A{number}C"] for number in "2345"] == ["2", "3", "4", "5"]
    assert (MNEMONIC["PLAX"], MNEMONIC["PSAX"]) == ("l", "s")
    assert (FORMER["A2C"], FORMER["A3C"]) == ("3", "5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A4C": "l"}, "A4C and PLAX have one key: 'l'"),
        ({"A4C": "L"}, "A4C and PLAX have one key"),
        ({"A4C": "b"}, "'b' of A4C begins 'bl' of SUBCOSTAL"),
        ({"A4C": "z"}, "key of an action: 'z'"),
        ({"A4C": "zz"}, "key of an action"),
        ({"A4C": ""}, "one or two letters or digits"),
        ({"A4C": "abc"}, "one or two letters or digits"),
        ({"A4C": "ä"}, "one or two letters or digits"),
        ({"A9C": "9"}, "no such answer: A9C"),
    ],
    ids=["twice", "twice in capitals", "beginning", "action", "action in two", "empty", "three", "umlaut", "unknown"],
)
def test_key_layout_refuses(change: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        KeyLayout.parse({"keys": dict(MNEMONIC) | change}, where="test")


def test_key_layout_needs_a_key_for_each_answer() -> None:
    with pytest.raises(ConfigError, match="A4C has no key"):
        KeyLayout.parse({"keys": {answer: key for answer, key in MNEMONIC.items() if answer != "A4C"}}, where="test")


@given(st.lists(st.text("abdefgh12", min_size=1, max_size=2), min_size=len(MNEMONIC), max_size=len(MNEMONIC)))
def test_key_layout_is_always_one_that_can_be_typed(keys: list[str]) -> None:
    layout = dict(zip(MNEMONIC, keys, strict=True))
    can_be_typed = len(set(keys)) == len(keys) and not any(
        one != other and other.startswith(one) for one in keys for other in keys
    )
    if can_be_typed:
        assert KeyLayout.parse({"keys": layout}, where="test").keys == layout
        assert not ACTION_KEYS.intersection("".join(keys))
    else:
        with pytest.raises(ConfigError):
            KeyLayout.parse({"keys": layout}, where="test")


def test_read_key_layouts_returns_what_was_written(tmp_path: Path) -> None:
    path = keys_path(tmp_path / "labels.db")
    assert read_key_layouts(path) == {}
    write_key_layout(path, "Reader 1", KeyLayout(keys=dict(FORMER)))
    write_key_layout(path, "Reader 2", KeyLayout(keys=dict(MNEMONIC)))
    assert {rater: layout.keys["A2C"] for rater, layout in read_key_layouts(path).items()} == {
        "Reader 1": "3",
        "Reader 2": "2",
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_read_key_layouts_keeps_answers_of_other_taxonomies(tmp_path: Path) -> None:
    path = keys_path(tmp_path / "labels.db")
    path.write_text('{"raters": {"Reader 1": {"keys": {"A4C": "q", "PSAX_AV": "w"}}}}', encoding="utf-8")
    assert read_key_layouts(path)["Reader 1"].keys == {"A4C": "q", "PSAX_AV": "w"}


def test_of_answers_needs_a_key_for_each_answer_of_the_taxonomy() -> None:
    keys = {"A4C": "4", "PSAX_AV": "p"}
    assert KeyLayout.of_answers({"keys": keys}, keys).keys == keys
    for answers, message in ((["A4C"], "no such answer: PSAX_AV"), ([*keys, "A2C"], "A2C has no key")):
        with pytest.raises(ConfigError, match=message):
            KeyLayout.of_answers({"keys": keys}, answers)


@given(
    st.dictionaries(st.sampled_from([f"V{index}" for index in range(40)]), st.text("abde12", min_size=1, max_size=2)),
    st.integers(1, 60),
)
def test_complete_keys_gives_every_answer_a_key_that_can_be_typed(drawn: dict[str, str], count: int) -> None:
    answers = [f"V{index}" for index in range(count)]
    chosen: dict[str, str] = {}
    for answer, key in drawn.items():
        if not any(key.startswith(other) or other.startswith(key) for other in chosen.values()):
            chosen[answer] = key
    keys = complete_keys(chosen, dict.fromkeys(answers))
    assert list(keys) == answers
    assert all(keys[answer] == chosen[answer] for answer in answers if answer in chosen)
    check_keys(keys)


@pytest.mark.parametrize("content", ["{", "[]", '{"raters": {"a": {"keys": {"A4C": "zz"}}}}', '{"schema_version": 9}'])
def test_read_key_layouts_names_a_damaged_file(tmp_path: Path, content: str) -> None:
    path = keys_path(tmp_path / "labels.db")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=r"labels\.db\.keys\.json"):
        read_key_layouts(path)
    with pytest.raises(StoreError):
        write_key_layout(path, "Reader 1", KeyLayout(keys=dict(MNEMONIC)))
    assert path.read_text(encoding="utf-8") == content
