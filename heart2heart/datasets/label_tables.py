"""The tables that come with public data sets: read whole, with every column that is needed, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.views import translate_label


def read_csv(path: Path, columns: Sequence[str], *, remedy: str) -> dict[str, list[str]]:
    """Read columns of a CSV (or .csv.gz) file as text, without blanks around it.

    Args:
        path: The file.
        columns: Names that must be there.
        remedy: What to do when the file is not as it should be.

    Raises:
        MissingInputError: no such file.
        LabelError: not UTF-8, rows of different lengths, no rows, or a column is missing.
    """
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns), strings_can_be_null=False
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except FileNotFoundError as error:
        raise MissingInputError("a table of the data set is missing", where=path, remedy=remedy) from error
    except (pa.ArrowKeyError, KeyError) as error:
        what = f"this table lacks a column; needed: {', '.join(columns)}"
        raise LabelError(what, where=path, remedy=remedy) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        again = "It may be cut short: get it again from the data set's home"
        raise LabelError("this table is not readable CSV in UTF-8", where=path, remedy=again) from error
    return {name: [value.strip() for value in table[name].to_pylist()] for name in columns}


class ViewTranslator:
    """Translates a data set's words for the views and keeps count of those that say nothing.

    Args:
        vocabulary: A name of `views.MAPPINGS`.
    """

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self.unknown: Counter[str] = Counter()

    def translate(self, word: str) -> str | None:
        """Return the view, or None for a word that carries none or is not in the vocabulary."""
        try:
            return translate_label(word, self.vocabulary)
        except UnknownNameError:
            self.unknown[word] += 1
            return None

    def notes(self) -> list[str]:
        """Return a sentence about unknown words, if there were any."""
        if not self.unknown:
            return []
        shown = ", ".join(f"{word[:32]!r} ({number})" for word, number in self.unknown.most_common(5))
        total = sum(self.unknown.values())
        return [f"{total} labels are outside the vocabulary and left out; their frames stay unlabeled: {shown}"]


def merge_labels(into: dict[str, str | None], more: Mapping[str, str | None], *, where: Path) -> None:
    """Add labels to labels; a file without one takes what another table says.

    Raises:
        LabelError: two tables name two views for one file.
    """
    clashes = [key for key, view in more.items() if view and into.get(key) and into[key] != view]
    if clashes:
        what = f"labels contradict: {len(clashes)} files have another view in another table, e.g. {clashes[0]}"
        raise LabelError(what, where=where, remedy="Get that table again from the data set's home")
    for key, view in more.items():
        if view or key not in into:
            into[key] = view
