"""Searches bytes for every form of an identity in one pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.verify.artefacts import ContentKind
from heart2heart.verify.boundary import REACH, Boundary, is_apart, is_encoded, is_printed
from heart2heart.verify.identities import Identities
from heart2heart.verify.spellings import spellings
from heart2heart.verify.streams import stream_blocks

_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_BYTES = ("cp932", "euc_jp", "iso2022_jp", "euc_kr", "gb18030", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9",
          "cp437", "cp1251", "mac_roman")  # fmt: skip
_ANCHOR = 4  # bytes that are looked up before a whole pattern is compared
_IN_BINARY = 8  # ASCII bytes; shorter patterns occur in pixels and compressed bytes by chance
_OTHER_IN_BINARY = 6  # bytes of a pattern with letters beyond ASCII
_BITS = 20


@dataclass(frozen=True)
class IdentityPattern:
    """One form of one identity.

    Attributes:
        raw: Bytes, with ASCII letters in lower case.
        kind: Kind of identity that a finding reports.
        boundary: What right before or after the pattern makes it no match.
    """

    raw: bytes
    kind: str
    boundary: Boundary


def build_patterns(identities: Identities) -> set[IdentityPattern]:
    """Return every pattern of every identity."""
    patterns = set()
    for kind, value in identities.exact:
        for text, label, boundary in spellings(kind, value):
            for raw in _encoded(text):
                if len(raw) >= _ANCHOR:
                    patterns.add(IdentityPattern(raw, label, boundary))
    return patterns


def _encoded(text: str) -> set[bytes]:
    """Return the bytes of a text; Latin letters in UTF-16 and UTF-32 are read by `streams.wide_text`."""
    if text.isascii():
        return {text.lower().encode()}
    latin = all(letter <= "\xff" for letter in text)
    encodings = ("utf-8", "latin-1", *_BYTES, *(() if latin else _WIDE))
    forms = set()
    for form in {text, text.lower(), text.upper(), text.title()}:
        for encoding in encodings:
            try:
                raw = form.encode(encoding).lower()
            except UnicodeEncodeError:
                continue
            forms.add(raw.removesuffix(b"\x1b(b") if encoding == "iso2022_jp" else raw)
    return forms


class PatternSearcher:
    """Searches bytes for all patterns in one pass, however many they are.

    Args:
        patterns: The patterns.
    """

    def __init__(self, patterns: set[IdentityPattern]) -> None:
        self._by_anchor: dict[bytes, list[IdentityPattern]] = defaultdict(list)
        for pattern in sorted(patterns, key=lambda pattern: (pattern.raw, pattern.kind, pattern.boundary)):
            self._by_anchor[pattern.raw[:_ANCHOR]].append(pattern)
        self._longest = max((len(pattern.raw) for pattern in patterns), default=_ANCHOR) + REACH
        self._known = np.zeros(2**_BITS, bool)
        anchors = np.frombuffer(b"".join(self._by_anchor), "<u4")
        self._known[_scatter(anchors)] = True

    def search(self, chunks: Iterable[bytes], kind: ContentKind = ContentKind.TEXT) -> Counter[str]:
        """Return how often each kind of identity occurs.

        Args:
            chunks: Consecutive pieces of the bytes to search. Matches across a boundary are found.
            kind: Kind of bytes; in pixels and compressed bytes short patterns match by chance.
        """
        counts: Counter[str] = Counter()
        held, first = b"", 0
        for block in stream_blocks(chunks):
            held += block.lower()
            end = len(held) - self._longest
            if end > first:
                counts += self._search_block(held, first, end, kind)
                kept = max(0, end - REACH)
                held, first = held[kept:], end - kept
        return counts + self._search_block(held, first, len(held), kind)

    def _search_block(self, block: bytes, first: int, end: int, kind: ContentKind) -> Counter[str]:
        counts: Counter[str] = Counter()
        if len(block) < _ANCHOR:
            return counts
        codes = np.frombuffer(block, np.uint8).astype(np.uint32)
        windows = (codes[:-3] | codes[1:-2] << 8 | codes[2:-1] << 16 | codes[3:] << 24).astype(np.uint32)
        for start in np.flatnonzero(self._known[_scatter(windows)]).tolist():
            if not first <= start < end:
                continue
            for pattern in self._by_anchor.get(block[start : start + _ANCHOR], ()):
                if block.startswith(pattern.raw, start) and _counts(block, start, pattern, kind):
                    counts[pattern.kind] += 1
                    break
        return counts


def _counts(block: bytes, at: int, pattern: IdentityPattern, kind: ContentKind) -> bool:
    """Return whether a match is no chance."""
    raw = pattern.raw
    if not is_apart(block, at, raw, pattern.boundary):
        return False
    if kind is ContentKind.TEXT:
        return not (raw.isalpha() and is_encoded(block, at, raw))
    if not raw.isascii():
        return len(raw) >= _OTHER_IN_BINARY
    return len(raw) >= _IN_BINARY or (kind is ContentKind.BINARY and is_printed(block, at, raw))


def _scatter(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    spread: npt.NDArray[np.uint32] = (values * np.uint32(2654435761)) >> np.uint32(32 - _BITS)
    return spread
