"""Files of counts: written with their hash, read again; what was edited or contradicts is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.evaluation.release import release_counts
from heart2heart.schema.counts import (
    MAX_FILE_BYTES,
    HospitalCounts,
    counts_sha256,
    parse_counts,
    read_counts,
    write_counts,
)
from heart2heart.utils import sha256_json
from tests.evaluation.factory import make_predictions
from tests.evaluation.test_release import OPEN


@pytest.fixture(scope="module")
def counts() -> HospitalCounts:
    return release_counts(make_predictions(hospitals=OPEN[1:2]))[0]


def changed(counts: HospitalCounts, path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return the content with one value changed and a hash that fits, as a forger would write it."""
    content: dict[str, Any] = counts.model_dump(mode="json")
    node: Any = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return content | {"sha256": sha256_json(content)}


def test_write_counts_and_read_counts_agree(counts: HospitalCounts, tmp_path: Path) -> None:
    write_counts(counts, tmp_path / "c.json")
    assert read_counts(tmp_path / "c.json") == counts
    assert json.loads((tmp_path / "c.json").read_text())["sha256"] == counts_sha256(counts)
    with pytest.raises(MissingInputError):
        read_counts(tmp_path / "d.json")


def test_read_counts_refuses_an_edit_another_version_and_a_large_file(counts: HospitalCounts, tmp_path: Path) -> None:
    write_counts(counts, tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text()
    (tmp_path / "c.json").write_text(text.replace('"held_out": true', '"held_out": false'))
    with pytest.raises(EvaluationError, match="changed after they were written"):
        read_counts(tmp_path / "c.json")
    (tmp_path / "c.json").write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(EvaluationError, match="another schema version"):
        read_counts(tmp_path / "c.json")
    (tmp_path / "c.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(EvaluationError, match="larger than"):
        read_counts(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("frames", "classes", 0, "patients"), 4, "a class of few patients is shown"),
        (("frames", "classes", 0, "patients"), 10**6, "more patients than rows"),
        (("frames", "classes", 0, "patients"), None, "hidden without a reason"),
        (("frames", "classes", 0, "hidden"), "few_patients", "shown with one"),
        (("frames", "runs", 0, "outcomes", 0, "correct"), 10**6, "more rows are right than there are"),
        (("frames", "runs", 0, "outcomes", 0, "correct"), 1, "confusion matrix does not fit its outcomes"),
        (("frames", "runs", 0, "confusion", 0, 1), 10**6, "confusion matrix does not fit its rows"),
        (("frames", "correlation", 0, 1), 1.5, "larger than 1"),
        (("frames", "correlation"), [], "another size"),
        (("frames", "runs"), [], "another number of classes or runs"),
        (("smallest_cell",), 2, "are hidden, not under 5"),
        (("patients",), ["SMITH"], "unknown key"),
    ],
)
def test_parse_counts_refuses_counts_that_contradict(
    counts: HospitalCounts, path: tuple[str | int, ...], value: Any, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        parse_counts(changed(counts, path, value), where="file")


def test_parse_counts_refuses_a_hidden_cell_that_follows_from_its_row(counts: HospitalCounts) -> None:
    row = list(counts.frames.runs[0].confusion[0])
    shown = [index for index, cell in enumerate(row) if index and cell is not None]
    row = [None if index == shown[0] else cell if cell is not None else 0 for index, cell in enumerate(row)]
    with pytest.raises(EvaluationError, match="a hidden cell follows from it"):
        parse_counts(changed(counts, ("frames", "runs", 0, "confusion", 0), row), where="file")


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_parse_counts_refuses_any_other_document(content: Any) -> None:
    with pytest.raises(EvaluationError):
        parse_counts(content, where="file")
