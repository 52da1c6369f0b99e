"""Searches bytes for every form of an identity: spellings, encodings, plain hashes and study dates.

Study dates are judged over all files together, because the shifted date of one patient may be the true date of another.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from heart2heart.verify.artefacts import stream_blocks
from heart2heart.verify.identities import Identities

_DATES = (
    "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y_%m_%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y",
    "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
_ANCHOR = 4  # bytes that are looked up before a whole pattern is compared
_IN_BINARY = 6  # bytes; shorter patterns occur in pixels by chance
_WORD = 5  # shortest word of a name that is searched for on its own, letters
_BEFORE = 2  # bytes before a pattern that decide whether it is a whole word
_BITS = 20
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class IdentityPattern:
    """One form of one identity.

    Attributes:
        raw: Bytes, with ASCII letters in lower case.
        kind: Kind of identity that a finding reports.
        whole_word: Whether a letter or digit right before or after the pattern makes it no match.
    """

    raw: bytes
    kind: str
    whole_word: bool


def build_patterns(identities: Identities) -> set[IdentityPattern]:
    """Return every pattern of every identity."""
    patterns = set()
    for kind, value in identities.exact:
        for text, label, whole_word in _spellings(kind, value):
            for form in {text, text.lower(), text.upper()}:
                for encoding in _ENCODINGS:
                    try:
                        raw = form.encode(encoding).lower()
                    except UnicodeEncodeError:
                        continue
                    if len(raw) >= _ANCHOR:
                        patterns.add(IdentityPattern(raw, label, whole_word))
    return patterns


def _spellings(kind: str, value: str) -> Iterator[tuple[str, str, bool]]:
    """Yield text, kind of finding, and whether it must be a whole word."""
    if kind == "date":
        day = datetime.date.fromisoformat(value if "-" in value else f"{value[:4]}-{value[4:6]}-{value[6:]}")
        for form in _DATES:
            yield day.strftime(form), "date", True
        return
    if kind == "moment":
        yield value, "date and time", False
        moment = datetime.datetime.strptime(value, "%Y%m%d%H%M%S")
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M"):
            yield moment.strftime(form), "date and time", False
        return
    whole_word = (kind == "id" and len(value) < 12) or len(value) < _IN_BINARY
    yield value, kind, whole_word
    if quote(value) != value:
        yield quote(value), kind, whole_word
    yield value.encode().hex(), f"{kind}, in hexadecimal", False
    for name in ("md5", "sha1", "sha256"):
        yield hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest(), f"{kind}, as a plain hash", False
    if kind == "name":
        yield from ((text, kind, whole_word) for text, whole_word in _names(value))
    if kind == "id" and not value.isalnum():
        yield re.sub(r"[^0-9A-Za-z]", "", value), kind, True


def _names(value: str) -> Iterator[tuple[str, bool]]:
    """Yield a name's spellings, whole and word by word, of each of its groups of letters (PS3.5 6.2.1)."""
    for group in value.split("="):
        words = [word for word in re.split(r"[\^,\s]+", group) if word]
        for order in (words, words[::-1], words[:2], words[:2][::-1], words[1:3] + words[:1]):
            if len(order) > 1:
                yield from ((sign.join(order), False) for sign in ("^", " ", ", ", ",", "_", "-", ".", ""))
        for word in words:
            if len(word) >= _WORD and not word.isdigit() and word.lower() not in _own_words():
                yield word, len(word) < _IN_BINARY


@cache
def _own_words() -> frozenset[str]:
    """Return the words in the source code of this project, without the names of simulated patients.

    Outputs contain these words anyway. A patient whose name is one of them is found by the whole name.
    """
    root = Path(__file__).parents[1]
    words: set[str] = set()
    for path in root.rglob("*"):
        if path.suffix in (".py", ".j2", ".css") and "synthetic" not in path.relative_to(root).parts:
            words.update(word.lower() for word in re.findall(r"[A-Za-z]{5,}", path.read_text(encoding="utf-8")))
    return frozenset(words)


class PatternSearcher:
    """Searches bytes for all patterns in one pass, however many they are.

    Args:
        patterns: The patterns.
    """

    def __init__(self, patterns: set[IdentityPattern]) -> None:
        self._by_anchor: dict[bytes, list[IdentityPattern]] = defaultdict(list)
        for pattern in sorted(patterns, key=lambda pattern: pattern.raw):
            self._by_anchor[pattern.raw[:_ANCHOR]].append(pattern)
        self._longest = max((len(pattern.raw) for pattern in patterns), default=_ANCHOR) + _BEFORE
        self._known = np.zeros(2**_BITS, bool)
        anchors = np.frombuffer(b"".join(self._by_anchor), "<u4")
        self._known[_scatter(anchors)] = True

    def search(self, chunks: Iterable[bytes], *, binary: bool) -> Counter[str]:
        """Return how often each kind of identity occurs.

        Args:
            chunks: Consecutive pieces of the bytes to search. Matches across a boundary are found.
            binary: Whether the bytes are pixels or compressed, where short patterns match by chance.
        """
        counts: Counter[str] = Counter()
        held, first = b"", 0
        for block in stream_blocks(chunks):
            held += block.lower()
            end = len(held) - self._longest
            if end > first:
                counts += self._search_block(held, first, end, binary=binary)
                kept = max(0, end - _BEFORE)
                held, first = held[kept:], end - kept
        return counts + self._search_block(held, first, len(held), binary=binary)

    def _search_block(self, block: bytes, first: int, end: int, *, binary: bool) -> Counter[str]:
        counts: Counter[str] = Counter()
        if len(block) < _ANCHOR:
            return counts
        codes = np.frombuffer(block, np.uint8).astype(np.uint32)
        windows = (codes[:-3] | codes[1:-2] << 8 | codes[2:-1] << 16 | codes[3:] << 24).astype(np.uint32)
        for at in np.flatnonzero(self._known[_scatter(windows)]).tolist():
            if not first <= at < end:
                continue
            for pattern in self._by_anchor.get(block[at : at + _ANCHOR], ()):
                if binary and len(pattern.raw) < _IN_BINARY:
                    continue
                if block.startswith(pattern.raw, at) and not (pattern.whole_word and _touched(block, at, pattern.raw)):
                    counts[pattern.kind] += 1
                    break
        return counts


def _scatter(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    spread: npt.NDArray[np.uint32] = (values * np.uint32(2654435761)) >> np.uint32(32 - _BITS)
    return spread


def _touched(block: bytes, at: int, raw: bytes) -> bool:
    """Return whether a letter or a digit is right before or after the pattern; in UTF-16 a zero byte is beside it."""
    wide = b"\0" in raw
    before, after = (
        block[max(0, at - (2 if wide else 1)) : at],
        block[at + len(raw) : at + len(raw) + (2 if wide else 1)],
    )
    return bool(_ALNUM & (set(before) | set(after)))


_DATE = re.compile(rb"(?<![0-9A-Za-z])((?:19|20)\d\d)([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?![0-9A-Za-z])")
_OVERLAP = 11  # bytes of a date, and of the character before it
_MAX_SHIFT_DAYS = 3652  # days over which a shift may move a date
_SIGNIFICANCE = 1e-3  # probability below which the agreement is not chance


def scan_dates(chunks: Iterable[bytes], days: set[datetime.date]) -> Iterator[bytes]:
    """Yield a text block by block, and add every date in it that begins with the year to `days`."""
    held, first = b"", True
    for block in stream_blocks(chunks):
        held += block
        days.update(_dates_in(held, first=first, last=False))
        held, first = held[-_OVERLAP:], first and len(held) <= _OVERLAP
        yield block
    days.update(_dates_in(held, first=first, last=True))


def _dates_in(text: bytes, *, first: bool, last: bool) -> Iterator[datetime.date]:
    """Yield the dates in a block of a text; a date at an inner boundary is left to the next block."""
    for match in _DATE.finditer(text):
        if (match.start() or first) and (match.end() < len(text) or last):
            try:
                yield datetime.date(int(match[1]), int(match[3]), int(match[4]))
            except ValueError:
                continue  # 31 February


def match_dates(written: set[datetime.date], true: set[datetime.date]) -> int:
    """Return how many of the `written` days are `true` study days, or 0 when that may be chance.

    The probability of at least as many is binomial: each written day falls on a true one as often as true days fill
    their own span and the range of a shift.
    """
    from scipy.stats import binom

    same = len(written & true)
    if not same:
        return 0
    share = len(true) / ((max(true) - min(true)).days + 1 + _MAX_SHIFT_DAYS)
    return same if float(binom.sf(same - 1, len(written), share)) < _SIGNIFICANCE else 0
