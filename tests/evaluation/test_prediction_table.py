"""The checker of a table of predictions names row, column and remedy of every fault; no table breaks it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.prediction_table import MAX_FAULTS, PredictionTable, check_table
from heart2heart.schema.prediction_table import template

HEADER = ["case", "patient", "site", "truth", "normal", "pneumonia"]
ROWS: list[list[Any]] = [
    ["c1", "p1", "Lyon", "normal", 0.7, 0.3],
    ["c2", "p1", "Lyon", "pneumonia", 0.2, 0.8],
    ["c3", "p2", "Lyon", "normal", 0.6, 0.4],
]


def write(path: Path, rows: list[list[Any]], header: list[str] | None = None) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header or HEADER, *rows])
    return path


def changed(row: int, column: str, value: object) -> list[list[Any]]:
    rows = [list(cells) for cells in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


def outcome(path: Path) -> list[str | None]:
    """Return the remedies of the error or of the faults."""
    try:
        return [fault.remedy for fault in check_table(path).faults]
    except EvaluationError as error:
        return [error.remedy]


def faults(table: PredictionTable) -> list[tuple[int | None, str]]:
    return [(fault.row, fault.column) for fault in table.faults]


def test_check_table_reads_classes_texts_and_probabilities(tmp_path: Path) -> None:
    table = check_table(write(tmp_path / "t.csv", ROWS))
    table.require_valid()
    assert table.classes == ("normal", "pneumonia")
    assert table.sites == ["Lyon"]
    assert table.texts["patient"] == ["p1", "p1", "p2"]
    np.testing.assert_array_equal(table.probabilities, [[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])
    assert table.warnings == ()


@pytest.mark.parametrize(
    ("row", "column", "value", "where", "what"),
    [
        (0, "case", "c2", (3, "case"), "this case is in row 2 too"),
        (0, "case", "", (2, "case"), "empty"),
        (0, "case", "example-1", (2, "case"), "example of the template"),
        (1, "patient", " ", (3, "patient"), "empty"),
        (2, "site", "", (4, "site"), "empty"),
        (1, "truth", "Pneumonia", (3, "truth"), "this class has no column"),
        (1, "truth", "", (3, "truth"), "empty"),
        (2, "normal", "", (4, "normal"), "empty"),
        (2, "normal", "high", (4, "normal"), "this text is no number"),
        (2, "normal", "nan", (4, "normal"), "NaN"),
        (2, "normal", "inf", (4, "normal"), "inf is no probability"),
        (2, "normal", -0.1, (4, "normal"), "-0.1 is no probability"),
        (2, "normal", 3, (4, "normal"), "3 is no probability"),
        (2, "normal", 0.5, (4, ""), "sum to 0.9"),
        (2, "patient", "p" * 300, (4, "patient"), "longer than 200"),
        (2, "patient", "p\x07", (4, "patient"), "control characters"),
    ],
)
def test_check_table_names_row_and_column(
    tmp_path: Path, row: int, column: str, value: object, where: tuple[int, str], what: str
) -> None:
    table = check_table(write(tmp_path / "t.csv", changed(row, column, value)))
    assert faults(table) == [where]
    assert what in table.faults[0].what
    assert table.faults[0].remedy
    with pytest.raises(EvaluationError, match=r"this table has 1 fault: .*t\.csv"):
        table.require_valid()


@pytest.mark.parametrize(
    ("header", "column", "what"),
    [
        (["case", "patient", "site", "label", "a", "b"], "truth", "missing"),
        (["case", "patient", "site", "truth", "a", "a"], "a", "two columns"),
        (["case", "patient", "site", "truth", "a", ""], "number 6", "no name"),
        (["case", "patient", "site", "truth", "maker", "a"], "", "1 columns of probabilities"),
    ],
)
def test_check_table_checks_the_header(tmp_path: Path, header: list[str], column: str, what: str) -> None:
    table = check_table(write(tmp_path / "t.csv", ROWS, header))
    assert (None, column) in faults(table)
    assert any(what in fault.what for fault in table.faults)


def test_check_table_refuses_a_truth_that_was_copied(tmp_path: Path) -> None:
    copied = [[*row[:4], float(row[3] == "normal"), float(row[3] == "pneumonia")] for row in ROWS]
    assert "the truth was copied" in check_table(write(tmp_path / "t.csv", copied)).faults[0].what
    copied[0][4:] = [0.0, 1.0]  # decisions, of which one is wrong, are no copy
    assert not check_table(write(tmp_path / "u.csv", copied)).faults


def test_check_table_allows_rounded_probabilities_and_no_more(tmp_path: Path) -> None:
    rounded = [["c1", "p1", "Lyon", "normal", 0.66, 0.33], ["c2", "p2", "Lyon", "pneumonia", 0.5, 0.51]]
    assert not check_table(write(tmp_path / "t.csv", rounded)).faults
    rounded[0][5] = 0.32
    assert faults(check_table(write(tmp_path / "u.csv", rounded))) == [(2, "")]


def test_check_table_checks_the_optional_columns(tmp_path: Path) -> None:
    header = [*HEADER, "clip", "study", "sex", "age", "maker"]
    rows = [[*row, f"clip{index}", row[1], "F", 44, ""] for index, row in enumerate(ROWS)]
    assert not check_table(write(tmp_path / "t.csv", rows, header)).faults
    rows[2][6:10] = ["clip0", "", "male", "old"]
    table = check_table(write(tmp_path / "u.csv", rows, header))
    assert set(faults(table)) == {(4, "clip"), (4, "study"), (4, "sex"), (4, "age")}
    assert "another patient" in next(fault.what for fault in table.faults if fault.column == "clip")


def test_check_table_warns_of_what_is_not_estimable(tmp_path: Path) -> None:
    rows = [*ROWS, ["c9", "p9", "Nice", "normal", 0.9, 0.1]]
    assert check_table(write(tmp_path / "t.csv", rows)).warnings == (
        "Nice: no case of pneumonia; its accuracy is not estimable there",
        "Nice: one patient only; no interval can be estimated",
    )


def test_check_table_never_repeats_a_cell(tmp_path: Path) -> None:
    swapped = [["c1", "p1", "Lyon", "DOE^JOHN", "DOE^JOHN", 0.5, "DOE^JOHN", "DOE^JOHN"]]
    table = check_table(write(tmp_path / "t.csv", swapped, [*HEADER, "sex", "age"]))
    assert {fault.column for fault in table.faults} == {"truth", "normal", "sex", "age"}
    with pytest.raises(EvaluationError) as raised:
        table.require_valid()
    assert "DOE" not in str(raised.value)


def test_check_table_counts_the_faults_that_it_does_not_list(tmp_path: Path) -> None:
    rows = [[f"c{index}", "p", "Lyon", "?", 0.5, 0.5] for index in range(MAX_FAULTS + 7)]
    table = check_table(write(tmp_path / "t.csv", rows))
    assert (len(table.faults), table.number_of_faults) == (MAX_FAULTS, MAX_FAULTS + 7)
    with pytest.raises(EvaluationError, match="and 7 more"):
        table.require_valid()


def test_check_table_refuses_the_unfilled_template(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(template(["a", "b", "c"]))
    assert faults(check_table(tmp_path / "t.csv")) == [(2, "case"), (3, "case"), (4, "case")]
    (tmp_path / "t.csv").write_text(template(["a", "b", "c"]).replace("example-", "case "))
    assert not check_table(tmp_path / "t.csv").faults


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Draw a table without faults, with random names and probabilities."""
    classes = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    patients = draw(st.lists(st.tuples(names, names), min_size=1, max_size=20, unique_by=lambda pair: pair[0]))
    rows = []
    for case, patient in patients:
        weights = np.array([draw(st.floats(0.01, 1)) for _ in classes])
        probabilities = [repr(float(value)) for value in weights / weights.sum()]
        rows.append([f"x{case}", patient, draw(names), draw(st.sampled_from(classes)), *probabilities])
    return [["case", "patient", "site", "truth", *classes], *rows]


@given(content=tables())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_check_table_accepts_every_table_without_a_fault(tmp_path: Path, content: list[list[str]]) -> None:
    reserved = {"case", "patient", "site", "truth", "clip", "study", "maker", "sex", "age"}
    if reserved & set(content[0][4:]):
        return
    table = check_table(write(tmp_path / "t.csv", content[1:], content[0]))
    assert [str(fault) for fault in table.faults] == []
    assert table.classes == tuple(content[0][4:])
    assert table.texts["case"] == [row[0] for row in content[1:]]
    np.testing.assert_allclose(table.probabilities.sum(1), 1)


@given(content=st.binary(max_size=300))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_check_table_ends_in_faults_or_an_error_for_any_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    remedies = outcome(tmp_path / "t.csv")
    assert remedies
    assert all(remedies)


@given(rows=st.lists(st.lists(st.text(max_size=8), min_size=6, max_size=6), max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_check_table_reads_any_cells(tmp_path: Path, rows: list[list[str]]) -> None:
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([HEADER, *rows])
    assert all(outcome(tmp_path / "t.csv"))
