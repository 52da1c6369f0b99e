"""Writes an identity in the forms in which it may leave: orders, transliterations, dates, numbers, hashes."""

from __future__ import annotations

import datetime
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

from heart2heart.verify.boundary import Boundary

Spelling = tuple[str, str, Boundary]
"""Text, kind of finding, and what must not be beside it."""

SHORTEST_WORD = 4
"""Letters of a word of a name that is searched for on its own; of two ideographs or kana."""
_ANYWHERE = 6  # letters from which a word is searched for within longer words
_LONG_WORD = 8  # letters from which a word is searched for in pixels and compressed bytes too
_LONG_ID = 12  # characters from which an identifier is searched for within longer ones
_SHORTEST_NUMBER = 6  # digits of an identifier that are searched for without its letters and leading zeros
_SIGNS = ("^", " ", ", ", ",", "_", "-", ".", "", "|", ";", "\t", "/", "\u3000", '","', "%20", "%5E", "+")

_DATES = (
    "%Y%m%d", "%Y%m%d000000", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y_%m_%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y",
    "%m/%d/%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d%b%Y",
    "%d %B %Y", "%d. %b. %Y", "%b %d, %Y", "%B %d, %Y", "%B %d %Y", "%b %d %Y",
    "%Y\u5e74%m\u6708%d\u65e5", "%d%m%Y",
)  # fmt: skip
_LOOSE_DATES = (
    "{year}, {month}, {day}", "{day}.{month}.{year}", "{day}/{month}/{year}", "{month}/{day}/{year}",
    "{year}-{month}-{day}", "{year}/{month}/{day}", "{year}\u5e74{month}\u6708{day}\u65e5", "{day}. {month}. {year}",
)  # fmt: skip
_GERMAN = ("Januar", "Februar", "M\u00e4rz", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember")  # fmt: skip
_ENGLISH = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December")  # fmt: skip
_ERAS = (("\u4ee4\u548c", "R", 2019, 5), ("\u5e73\u6210", "H", 1989, 1), ("\u662d\u548c", "S", 1926, 12))


def spellings(kind: str, value: str) -> Iterator[Spelling]:
    """Yield the forms of one identity."""
    if kind == "date":
        digits = value.replace("-", "")
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
        yield from ((text, "date", Boundary.NUMBER) for text in set(_days(day)))
    elif kind == "moment":
        yield value, "date and time", Boundary.NONE
        moment = datetime.datetime.strptime(value, "%Y%m%d%H%M%S")
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M"):
            yield moment.strftime(form), "date and time", Boundary.NONE
    elif kind == "word":
        boundary = word_boundary(value)
        if boundary is not None:
            yield from ((text, "text", boundary) for form in set(variants(value)) for text in _escaped(form))
    else:
        yield from _texts(kind, value)


def _days(day: datetime.date) -> Iterator[str]:
    """Yield the spellings of a day, with month and day also without leading zeros and the month in two languages."""
    for form in _DATES:
        yield day.strftime(form)
    for form in _LOOSE_DATES:
        yield form.format(day=day.day, month=day.month, year=day.year)
    seconds = (day - datetime.date(1970, 1, 1)).days * 86_400
    yield str(seconds)
    yield str(seconds * 1000)
    for month in (_GERMAN[day.month - 1], _ENGLISH[day.month - 1]):
        for text in (month, month[:3]):
            yield f"{day.day}. {text} {day.year}"
            yield f"{day.day:02}. {text} {day.year}"
            yield f"{day.day} {text} {day.year}"
            yield f"{text} {day.day}, {day.year}"
            yield f"{text} {day.day} {day.year}"
            yield f"{day.year} {text} {day.day}"
            yield f"{day.day}{text}{day.year}"
    for era, letter, first, month_of_start in _ERAS:
        if (day.year, day.month) >= (first, month_of_start):
            yield f"{era}{day.year - first + 1}\u5e74{day.month}\u6708{day.day}\u65e5"
            yield f"{letter}{day.year - first + 1}.{day.month}.{day.day}"
            break


def _texts(kind: str, value: str) -> Iterator[Spelling]:
    word = (kind == "id" and len(value) < _LONG_ID) or len(value) < _ANYWHERE
    boundary = Boundary.NUMBER if value.isdecimal() and word else Boundary.WORD if word else Boundary.NONE
    yield value, kind, boundary
    for escaped in {quote(value), quote(value, safe="")} - {value}:
        yield escaped, kind, boundary
    for encoded in (value.encode(), value.encode("utf-16-le")):
        yield encoded.hex(), f"{kind}, in hexadecimal", Boundary.NONE
    for name in ("md5", "sha1", "sha256", "sha512") if kind != "uid" else ("md5", "sha1", "sha256"):
        yield (
            hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest(),
            f"{kind}, as a plain hash",
            (Boundary.NONE),
        )
    if kind == "name":
        yield from ((text, kind, boundary) for text, boundary in name_spellings(value))
    elif kind == "id":
        yield from ((text, kind, boundary) for text, boundary in _numbers(value))
    elif kind == "text":
        forms = {text for variant in variants(value) for text in _escaped(variant)}
        yield from ((text, kind, boundary) for text in forms)


def _numbers(value: str) -> Iterator[tuple[str, Boundary]]:
    """Yield an identifier without its signs, and the digits in it without leading zeros."""
    plain = re.sub(r"[^0-9A-Za-z]", "", value)
    if plain != value:
        yield plain, Boundary.NUMBER if plain.isdecimal() else Boundary.WORD
    for digits in {*re.findall(r"\d+", value), plain}:
        number = digits.lstrip("0")
        if number.isdecimal() and len(number) >= _SHORTEST_NUMBER and number != value:
            yield number, Boundary.NUMBER
    number = plain.lstrip("0")
    if number.isdecimal() and len(number) > _SHORTEST_NUMBER:
        yield f"{int(number):,}", Boundary.NUMBER
        yield f"{int(number):,}".replace(",", "."), Boundary.NUMBER
        yield f"{int(number):,}".replace(",", " "), Boundary.NUMBER


def name_spellings(value: str) -> Iterator[tuple[str, Boundary]]:
    """Yield a name's spellings, whole and word by word, of each of its groups of letters (PS3.5 6.2.1)."""
    for group in value.split("="):
        words = [word for word in re.split(r"[\^,\s\u3000]+", group) if word]
        for variant in set(zip(*map(variants, words), strict=True)):
            yield from _orders(variant)
        for word in words:
            boundary = word_boundary(word)
            if boundary is not None:
                yield from ((text, boundary) for variant in set(variants(word)) for text in _escaped(variant))


def _orders(words: tuple[str, ...]) -> Iterator[tuple[str, Boundary]]:
    if len(words) < 2 or (word_boundary(words[0]) is Boundary.NONE and len(words[0]) >= _LONG_WORD):
        return  # every order holds the first word, which is searched for anywhere
    for order in {words, words[::-1], words[:2], words[:2][::-1], words[1:3] + words[:1]}:
        for sign in _SIGNS:
            yield sign.join(order), _joined(order)
    if len(words[0]) == SHORTEST_WORD - 1 and words[0].lower() not in _own_words():
        for pair in ((words[0], words[1][0]), (words[1][0], words[0])):
            yield from ((sign.join(pair), Boundary.WORD) for sign in (" ", ", ", ". ", "^", "_", "."))


def _joined(order: Iterable[str]) -> Boundary:
    return Boundary.WORD if sum(map(len, order)) < 2 * SHORTEST_WORD else Boundary.NONE


def _escaped(text: str) -> set[str]:
    """Return the text, and its percent and quoted-printable codes in UTF-8 and Latin-1 when it is not ASCII."""
    forms = {text}
    if not text.isascii():
        for encoding in ("utf-8", "latin-1"):
            try:
                code = quote(text, safe="", encoding=encoding, errors="strict")
            except UnicodeEncodeError:
                continue
            forms |= {code, code.replace("%", "=")}
    return forms


def word_boundary(word: str) -> Boundary | None:
    """Return what must not be beside a word of a name that is searched for on its own; None if it is not."""
    if word.isdecimal():
        return None
    if not word[0].isascii() and unicodedata.east_asian_width(word[0]) in "WFH":
        return Boundary.NONE if len(word) >= 2 else None
    if len(word) < SHORTEST_WORD or word.lower() in _own_words():
        return None
    within = len(word) < _ANYWHERE or word.lower() in _own_text()
    return Boundary.WORD if within else Boundary.NONE


_GERMAN_LETTERS = str.maketrans(
    {"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00c4": "Ae", "\u00d6": "Oe", "\u00dc": "Ue", "\u00df": "ss",
     "\u00f8": "oe", "\u00d8": "Oe", "\u00e5": "aa", "\u00c5": "Aa", "\u00e6": "ae", "\u00c6": "Ae", "\u0153": "oe"}
)  # fmt: skip
_BARE_LETTERS = str.maketrans("\u00df\u00f8\u00d8\u0142\u0141\u0111\u0110\u0131", "soOlLdDi")


def variants(text: str) -> list[str]:
    """Return a text as it is, composed, decomposed, without accents, transliterated and back, and in each kana.

    The list has the same length for every text, so that the variants of the words of one name match.
    """
    composed = unicodedata.normalize("NFC", text)
    apart = unicodedata.normalize("NFD", composed)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_BARE_LETTERS)
    folded = text if any("\u3040" <= letter <= "\u30ff" for letter in text) else bare
    umlauts = re.sub("[aou]e", lambda pair: {"a": "\u00e4", "o": "\u00f6", "u": "\u00fc"}[pair[0][0].lower()], text,
                     flags=re.IGNORECASE)  # fmt: skip
    wide = unicodedata.normalize("NFKC", text)
    katakana = "".join(chr(ord(c) + 0x60) if "\u3041" <= c <= "\u3096" else c for c in wide)
    hiragana = "".join(chr(ord(c) - 0x60) if "\u30a1" <= c <= "\u30f6" else c for c in wide)
    half = "".join(_half_width().get(letter, letter) for letter in katakana)
    german = composed.translate(_GERMAN_LETTERS)
    return [text, composed, apart, folded, german, umlauts, wide, katakana, hiragana, half]


@cache
def _half_width() -> dict[str, str]:
    """Return the half-width form of each full-width katakana."""
    letters = [chr(code) for code in range(0xFF61, 0xFFA0)]
    pairs = [letter + mark for letter in letters for mark in ("\uff9e", "\uff9f")]
    forms = {unicodedata.normalize("NFKC", form): form for form in (*pairs, *letters)}
    return {wide: half for wide, half in forms.items() if len(wide) == 1}


@cache
def _own_words() -> frozenset[str]:
    """Return the words in the source code of this project, without the names of simulated patients.

    Outputs contain these words anyway. A patient whose name is one of them is found by the whole name.
    """
    root = Path(__file__).parents[1]
    words: set[str] = set()
    for path in root.rglob("*"):
        if path.suffix in (".py", ".j2", ".css", ".js") and "synthetic" not in path.relative_to(root).parts:
            words.update(word.lower() for word in re.findall(r"[A-Za-z]{3,}", path.read_text(encoding="utf-8")))
    return frozenset(words)


@cache
def _own_text() -> str:
    return " ".join(sorted(_own_words()))


def is_own_word(word: str) -> bool:
    """Return whether a word stands in the source code of this project."""
    return word.lower() in _own_words()
