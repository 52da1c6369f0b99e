"""Searches bytes for every way to write an identity: spellings, encodings, plain hashes, and study dates.

Dates are judged over all files together, since a shifted date may fall on another's true one.
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

from heart2heart.verify.identities import Identities
from heart2heart.verify.stream_blocks import stream_blocks

_DATES = (
    "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y_%m_%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y",
    "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
_ANCHOR = 4  # bytes by which a pattern is recognised before it is compared whole
_IN_BINARY = 6  # bytes; fewer occur by chance among pixels
_WORD = 5  # letters of a part of a name that is looked for alone
_BEFORE = 2  # bytes before a pattern that tell whether it stands alone
_BITS = 20
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class IdentityPattern:
    """One way to write one identity.

    Attributes:
        raw: Its bytes, ASCII letters in lower case.
        kind: What is said of a finding.
        alone: Whether it counts only between signs that are neither letter nor digit.
    """

    raw: bytes
    kind: str
    alone: bool


def build_patterns(identities: Identities) -> set[IdentityPattern]:
    """Return every pattern of every identity."""
    found = set()
    for kind, value in identities.exact:
        for text, said, alone in _spellings(kind, value):
            for form in {text, text.lower(), text.upper()}:
                for encoding in _ENCODINGS:
                    try:
                        raw = form.encode(encoding).lower()
                    except UnicodeEncodeError:
                        continue
                    if len(raw) >= _ANCHOR:
                        found.add(IdentityPattern(raw, said, alone))
    return found


def _spellings(kind: str, value: str) -> Iterator[tuple[str, str, bool]]:
    """Yield text, kind of finding, and whether the text must stand alone."""
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
    alone = (kind == "id" and len(value) < 12) or len(value) < _IN_BINARY
    yield value, kind, alone
    if quote(value) != value:
        yield quote(value), kind, alone
    yield value.encode().hex(), f"{kind}, in hexadecimal", False
    for name in ("md5", "sha1", "sha256"):
        yield hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest(), f"{kind}, as a plain hash", False
    if kind == "name":
        yield from ((text, kind, alone) for text, alone in _names(value))
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
    """Return the words that this project writes itself; a patient called one of them is found by the whole name."""
    root = Path(__file__).parents[1]
    found: set[str] = set()
    for path in root.rglob("*"):
        if path.suffix in (".py", ".j2", ".css") and "simulate" not in path.parts:
            found.update(word.lower() for word in re.findall(r"[A-Za-z]{5,}", path.read_text(encoding="utf-8")))
    return frozenset(found)


class PatternSearcher:
    """Searches bytes for all patterns in one pass, however many they are.

    Args:
        wanted: The patterns.
    """

    def __init__(self, wanted: set[IdentityPattern]) -> None:
        self._by_anchor: dict[bytes, list[IdentityPattern]] = defaultdict(list)
        for pattern in sorted(wanted, key=lambda pattern: pattern.raw):
            self._by_anchor[pattern.raw[:_ANCHOR]].append(pattern)
        self._longest = max((len(pattern.raw) for pattern in wanted), default=_ANCHOR) + _BEFORE
        self._known = np.zeros(2**_BITS, bool)
        anchors = np.frombuffer(b"".join(self._by_anchor), "<u4")
        self._known[_scatter(anchors)] = True

    def search(self, parts: Iterable[bytes], *, binary: bool) -> Counter[str]:
        """Return how often each kind of identity occurs.

        Args:
            parts: Consecutive parts of any bytes; what stands across a border is found.
            binary: Whether they are pixels or packed, where a few bytes may agree by chance.
        """
        found: Counter[str] = Counter()
        held, first = b"", 0
        for block in stream_blocks(parts):
            held += block.lower()
            end = len(held) - self._longest
            if end > first:
                found += self._in_chunk(held, first, end, binary=binary)
                kept = max(0, end - _BEFORE)
                held, first = held[kept:], end - kept
        return found + self._in_chunk(held, first, len(held), binary=binary)

    def _in_chunk(self, part: bytes, first: int, end: int, *, binary: bool) -> Counter[str]:
        found: Counter[str] = Counter()
        if len(part) < _ANCHOR:
            return found
        codes = np.frombuffer(part, np.uint8).astype(np.uint32)
        windows = (codes[:-3] | codes[1:-2] << 8 | codes[2:-1] << 16 | codes[3:] << 24).astype(np.uint32)
        for at in np.flatnonzero(self._known[_scatter(windows)]).tolist():
            if not first <= at < end:
                continue
            for pattern in self._by_anchor.get(part[at : at + _ANCHOR], ()):
                if binary and len(pattern.raw) < _IN_BINARY:
                    continue
                if part.startswith(pattern.raw, at) and not (pattern.alone and _touched(part, at, pattern.raw)):
                    found[pattern.kind] += 1
                    break
        return found


def _scatter(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    spread: npt.NDArray[np.uint32] = (values * np.uint32(2654435761)) >> np.uint32(32 - _BITS)
    return spread


def _touched(part: bytes, at: int, raw: bytes) -> bool:
    """Tell whether a letter or a digit stands right before or after; in UTF-16 each is beside a zero byte."""
    wide = b"\0" in raw
    before, after = part[max(0, at - (2 if wide else 1)) : at], part[at + len(raw) : at + len(raw) + (2 if wide else 1)]
    return bool(_ALNUM & (set(before) | set(after)))


_DATE = re.compile(rb"(?<![0-9A-Za-z])((?:19|20)\d\d)([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?![0-9A-Za-z])")
_OVERLAP = 11  # bytes of a date, and of the sign before it
_MAX_SHIFT_DAYS = 3652  # days over which a shift may move a date
_SIGNIFICANCE = 1e-3  # probability below which the agreement is not chance


def scan_dates(parts: Iterable[bytes], days: set[datetime.date]) -> Iterator[bytes]:
    """Pass a text on, block by block, and add every date written in it with the year first to `days`."""
    held, first = b"", True
    for block in stream_blocks(parts):
        held += block
        days.update(_dates_in(held, first=first, last=False))
        held, first = held[-_OVERLAP:], first and len(held) <= _OVERLAP
        yield block
    days.update(_dates_in(held, first=first, last=True))


def _dates_in(text: bytes, *, first: bool, last: bool) -> Iterator[datetime.date]:
    """Yield the dates in a part of a text; at its ends what stands beside it may be missing."""
    for found in _DATE.finditer(text):
        if (found.start() or first) and (found.end() < len(text) or last):
            try:
                yield datetime.date(int(found[1]), int(found[3]), int(found[4]))
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
