"""Reads cases from a table: predictions of any model with or without labels, or the CSV of `heart2heart predict`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import OUTSIDE, UNLABELED, Cases, RunSet, group_cases
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.table_file import TextTable, read_text_table
from heart2heart.schema.prediction_table import (
    MAX_CLASSES,
    MAX_TEXT,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SMALLEST_PROBABILITY,
    SUM_TOLERANCE,
)

_PREDICT_COLUMNS = ("file", "frame", "view")
_KNOWN = {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *_PREDICT_COLUMNS, "quality"}


def read_case_table(path: Path, *, site: str | None = None) -> Cases:
    r"""Read a table of predictions whose labels may be missing.

    The table has the columns of `schema.prediction_table`, of which `truth` may be absent or empty; or it is the CSV of
    `heart2heart predict`, whose rows of whole clips are read. A column `patient` may be added to that CSV.

    Args:
        path: CSV or Parquet.
        site: Hospital of all cases, for a table without a column `site`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: not a table, a column or a hospital is missing, or a cell is no probability.

    Examples:
        >>> rows = "file,frame,view,A4C,PLAX\na.dcm,,A4C,0.9,0.1\na.dcm,0,A4C,0.9,0.1\nb.dcm,,PLAX,0.2,0.8\n"
        >>> _ = Path("predicted.csv").write_text(rows)
        >>> cases = read_case_table(Path("predicted.csv"), site="E")
        >>> len(cases), cases.sites, cases.patients_known, cases.labeled.any()
        (2, ['E'], False, np.False_)
    """
    table = read_text_table(path)
    cells = dict(zip(table.header, (np.array(column, object) for column in table.columns), strict=True))
    if len(cells) < len(table.header):
        raise EvaluationError("two columns have the same name", where=path, remedy="Delete one of them")
    kept = np.ones(len(table), bool)
    if "case" not in cells and set(_PREDICT_COLUMNS) <= set(cells):
        kept = cells["frame"] == ""
        cells["case"] = cells["file"]
    classes = tuple(name for name in table.header if name and name not in _KNOWN)
    _check_columns(path, cells.keys() | ({"site"} if site else set()), classes)
    if not kept.any():
        raise EvaluationError("the table has no row of a clip", where=path, remedy="Predict the clips again")
    rows = np.flatnonzero(kept)
    probabilities = _probabilities(path, table, rows, classes)
    texts = {name: cells[name][rows] for name in cells if name in _KNOWN}
    hospital = texts["site"] if "site" in texts else np.full(len(rows), site, object)
    _check_texts(path, table, rows, {**texts, "site": hospital})
    name = texts.get("clip", texts["case"])
    patient = texts.get("patient", name)
    quality = _quality(path, texts["quality"]) if "quality" in texts else np.full(len(rows), np.nan)
    _check_repeats(path, table, rows, hospital, texts["case"])
    return group_cases(
        classes,
        site=hospital,
        patient=_codes(hospital, patient),
        name=name,
        group=_codes(hospital, name),
        truth=_truth(texts.get("truth"), classes, len(rows)),
        log_p=np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))[None],
        quality=quality,
        run_sets=(RunSet(path.stem, (0,)),),
        patients_known="patient" in texts,
    )


def _check_columns(path: Path, names: set[str], classes: tuple[str, ...]) -> None:
    for name in ("case", "site"):
        if name not in names:
            remedy = "Add it, or name the hospital with --site" if name == "site" else REQUIRED_COLUMNS[name]
            raise EvaluationError(f"the column {name} is missing", where=path, remedy=remedy)
    if not 2 <= len(classes) <= MAX_CLASSES:
        what = f"{len(classes)} columns of probabilities"
        remedy = f"Give each class a column, at least 2 and at most {MAX_CLASSES}"
        raise EvaluationError(what, where=path, remedy=remedy)


def _probabilities(path: Path, table: TextTable, rows: Ints, classes: tuple[str, ...]) -> Floats:
    columns = dict(zip(table.header, table.columns, strict=True))
    values = np.empty((len(rows), len(classes)))
    for index, name in enumerate(classes):
        for position, row in enumerate(rows.tolist()):
            try:
                values[position, index] = float(columns[name][row])
            except ValueError:
                where = f"{path}, row {table.row_numbers[row]}, column {name}"
                remedy = "Write a probability from 0 to 1, or delete the column if it is no class"
                raise EvaluationError("this cell is no number", where=where, remedy=remedy) from None
    with np.errstate(invalid="ignore"):
        possible = (values >= 0).all(1) & (values <= 1 + SUM_TOLERANCE).all(1)
        possible &= np.abs(values.sum(1) - 1) <= SUM_TOLERANCE + 1e-9
    if not possible.all():
        row = int(rows[np.argmin(possible)])
        where = f"{path}, row {table.row_numbers[row]}"
        remedy = f"Each is from 0 to 1, and a row may differ from 1 by {SUM_TOLERANCE} at most"
        raise EvaluationError("the probabilities of this row do not sum to 1", where=where, remedy=remedy)
    shares: Floats = values / values.sum(1, keepdims=True)
    return shares


def _check_texts(path: Path, table: TextTable, rows: Ints, texts: dict[str, np.ndarray]) -> None:
    """Refuse empty or unusable names; a cell is never printed, since it may name a patient."""
    for name in ("case", "site", "patient", "clip"):
        for position, cell in enumerate(texts.get(name, np.empty(0, object)).tolist()):
            if not cell or len(cell) > MAX_TEXT or not cell.isprintable():
                where = f"{path}, row {table.row_numbers[int(rows[position])]}, column {name}"
                remedy = f"Write at most {MAX_TEXT} printable characters"
                raise EvaluationError("this cell is empty or no name", where=where, remedy=remedy)


def _check_repeats(path: Path, table: TextTable, rows: Ints, site: np.ndarray, case: np.ndarray) -> None:
    codes = _codes(site, case)
    _, first = np.unique(codes, return_index=True)
    if len(first) < len(codes):
        repeated = int(rows[np.setdiff1d(np.arange(len(codes)), first)[0]])
        where = f"{path}, row {table.row_numbers[repeated]}"
        raise EvaluationError("this case has an earlier row", where=where, remedy="Keep one row a case")


def _truth(cells: np.ndarray | None, classes: tuple[str, ...], count: int) -> Ints:
    if cells is None:
        return np.full(count, UNLABELED, np.int64)
    index = {name: position for position, name in enumerate(classes)}
    values = [index.get(cell, OUTSIDE) if cell else UNLABELED for cell in cells.tolist()]
    return np.array(values, np.int64)


def _quality(path: Path, cells: np.ndarray) -> Floats:
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells.tolist()])
    except ValueError:
        raise EvaluationError("a cell of the column quality is no number", where=path, remedy="Empty it") from None


def _codes(*columns: np.ndarray) -> Ints:
    """Return one number for each distinct combination of texts."""
    keys = ["\x1f".join(map(str, values)) for values in zip(*(column.tolist() for column in columns), strict=True)]
    _, codes = np.unique(keys, return_inverse=True)
    return codes.astype(np.int64)
