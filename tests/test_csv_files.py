"""CSV files in which no text is a formula, and no writer of CSV beside the one that sees to it."""

import ast
import csv
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.active_learning.queue_file import _write_csv
from heart2heart.api.prediction import ClipPrediction
from heart2heart.cli.output import format_predictions
from heart2heart.csv_files import CsvWriter, escape_formula, restore_formula
from heart2heart.schema.prediction_table import template
from tests.test_walls import PACKAGE

FORMULAS = ("=1+1", "@SUM(A1:A9)", "\t=1+1", "+cmd|' /C calc'!A0", "-2+3", "\uff1d1+1", "\r=1", "'=1+1")
SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.text("'=+-@\t\r\n\uff1dab1", max_size=5))
def test_restore_formula_undoes_escape_formula(text: str) -> None:
    escaped = escape_formula(text)
    assert restore_formula(escaped) == text
    assert escaped[:1] not in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def test_escape_formula_leaves_other_texts_alone() -> None:
    texts = ["", "A4C", "0.5", "'quoted'", "a=b", " =1"]
    assert list(map(escape_formula, texts)) == list(map(restore_formula, texts)) == texts
    assert escape_formula("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert escape_formula("'=1") == "''=1"


@given(
    st.lists(st.lists(st.text("'=+-@\t\r\n\uff1dab1.;,\"", max_size=5), min_size=1, max_size=3), max_size=3),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv_writer_writes_no_formula_and_every_text_comes_back(rows: list[list[str]], end: str) -> None:
    text = io.StringIO(newline="")
    CsvWriter(text, end).writerows(rows)
    written = cells(text.getvalue())
    assert [[restore_formula(cell) for cell in row] for row in written] == [
        row if row != [""] else [""] for row in rows
    ]
    for cell in (cell for row in written for cell in row):
        assert not cell.startswith(SIGNS) or re.fullmatch(r"[+-][\d.]+", cell)


def test_csv_writer_leaves_numbers_alone() -> None:
    text = io.StringIO()
    CsvWriter(text).writerow([-0.5, "-0.5", "+3", "-1e-9", "-1+1", "-inf", None, True])
    assert text.getvalue() == "-0.5,-0.5,+3,-1e-9,'-1+1,'-inf,,True\n"


@pytest.mark.parametrize("formula", FORMULAS)
def test_write_csv_of_a_queue_writes_no_formula(tmp_path: Path, formula: str) -> None:
    path = tmp_path / "queue.csv"
    _write_csv(pa.table({"clip": ["c"], formula: [formula], "score": [-0.5], "none": pa.nulls(1, pa.string())}), path)
    with path.open(encoding="utf-8", newline="") as handle:
        assert list(csv.reader(handle)) == [
            ["clip", f"'{formula}", "score", "none"], ["c", f"'{formula}", "-0.5", ""],
        ]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_format_predictions_writes_no_formula(formula: str) -> None:
    frame = SimpleNamespace(index=0, view=formula, probabilities=(1.0,))
    clip = SimpleNamespace(
        file=formula, view=formula, sentence="", classes=(formula,), probabilities=(1.0,), frames=(frame,)
    )
    written = cells(format_predictions([cast(ClipPrediction, clip)], "csv"))
    assert [cell for row in written for cell in row if cell.startswith(SIGNS)] == []
    assert written[0][-1] == written[1][2] == written[2][2] == f"'{formula}"


@pytest.mark.parametrize("formula", FORMULAS)
def test_template_writes_no_formula(formula: str) -> None:
    assert [cell for row in cells(template((formula, "other"))) for cell in row if cell.startswith(SIGNS)] == []


def _writers(tree: ast.AST) -> list[str]:
    calls: list[Any] = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in WRITERS]


WRITERS = {"writer", "DictWriter", "write_csv", "to_csv", "savetxt"}


def test_csv_writer_is_the_only_writer_of_csv() -> None:
    writers = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "pipelines").rglob("*.py")]):
        calls = [call for call in _writers(ast.parse(path.read_text(encoding="utf-8"))) if "store" not in call]
        if calls:
            writers[path.relative_to(PACKAGE.parent).as_posix()] = calls
    assert writers == {
        "heart2heart/csv_files.py": ["csv.writer"],
        "heart2heart/active_learning/queue_file.py": ["pyarrow.csv.write_csv"],
    }
