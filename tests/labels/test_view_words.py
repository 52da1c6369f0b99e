"""A hospital's own map of words: it goes before the vocabulary, and one word has one meaning."""

from pathlib import Path

import pytest

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.labels.view_words import MAX_MAP_BYTES, ViewWords, read_word_map


def _map(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "words.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_read_word_map_goes_before_the_vocabulary(tmp_path: Path) -> None:
    own = read_word_map(_map(tmp_path, "word;view", "Schnitt  7;PLAX", "Ap4;A2C", "kein Echo;"))
    words = ViewWords(own=own)
    assert [words.translate(word) for word in ("schnitt 7", "AP4", "Ap2", "KEIN ECHO")] == ["PLAX", "A2C", "A2C", None]
    assert (words.name, ViewWords().name) == ("usual+map", "usual")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("word,view", "vier,A4C", "zwei,A2C", "VIER,A2C"), r"two meanings: 'VIER' \(lines 2 and 4\)"),
        (("word,view", ",A4C"), "line 2 has no word"),
        (("term,view", "x,A4C"), "lacks a column"),
        (("word,view", "x" * MAX_MAP_BYTES), "too large for a map"),
    ],
    ids=["two meanings", "no word", "no column", "too large"],
)
def test_read_word_map_refuses(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read_word_map(_map(tmp_path, *lines))


def test_read_word_map_takes_one_meaning_twice(tmp_path: Path) -> None:
    assert read_word_map(_map(tmp_path, "word,view", "vier,A4C", "Vier ,A4C")) == {"vier": "A4C"}


def test_read_word_map_names_an_unknown_view_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"line 2 of words.csv.*'A4'"):
        read_word_map(_map(tmp_path, "word,view", "vier,A4"))
    with pytest.raises(MissingInputError, match="no map of words"):
        read_word_map(tmp_path / "none.csv")


def test_view_words_refuse_an_unknown_vocabulary() -> None:
    with pytest.raises(UnknownNameError, match="unknown label vocabulary 'latin'"):
        ViewWords("latin")
