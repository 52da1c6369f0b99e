"""A list of pairs is read back as written; one that was edited, or is of another kind, is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import MissingInputError, SplitError
from heart2heart.schema.reviewed_pairs import ClearedPair, ReviewedPairs, SuspectedPairs
from heart2heart.utils import sha256_json

PAIR: dict[str, Any] = {
    "left": "c1:0000", "right": "c2:0000", "correlation": 0.9, "registered": True,
    "left_sha256": "a" * 64, "right_sha256": "b" * 64,
}  # fmt: skip
REVIEW = PAIR | {"reviewer": "Reader 1", "reason": "other valve", "reviewed": "2026-11-27T12:00:00+00:00"}


def written(path: Path) -> dict[str, Any]:
    ReviewedPairs(pairs=(ClearedPair(**REVIEW),)).write(path)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_read_returns_what_write_wrote(tmp_path: Path) -> None:
    written(tmp_path / "r.json")
    read = ReviewedPairs.read(tmp_path / "r.json")
    assert read.pairs == (ClearedPair(**REVIEW),)
    assert read.pairs[0].pixels == {"a" * 64, "b" * 64}


@pytest.mark.parametrize(("name", "value"), [("right", "c9:0000"), ("right_sha256", "c" * 64), ("reason", "because")])
def test_read_refuses_a_file_that_was_edited(tmp_path: Path, name: str, value: str) -> None:
    content = written(tmp_path / "r.json")
    content["pairs"][0][name] = value
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(SplitError, match="edited after it was written"):
        ReviewedPairs.read(tmp_path / "r.json")


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": [PAIR]},
        {"pairs": [REVIEW | {"reason": "  "}]},
        {"pairs": [REVIEW | {"left_sha256": "a"}]},
        {"more": 1},
    ],
)
def test_read_refuses_a_sealed_file_of_another_kind(tmp_path: Path, change: dict[str, Any]) -> None:
    content = written(tmp_path / "r.json") | change
    del content["sha256"]
    (tmp_path / "r.json").write_text(json.dumps(content | {"sha256": sha256_json(content)}))
    with pytest.raises(SplitError, match="no list of pairs of this kind"):
        ReviewedPairs.read(tmp_path / "r.json")


def test_read_refuses_what_is_not_there_or_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        SuspectedPairs.read(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(SplitError, match="no list of pairs"):
        SuspectedPairs.read(tmp_path / "list.json")
