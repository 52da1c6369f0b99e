"""The flags rule as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.schema.flags_rule import (
    MAX_RULE_BYTES,
    ClipUse,
    FlagsRule,
    flags_rule_names,
    read_flags_rule,
    usual_rule,
)
from heart2heart.schema.status import ClipFlag

DOUBTFUL = {ClipFlag.NOT_A_HEART_PRESET, ClipFlag.SPLIT_SCREEN, ClipFlag.NO_SECTOR, ClipFlag.TEXT_SUSPECTED}


def test_read_flags_rule_finds_the_packaged_rules() -> None:
    assert flags_rule_names() == ("strict", "usual")
    assert read_flags_rule() == read_flags_rule("usual") == usual_rule()
    assert {use: set(read_flags_rule("strict").flags(use)) for use in ClipUse} == dict.fromkeys(ClipUse, DOUBTFUL)


def test_usual_rule_keeps_nothing_from_splits() -> None:
    # A split that records no rule was made under this one, so that its members never change.
    assert not usual_rule().keeps_from_splits()
    assert usual_rule().flags(ClipUse.LABEL) == (ClipFlag.NOT_A_HEART_PRESET,)


def test_read_flags_rule_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ntrain: [salvaged]\n")
    rule = read_flags_rule(path)
    assert [rule.flags(use) for use in ClipUse] == [(), (), (ClipFlag.SALVAGED,), ()]
    assert rule.keeps_from_splits()
    assert f"training without salvaged (hash {rule.digest()[:16]})" in rule.sentence()
    assert rule.digest() != FlagsRule(name="own").digest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: own\ntrain: [no_heart]\n", "train.0"),
        ("name: own\nteach: [salvaged]\n", "teach: unknown key"),
        ("name: Own rule\n", "name"),
        ("- a\n", "mapping"),
        ("name: [\n", "YAML"),
        ("#" * (MAX_RULE_BYTES + 1), "too large"),
    ],
    ids=["flag", "use", "name", "list", "yaml", "large"],
)
def test_read_flags_rule_refuses_what_is_no_rule(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_flags_rule(path)


def test_read_flags_rule_lists_the_packaged_names() -> None:
    with pytest.raises(MissingInputError) as caught:
        read_flags_rule("lenient")
    assert "strict, usual" in str(caught.value.remedy)
