"""Reads text in pictures with tesseract: many small pictures on one sheet, at a cost of some hundredths of a second.

A top-hat filter leaves strokes that are lighter, or darker, than what surrounds them. So text on moving tissue is read
in the frame in which it stands, and no mean or minimum over frames can hide it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError
from heart2heart.verify.identities import Identities
from heart2heart.verify.spellings import is_own_word, variants, word_boundary

_LONG = 6  # letters from which a word may differ in one and still be the word
_WITHIN = 7  # letters from which a word may be part of a longer one that was read
_SHORT_CONFIDENCE, _CONFIDENCE = 75.0, 25.0  # of tesseract, percent
_STROKE = 7  # pixels of the filter's window; strokes of letters are thinner
_CONTRAST = 60  # gray levels by which a stroke differs from its surroundings
_GAIN = 2
_LETTER = (5, 48)  # pixels, height of a letter; larger ones are found in the halved picture
_LETTERS = 3  # strokes of a word at least
_WORD_SHAPE = 2.2  # width of a word per height, at least
_LINE_SHAPE = 3.0  # height of a row of letters per height of a letter, at most
_MOST_STROKES = 4_000  # of one picture, in reading order
_GAP = 24  # pixels between two pictures of a sheet
_FULL = 6_000  # rows of pixels of a sheet
_SMALLEST = 200  # pixels; a picture is halved, for larger letters, while its longer side is above


def tesseract_available() -> bool:
    """Return whether tesseract is installed."""
    return shutil.which("tesseract") is not None


def require_tesseract() -> None:
    """Raise ConfigError when tesseract is not installed."""
    if not tesseract_available():
        remedy = "Install it (Debian: apt-get install tesseract-ocr), or leave --ocr out"
        raise ConfigError("tesseract is not installed", remedy=remedy)


def text_lines(picture: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield each part of a picture that may be a line of text: dark strokes on white, enlarged.

    Light and dark text is searched for, at each size of letters.

    Args:
        picture: uint8 `(rows, columns)`.
    """
    from PIL import Image

    level = Image.fromarray(picture)
    while True:
        side = max(level.size)
        scale = 3 if side <= 260 else 2
        for strokes in _strokes(np.asarray(level)):
            for line in _lines(strokes):
                size = (line.shape[1] * scale, line.shape[0] * scale)
                yield np.subtract(255, np.asarray(Image.fromarray(line).resize(size, Image.Resampling.BICUBIC)))
        if side <= _SMALLEST or min(level.size) < 16:
            return
        level = level.reduce(2)


def _strokes(level: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield how much each pixel is lighter, and how much darker, than what surrounds it."""
    from scipy import ndimage

    gray, size = level.astype(np.int16), (_STROKE, _STROKE)
    for hat in (gray - ndimage.grey_opening(gray, size), ndimage.grey_closing(gray, size) - gray):
        yield np.clip(hat * _GAIN - _CONTRAST, 0, 255).astype(np.uint8)


def _lines(strokes: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the strokes of each row of letters: some of like height side by side, or a wide one of joined letters."""
    from scipy import ndimage

    labels, _ = ndimage.label(strokes >= _CONTRAST, np.ones((3, 3)))
    boxes = [
        (index, box[0].start, box[0].stop, box[1].start, box[1].stop)
        for index, box in enumerate(ndimage.find_objects(labels), start=1)
        if _LETTER[0] <= box[0].stop - box[0].start <= _LETTER[1]
    ]
    if not boxes:
        return
    label, top, bottom, left, right = np.asarray(boxes[:_MOST_STROKES]).T
    height, width = bottom - top, right - left
    shared = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    gap = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    taller, lower = np.maximum(height[:, None], height), np.minimum(height[:, None], height)
    beside = (shared >= 0.6 * lower) & (taller <= 1.8 * lower) & (gap <= 0.9 * taller)
    group = _components(beside)
    for index in range(int(group.max()) + 1):
        members = group == index
        rows = slice(max(0, int(top[members].min()) - 3), int(bottom[members].max()) + 3)
        columns = slice(max(0, int(left[members].min()) - 4), int(right[members].max()) + 4)
        letter = float(np.median(height[members]))
        joined = bool((width[members] >= _WORD_SHAPE * height[members]).any())
        long = columns.stop - columns.start - 8 >= _WORD_SHAPE * letter
        level = rows.stop - rows.start - 6 <= _LINE_SHAPE * letter
        if long and level and (members.sum() >= _LETTERS or joined):
            inked = ndimage.binary_dilation(np.isin(labels[rows, columns], label[members]))
            yield np.where(inked, strokes[rows, columns], 0).astype(np.uint8)


def _components(beside: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    group: npt.NDArray[np.int32] = connected_components(csr_matrix(beside.astype(np.int8)), directed=False)[1]
    return group


@dataclass(frozen=True)
class TextSheet:
    """Pictures on one sheet.

    Attributes:
        image: uint8 `(rows, columns)`, dark on white.
        corners: Row and column of each picture, in the order of `sources`.
        sizes: Rows and columns of each picture.
        sources: Where each picture comes from.
    """

    image: npt.NDArray[np.uint8]
    corners: tuple[tuple[int, int], ...]
    sizes: tuple[tuple[int, int], ...]
    sources: tuple[Hashable, ...]

    @classmethod
    def of(cls, pictures: list[tuple[Hashable, npt.NDArray[np.uint8]]]) -> TextSheet:
        """Put pictures one below the other, so that none is read as the continuation of another."""
        tops = np.cumsum([_GAP, *(picture.shape[0] + _GAP for _, picture in pictures)]).tolist()
        corners = [(top, _GAP) for top in tops[:-1]]
        image = np.full((tops[-1], 2 * _GAP + max(picture.shape[1] for _, picture in pictures)), 255, np.uint8)
        for (row, column), (_, picture) in zip(corners, pictures, strict=True):
            image[row : row + picture.shape[0], column : column + picture.shape[1]] = picture
        sizes = tuple((picture.shape[0], picture.shape[1]) for _, picture in pictures)
        return cls(image, tuple(corners), sizes, tuple(source for source, _ in pictures))

    def source_at(self, row: int, column: int) -> Hashable | None:
        """Return the source of the picture at a pixel; None between pictures."""
        for (top, left), (rows, columns), source in zip(self.corners, self.sizes, self.sources, strict=True):
            if top <= row < top + rows and left <= column < left + columns:
                return source
        return None


def read_sheet(sheet: TextSheet) -> dict[Hashable, set[str]]:
    """Return the words that tesseract reads in each picture of a sheet, letters and digits only, in capitals.

    The words of one line are returned joined too, because tesseract may split a word.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(sheet.image).save(buffer, "PNG", compress_level=1)
    command = ["tesseract", "stdin", "stdout", "--dpi", "150", "--psm", "11", "-l", "eng", "tsv"]
    # One thread: tesseract's own threads mostly wait for each other.
    alone = os.environ | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True, env=alone)
    words: dict[Hashable, set[str]] = {}
    lines: dict[tuple[Hashable, str], str] = {}
    for row in done.stdout.decode("utf-8", "replace").splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) < 12 or not cells[11].strip():
            continue
        column, top, width, height = map(int, cells[6:10])
        source = sheet.source_at(top + height // 2, column + width // 2)
        text, confidence = re.sub(r"[^0-9A-Z]", "", cells[11].upper()), float(cells[10])
        if source is None:
            continue
        short = {word for word in split_words(cells[11]) | {text} if len(word) >= 4}
        sure = {word for word in short if confidence >= (_CONFIDENCE if len(word) >= _LONG else _SHORT_CONFIDENCE)}
        words.setdefault(source, set()).update(sure)
        key = source, ",".join(cells[2:5])
        lines[key] = lines.get(key, "") + text
    for (source, _), line in lines.items():
        if len(line) >= _WITHIN:
            words.setdefault(source, set()).add(line)
    return words


class TextReader:
    """Collects pictures on sheets and reads each sheet when it is full.

    Args:
        words: Words that identify somebody, as `identity_words` returns them.
    """

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self._waiting: list[tuple[Hashable, npt.NDArray[np.uint8]]] = []
        self._rows = 0

    def add(self, source: Hashable, picture: npt.NDArray[np.uint8]) -> Iterator[tuple[Hashable, set[str]]]:
        """Add a picture; yield each source in which identities can be read, with their kinds, of a full sheet."""
        for image in text_lines(picture):
            self._waiting.append((source, image))
            self._rows += image.shape[0] + _GAP
            if self._rows >= _FULL:
                yield from self.finish()

    def finish(self) -> Iterator[tuple[Hashable, set[str]]]:
        """Read the pictures that wait."""
        if self._waiting:
            read = read_sheet(TextSheet.of(self._waiting))
            self._waiting, self._rows = [], 0
            for source, words in read.items():
                if kinds := match_words(words, self._words):
                    yield source, kinds


def identity_words(identities: Identities) -> dict[str, str]:
    """Return the words that identify somebody, with the kind of identity of each."""
    words: dict[str, str] = {}
    for kind, value in sorted(identities.exact):
        if kind == "name":
            parts = [part for part in re.split(r"[\^,=\s]+", value) if part and word_boundary(part) is not None]
            forms_read = {word for part in parts for form in variants(part) for word in split_words(form)}
        elif kind == "id":
            plain = re.sub(r"[^0-9A-Z]", "", value.upper())
            forms_read = {plain, plain.lstrip("0")} | {word for word in split_words(value) if re.search(r"\d", word)}
            forms_read = {word for word in forms_read if len(word) >= 5}
        elif kind == "date":
            year, month, day = value[:4], value[-5:-3] if "-" in value else value[4:6], value[-2:]
            forms_read = {year + month + day, day + month + year, month + day + year}
        elif kind in ("text", "word"):
            forms_read = {word for word in split_words(value) if len(word) >= _LONG and not is_own_word(word)}
        else:
            continue
        words.update(dict.fromkeys(forms_read, "text" if kind == "word" else kind))
    return words


def match_words(words_read: set[str], words: dict[str, str]) -> set[str]:
    """Return the kinds of identity among the words that were read; a long word may have one misread letter."""
    return {kind for word, kind in words.items() if any(_is_read(word, other) for other in words_read)}


def split_words(text: str) -> set[str]:
    """Return the words of four and more letters or digits, in capitals."""
    return set(re.findall(r"[0-9A-Z]{4,}", text.upper()))


_ALIKE = str.maketrans("0QD1L582", "OOOIISBZ")


def _is_read(word: str, other: str) -> bool:
    """Return whether the word was read; letters and digits that look alike count as the same."""
    word, other = word.translate(_ALIKE), other.translate(_ALIKE)
    return _within_one_edit(word, other) or (len(word) >= _WITHIN and len(other) > len(word) and word in other)


def _within_one_edit(word: str, other: str) -> bool:
    """Return whether the two words differ in at most one letter that is replaced, added or missing."""
    if word == other:
        return True
    short, long = sorted((word, other), key=len)
    if len(word) < _LONG or len(long) - len(short) > 1:
        return False
    at = next((index for index, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return short[at + (len(short) == len(long)) :] == long[at + 1 :]
