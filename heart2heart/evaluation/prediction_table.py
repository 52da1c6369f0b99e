"""Checks a table of predictions of any model.

Every fault has its row, its column and a remedy, and never the text of a cell, which may name a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.table_file import TextTable, read_text_table
from heart2heart.schema.prediction_table import (
    EXAMPLE,
    MAX_CLASSES,
    MAX_TEXT,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SEXES,
    SUM_TOLERANCE,
)

MAX_FAULTS = 20
"""Faults that are listed; the others are counted."""


@dataclass(frozen=True)
class TableFault:
    """One fault of a table.

    Attributes:
        row: Number of the row, as an editor of the file counts; None: the whole table.
        column: Name of the column; empty: the whole row.
        what: What is wrong.
        remedy: What to do.
    """

    row: int | None
    column: str
    what: str
    remedy: str

    def __str__(self) -> str:
        """Return the fault in one line."""
        parts = [
            *([] if self.row is None else [f"row {self.row}"]),
            *([f"column {self.column}"] if self.column else []),
        ]
        where = f"{', '.join(parts)}: " if parts else ""
        return f"{where}{self.what}. {self.remedy}"


@dataclass
class _Faults:
    """Faults in order of finding; those beyond `MAX_FAULTS` are only counted."""

    listed: list[TableFault] = field(default_factory=list)
    total: int = 0

    def add(self, row: int | None, column: str, what: str, remedy: str) -> None:
        """Record a fault."""
        self.total += 1
        if len(self.listed) < MAX_FAULTS:
            self.listed.append(TableFault(row, column, what, remedy))


@dataclass(frozen=True)
class PredictionTable:
    """A checked table.

    Attributes:
        path: The file.
        classes: Names of the classes, in the order of their columns.
        texts: Cells of the other columns `(n,)` by name.
        probabilities: float64 `(n, classes)`; NaN where a cell is no number.
        faults: What must be mended, at most `MAX_FAULTS`, in order.
        number_of_faults: All of them.
        warnings: What a reader should know.
    """

    path: Path
    classes: tuple[str, ...]
    texts: dict[str, list[str]]
    probabilities: npt.NDArray[np.float64]
    faults: tuple[TableFault, ...]
    number_of_faults: int
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.probabilities)

    @property
    def sites(self) -> list[str]:
        """The hospitals, sorted."""
        return sorted(set(self.texts["site"]))

    def require_valid(self) -> None:
        """Raise EvaluationError with the faults, if there are any."""
        if not self.number_of_faults:
            return
        more = self.number_of_faults - len(self.faults)
        lines = [f"  {fault}" for fault in self.faults] + ([f"  and {more} more"] if more else [])
        noun = "fault" if self.number_of_faults == 1 else "faults"
        what = f"this table has {self.number_of_faults} {noun}"
        raise EvaluationError(what, where=self.path, remedy="\n" + "\n".join(lines))


def check_table(path: Path) -> PredictionTable:
    r"""Read and check a table of predictions.

    Args:
        path: CSV or Parquet, with the columns of `schema.prediction_table`.

    Returns:
        The table with its faults and warnings; `require_valid` refuses a table with faults.

    Raises:
        MissingInputError: no such file.
        EvaluationError: not a table, or too large to read.

    Examples:
        >>> rows = "case,patient,site,truth,a,b\n1,p1,E,a,0.7,0.1\n2,p2,E,c,0.5,0.5\n"
        >>> _ = Path("table.csv").write_text(rows)
        >>> [(fault.row, fault.column, fault.what) for fault in check_table(Path("table.csv")).faults]
        [(3, 'truth', 'this class has no column'), (2, '', 'the probabilities sum to 0.8')]
    """
    table = read_text_table(path)
    faults = _Faults()
    classes = _check_header(table, faults)
    if faults.total:
        return PredictionTable(path, classes, {}, np.empty((0, len(classes))), tuple(faults.listed), faults.total, ())
    cells = dict(zip(table.header, table.columns, strict=True))
    texts = {name: cells[name] for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in cells}
    if not len(table):
        faults.add(None, "", "the table has no row", "Add one row a case")
    _check_texts(texts, classes, table.row_numbers, faults)
    probabilities = np.stack([_numbers(cells[name], name, table.row_numbers, faults) for name in classes], axis=1)
    _check_probabilities(probabilities, classes, table.row_numbers, faults)
    warnings: tuple[str, ...] = ()
    if not faults.total:
        _check_copied_truth(texts["truth"], probabilities, classes, faults)
        warnings = tuple(_warnings(texts, classes))
    return PredictionTable(path, classes, texts, probabilities, tuple(faults.listed), faults.total, warnings)


def _check_header(table: TextTable, faults: _Faults) -> tuple[str, ...]:
    """Check the names of the columns, and return those of the classes."""
    known = {**REQUIRED_COLUMNS, **OPTIONAL_COLUMNS}
    for name in REQUIRED_COLUMNS:
        if name not in table.header:
            faults.add(None, name, "this column is missing", f"Add it: {REQUIRED_COLUMNS[name]}")
    for index, name in enumerate(table.header):
        if not name:
            faults.add(None, f"number {index + 1}", "this column has no name", "Name it, or delete it")
        elif len(name) > MAX_TEXT or not name.isprintable():
            what = f"the name is longer than {MAX_TEXT} characters, or holds control characters"
            faults.add(None, f"number {index + 1}", what, "Shorten it")
        elif name in table.header[:index]:
            faults.add(None, name, "two columns have this name", "Delete one of them")
    classes = tuple(name for name in table.header if name and name not in known)
    if not 2 <= len(classes) <= MAX_CLASSES:
        what = f"{len(classes)} columns of probabilities"
        faults.add(None, "", what, f"Give each class a column, at least 2 and at most {MAX_CLASSES}")
    return classes


def _check_texts(texts: dict[str, list[str]], classes: Sequence[str], rows: Sequence[int], faults: _Faults) -> None:
    for name, column in texts.items():
        filled = name in REQUIRED_COLUMNS or name in ("clip", "study")
        for index, cell in enumerate(column):
            if filled and not cell:
                faults.add(rows[index], name, "this cell is empty", "Fill it in, or delete the row")
            elif len(cell) > MAX_TEXT or not (cell.isprintable() or not cell):
                what = f"this text is longer than {MAX_TEXT} characters, or holds control characters"
                faults.add(rows[index], name, what, "Shorten it")
    for index, cell in enumerate(texts["truth"]):
        if cell and cell not in classes:
            faults.add(rows[index], "truth", "this class has no column", f"Known: {', '.join(classes)}")
    first_index: dict[tuple[str, str], int] = {}
    for index, key in enumerate(zip(texts["site"], texts["case"], strict=True)):
        if key[1].startswith(EXAMPLE):
            faults.add(rows[index], "case", "this is an example of the template", "Replace it by a case")
        if key[1] and first_index.setdefault(key, index) != index:
            what = f"this case is in row {rows[first_index[key]]} too"
            faults.add(rows[index], "case", what, "Keep one row a case; join several by the column clip")
    for name in ("clip", "study"):
        if name in texts:
            _check_owner(texts, name, rows, faults)
    _check_cells(texts, "sex", lambda cell: cell in SEXES, f"Write {', '.join(SEXES)}, or nothing", rows, faults)
    remedy = "Write whole years from 0 to 130, or nothing"
    _check_cells(texts, "age", lambda cell: cell.isdecimal() and int(cell[:9]) <= 130, remedy, rows, faults)


def _check_owner(texts: dict[str, list[str]], name: str, rows: Sequence[int], faults: _Faults) -> None:
    owners: dict[tuple[str, str], str] = {}
    for index, (site, group, patient) in enumerate(zip(texts["site"], texts[name], texts["patient"], strict=True)):
        if owners.setdefault((site, group), patient) != patient:
            what = f"this {name} belongs to another patient in an earlier row"
            faults.add(rows[index], name, what, f"Name the {name}s of each patient differently")


def _check_cells(
    texts: dict[str, list[str]],
    name: str,
    valid: Callable[[str], bool],
    remedy: str,
    rows: Sequence[int],
    faults: _Faults,
) -> None:
    for index, cell in enumerate(texts.get(name, ())):
        if cell and not valid(cell):
            faults.add(rows[index], name, "this text is not known here", remedy)


def _numbers(cells: list[str], name: str, rows: Sequence[int], faults: _Faults) -> npt.NDArray[np.float64]:
    """Return the cells of a class as numbers; NaN where there is none."""
    numbers = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        try:
            numbers[index] = float(cell)
        except ValueError:
            what = "this cell is empty" if not cell else "this text is no number"
            remedy = "Write a probability from 0 to 1, or delete the column if it is no class"
            faults.add(rows[index], name, what, remedy)
            continue
        if np.isnan(numbers[index]):
            faults.add(rows[index], name, "this probability is NaN", "Predict the case again, or delete the row")
    return numbers


def _check_probabilities(
    probabilities: npt.NDArray[np.float64], classes: Sequence[str], rows: Sequence[int], faults: _Faults
) -> None:
    with np.errstate(invalid="ignore"):
        beyond = (probabilities < 0) | (probabilities > 1 + SUM_TOLERANCE)
        sums = probabilities.sum(1)
        wrong_sum = np.isfinite(sums) & (np.abs(sums - 1) > SUM_TOLERANCE + 1e-9) & ~beyond.any(1)
    for row, column in np.argwhere(beyond).tolist():
        what = f"{probabilities[row, column]:.6g} is no probability"
        remedy = "Write probabilities from 0 to 1, for example the softmax of the logits"
        faults.add(rows[row], classes[column], what, remedy)
    for row in np.flatnonzero(wrong_sum).tolist():
        remedy = f"Give every class a column; rows may differ from 1 by {SUM_TOLERANCE} at most"
        faults.add(rows[row], "", f"the probabilities sum to {sums[row]:.6g}", remedy)


def _check_copied_truth(
    truth: Sequence[str], probabilities: npt.NDArray[np.float64], classes: Sequence[str], faults: _Faults
) -> None:
    targets = np.array([classes.index(name) for name in truth], np.int64)
    if bool((probabilities[np.arange(len(targets)), targets] == 1).all()) and bool((probabilities.sum(1) == 1).all()):
        what = "every probability is exactly 0 or 1 and equals the truth: the truth was copied, not predicted"
        faults.add(None, "truth", what, "Write the probabilities that the model gave")


def _warnings(texts: dict[str, list[str]], classes: Sequence[str]) -> Iterable[str]:
    for site in sorted(set(texts["site"])):
        rows = [index for index, name in enumerate(texts["site"]) if name == site]
        present = {texts["truth"][index] for index in rows}
        absent = [name for name in classes if name not in present]
        if absent:
            yield f"{site}: no case of {', '.join(absent)}; its accuracy is not estimable there"
        if len({texts["patient"][index] for index in rows}) < 2:
            yield f"{site}: one patient only; no interval can be estimated"
