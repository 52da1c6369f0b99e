"""Lists the pictures of a folder of classes, or of a table, before any of them is read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from heart2heart.errors import ConfigError, LabelError, MissingInputError
from heart2heart.ingest.pipeline import is_site_name
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.status import StatusCode
from heart2heart.utils import is_temporary

MAX_FILES = 1_000_000
"""Most pictures of one folder or table."""
MAX_TABLE_BYTES = 2**28
"""Largest table that is read."""
LEVELS = ("label", "patient", "site", "split", "skip")
"""What a level of folders may name."""
COLUMNS = ("file", "label", "patient", "site", "split")
"""Columns of a table; only `file` must be there."""

_MAX_VALUE, _MAX_FILE_NAME = 200, 4096  # characters of a value, and of the name of a file
_SHOWN = 5  # rows that a message names
_DELIMITERS = ",;\t"
_ROLES = {
    "train": SplitRole.TRAIN, "training": SplitRole.TRAIN, "val": SplitRole.VALIDATION, "valid": SplitRole.VALIDATION,
    "validation": SplitRole.VALIDATION, "test": SplitRole.TEST, "testing": SplitRole.TEST,
    "unlabeled": SplitRole.UNLABELED, "unlabelled": SplitRole.UNLABELED, "adaptation": SplitRole.ADAPTATION,
    "excluded": SplitRole.EXCLUDED,
}  # fmt: skip
_TABLE_REMEDY = "The page Pictures and videos of the documentation describes the table"


@dataclass(frozen=True)
class ListedPicture:
    """One picture as it is listed.

    Attributes:
        path: Where it is; absolute, links not resolved.
        where: Its row in the table, such as `row 7`, or its number in the folder, such as `file 7`.
        label: The label as written, or None.
        patient: The patient as written, or None. It may identify a person.
        site: The hospital, or None.
        role: Its role in the official split, or None.
        refused: The status of a file that is not read, or None.
    """

    path: Path
    where: str
    label: str | None = None
    patient: str | None = None
    site: str | None = None
    role: SplitRole | None = None
    refused: StatusCode | None = None


@dataclass(frozen=True)
class PictureList:
    """The pictures of a folder or table.

    Attributes:
        pictures: In their order.
        notes: What was left out or is missing, one sentence each.
    """

    pictures: tuple[ListedPicture, ...]
    notes: tuple[str, ...] = ()


def list_pictures(source: Path, levels: Sequence[str] = ("label",), *, outside: Path | None = None) -> PictureList:
    """List the pictures of a folder of classes, or of a table.

    Args:
        source: A folder, or a CSV file whose names are relative to its own folder.
        levels: What each level of folders names, from the top, for a folder; names of `LEVELS`.
        outside: A folder to leave out, the store that is being written.

    Raises:
        MissingInputError: there is no such file or folder, or it lists nothing.
        ConfigError: a level that does not exist, or twice the same.
        LabelError: the table cannot be used; the message names the rows.
    """
    if source.is_dir():
        return _list_folder(Path(os.path.normpath(source.absolute())), levels, outside)
    if not source.is_file():
        raise MissingInputError("no such folder or table", where=source, remedy=_TABLE_REMEDY)
    return read_picture_table(source)


def _list_folder(folder: Path, levels: Sequence[str], outside: Path | None) -> PictureList:
    named = [level for level in levels if level != "skip"]
    if not set(levels) <= set(LEVELS) or len(set(named)) < len(named) or not levels:
        remedy = f"Write them as label, or as site/label/patient; known: {', '.join(LEVELS)}"
        raise ConfigError(f"the levels {'/'.join(levels)} are not valid", remedy=remedy)
    pictures = []
    shallow = 0
    for count, (path, refused) in enumerate(_files_below(folder, outside), start=1):
        if count > MAX_FILES:
            raise MissingInputError(f"over {MAX_FILES} files here", where=folder, remedy="Add its folders one by one")
        parts = path.relative_to(folder).parts[:-1]
        shallow += len(parts) < len(levels)
        values = {level: part for level, part in zip(levels, parts, strict=False) if level != "skip"}
        picture = ListedPicture(path, f"file {count}", refused=refused)
        pictures.append(_with_values(picture, values, folder))
    if not pictures:
        raise MissingInputError("no file in this folder", where=folder, remedy="Name a folder of pictures, or a table")
    notes = (f"{shallow} files lie above the level {levels[-1]}; what its folders name is unknown for them",)
    return PictureList(tuple(pictures), notes if shallow else ())


def _files_below(folder: Path, outside: Path | None) -> Iterator[tuple[Path, StatusCode | None]]:
    """Yield the files below a folder, sorted by folder, with the status of those that are not read."""
    top, left_out = folder.resolve(), None if outside is None else outside.resolve()
    unlisted: list[OSError] = []
    for directory, folders, names in os.walk(folder, onerror=unlisted.append):
        here = Path(directory)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if left_out is None or (here / name).resolve() != left_out)
        for name in sorted([*links, *(name for name in names if not is_temporary(name))]):
            yield here / name, _refusal(here / name, top)
    for error in unlisted:
        yield Path(error.filename), StatusCode.FAILED_UNREADABLE


def _refusal(path: Path, top: Path) -> StatusCode | None:
    """Return the status of a path that is not a file inside the folder `top`, which holds no link."""
    try:
        real = path.resolve()
        inside, regular = real.is_relative_to(top), real.is_file()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name with a zero byte
        return StatusCode.FAILED_UNREADABLE
    if not inside or real.is_dir():
        return StatusCode.EXCLUDED_OUTSIDE_FOLDER
    if not os.path.lexists(path):
        return StatusCode.FAILED_MISSING
    return None if regular else StatusCode.FAILED_UNREADABLE


def _with_values(picture: ListedPicture, values: dict[str, str], where: Path) -> ListedPicture:
    """Return a picture with its label, patient, site and split, checked.

    Raises:
        LabelError: a value is not valid.
    """
    too_long = next((name for name, value in values.items() if len(value) > _MAX_VALUE), None)
    unprintable = next((name for name, value in values.items() if not value.isprintable()), None)
    site, split = values.get("site"), values.get("split")
    fault = None
    if too_long is not None:
        fault = f"the {too_long} has over {_MAX_VALUE} characters"
    elif unprintable is not None:
        fault = f"the {unprintable} holds a character that cannot be printed"
    elif site and not is_site_name(site):
        fault = "the site is not 1 to 64 letters, digits, blanks, dots or dashes"
    elif split and split.casefold() not in _ROLES:
        fault = f"the split is none of {', '.join(dict.fromkeys(_ROLES.values()))}"
    if fault is not None:
        raise LabelError(f"{picture.where}: {fault}", where=where, remedy=_TABLE_REMEDY)
    role = _ROLES[split.casefold()] if split else None
    label, patient = values.get("label") or None, values.get("patient") or None
    return replace(picture, label=label, patient=patient, site=site or None, role=role)


def read_picture_table(path: Path) -> PictureList:
    """Read a table of pictures: UTF-8, with commas, semicolons or tabs, and a header; rows count from 1, the header.

    Other columns are ignored. A row that repeats an earlier one is left out.

    Args:
        path: The table; names of files are relative to its folder and may not leave it.

    Raises:
        LabelError: the table is not readable, lacks the column `file`, or has a column twice; a row has too few or too
            many values, no file, or a value that is not valid; or two rows of one file contradict each other.
        MissingInputError: it has no row.
    """
    rows = _table_rows(path)
    header = [name.strip().casefold() for name in next(rows, (1, [""]))[1]]
    doubled = sorted({name for name in COLUMNS if header.count(name) > 1})
    if "file" not in header or doubled:
        what = f"the column {doubled[0]} is there twice" if doubled else "this table has no column `file`"
        raise LabelError(what, where=path, remedy=f"Columns: {', '.join(COLUMNS)}; only file is required")
    folder = Path(os.path.normpath(path.absolute())).parent
    top = folder.resolve()
    seen: dict[Path, ListedPicture] = {}
    repeated: list[str] = []
    for number, row in rows:
        if not row:
            continue
        where = f"row {number}"
        if len(row) != len(header):
            raise LabelError(f"{where} has {len(row)} values, the header {len(header)}", where=path)
        values = {name: value.strip() for name, value in zip(header, row, strict=True) if name in COLUMNS}
        name = values.pop("file")
        if not name or len(name) > _MAX_FILE_NAME or "\0" in name:
            raise LabelError(f"{where} names no file, or one of over {_MAX_FILE_NAME} characters", where=path)
        file = Path(os.path.normpath(folder / name.replace("\\", "/")))
        picture = _with_values(ListedPicture(file, where, refused=_refusal(file, top)), values, path)
        earlier = seen.setdefault(file, picture)
        if replace(earlier, where=where) != picture:
            what = f"{earlier.where} and {where} are of one file and contradict each other"
            raise LabelError(what, where=path, remedy="Keep the row that is right")
        if earlier is not picture:
            repeated.append(where)
        if len(seen) > MAX_FILES:
            raise LabelError(f"this table has over {MAX_FILES} files", where=path, remedy="Cut it into several")
    if not seen:
        raise MissingInputError("no row in this table", where=path, remedy=_TABLE_REMEDY)
    notes = (f"{len(repeated)} rows repeat an earlier row and were left out: {shorten(repeated)}",)
    return PictureList(tuple(seen.values()), notes if repeated else ())


def shorten(names: Sequence[str]) -> str:
    """Return the first few names as one text."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each row; a blank row has no values.

    Raises:
        LabelError: the table is too large, not UTF-8, or not CSV.
    """
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise LabelError(f"this table has over {MAX_TABLE_BYTES} bytes", where=path, remedy="Cut it into several")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        remedy = "Save it as CSV in UTF-8"
        raise LabelError(f"line {line} of this table is not UTF-8", where=path, remedy=remedy) from None
    except OSError:
        raise LabelError("this table cannot be read", where=path) from None
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for row in reader:
            number += 1
            yield number, row if any(value.strip() for value in row) else []
    except csv.Error:
        remedy = "It may be cut short, or hold a quote that does not end"
        raise LabelError(f"the row after row {number} is not readable CSV", where=path, remedy=remedy) from None
