"""Translates the words of a label file to views: by a vocabulary, and by a hospital's own map of words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.labels.table_files import read_rows
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy
from heart2heart.schema.views import USUAL, VIEWS, VOCABULARIES, translate_label

MAX_MAP_BYTES = 2**20
"""Largest map of words that is read."""


@dataclass(frozen=True)
class ViewWords:
    """What the words of a label file mean.

    Attributes:
        vocabulary: A name of `views.VOCABULARIES`.
        own: View by word, in lower case; an empty view says nothing about the view. It goes before the vocabulary.
        taxonomy: The views of the label store. Its words go before those of the vocabulary where they are finer.

    Raises:
        UnknownNameError: no such vocabulary.
    """

    vocabulary: str = USUAL
    own: Mapping[str, str] = field(default_factory=dict)
    taxonomy: Taxonomy = field(default_factory=read_taxonomy)

    def __post_init__(self) -> None:
        """Check the vocabulary."""
        if self.vocabulary not in VOCABULARIES:
            raise UnknownNameError.among("label vocabulary", self.vocabulary, list(VOCABULARIES))

    @property
    def name(self) -> str:
        """The vocabulary, and whether a map went before it; it is kept in every label's source."""
        return f"{self.vocabulary}+map" if self.own else self.vocabulary

    def translate(self, label: str) -> str | None:
        """Return the view of a label, or None when it says nothing about the view.

        Raises:
            UnknownNameError: neither map, taxonomy nor vocabulary knows the label, or the taxonomy lacks its view.

        Examples:
            >>> from heart2heart.labels.view_words import ViewWords
            >>> words = ViewWords(own={"herz 4": "A4C"})
            >>> words.translate("Herz 4"), words.translate("Ap2")
            ('A4C', 'A2C')
        """
        word = _folded(label)
        if word in self.own:
            return self.own[word] or None
        finer = self.taxonomy.translate(label)
        if finer is not None and finer.casefold() == word:
            return finer
        try:
            view = translate_label(label, self.vocabulary)
        except UnknownNameError:
            if finer is None:
                raise
            return finer
        if finer is not None and (view in self.taxonomy.lineage(finer) or view not in self.taxonomy.views):
            return finer
        if view is not None and view not in self.taxonomy.views:
            raise UnknownNameError.among(f"view of taxonomy {self.taxonomy.name}", view, list(self.taxonomy.views))
        return view


def read_word_map(path: Path, views: Collection[str] = VIEWS.keys()) -> dict[str, str]:
    """Read a map of words: CSV with the columns `word` and `view`; an empty view says nothing about the view.

    Args:
        path: The map.
        views: The views of the label store.

    Returns:
        View by word, in lower case.

    Raises:
        MissingInputError: no such file.
        UnknownNameError: a view that does not exist.
        LabelError: the file is larger than a map, is no such table, or gives one word two meanings.
    """
    if not path.is_file():
        raise MissingInputError("no map of words here", where=path)
    if path.stat().st_size > MAX_MAP_BYTES:
        raise LabelError("this is too large for a map of words", where=path, remedy="Name a CSV of word and view")
    rows, columns, first = read_rows(path)
    if not {"word", "view"} <= set(columns):
        raise LabelError("this map of words lacks a column", where=path, remedy="Needed: word and view")
    meanings: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, row in enumerate(rows, start=first):
        word, view = _folded(row["word"]), row["view"].strip()
        if view and view not in views:
            raise UnknownNameError.among(f"view (line {line} of {path.name})", view, list(views))
        if not word:
            raise LabelError(f"line {line} has no word", where=path, remedy="Fill in the word, or delete the line")
        if word in meanings and meanings[word] != view:
            what = f"one word has two meanings: {row['word'].strip()!r} (lines {lines[word]} and {line})"
            raise LabelError(what, where=path, remedy="Keep one of the lines")
        meanings[word] = view
        lines.setdefault(word, line)
    return meanings


def _folded(word: str) -> str:
    return " ".join(word.split()).casefold()
