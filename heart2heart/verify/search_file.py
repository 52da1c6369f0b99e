"""Searches one file: every content, its headers, and its pictures. Works in a process of its own."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.verify.artefacts import ContentKind, read_artefacts
from heart2heart.verify.headers import profile_available, unchanged_tags
from heart2heart.verify.identities import Identities
from heart2heart.verify.limits import READ_ERRORS
from heart2heart.verify.ocr import TextReader, identity_words
from heart2heart.verify.patterns import PatternSearcher, build_patterns
from heart2heart.verify.pictures import MAX_FRAMES, Picture, UnreadPictureError, distinct, frames_of
from heart2heart.verify.study_dates import scan_dates
from heart2heart.verify.verdict import IdentityFinding, UnreadPart


@dataclass(frozen=True)
class SearchTask:
    """One file to search.

    Attributes:
        path: The file.
        name: Its path within the outputs.
        number: Its number in the order of the search.
    """

    path: Path
    name: str
    number: int


@dataclass
class FileReport:
    """Result of one file.

    Attributes:
        size: Bytes.
        findings: Identities.
        unread: Contents that were not read.
        days: Dates in the texts.
        is_dicom: Whether it is a DICOM file.
        holds_pictures: Whether it holds pictures.
        pictures: Distinct pictures that were read.
    """

    size: int = 0
    findings: list[IdentityFinding] = field(default_factory=list)
    unread: list[UnreadPart] = field(default_factory=list)
    days: set[datetime.date] = field(default_factory=set)
    is_dicom: bool = False
    holds_pictures: bool = False
    pictures: int = 0


class FileSearcher:
    """Searches files for identities.

    Args:
        identities: Identities to search for.
        read_pictures: Whether pictures are read with tesseract.
    """

    def __init__(self, identities: Identities, *, read_pictures: bool) -> None:
        self._identities = identities
        self._patterns = PatternSearcher(build_patterns(identities))
        self._words = identity_words(identities)
        self._read_pictures = read_pictures
        self._compare = bool(identities.headers) and profile_available()

    def search(self, task: SearchTask) -> FileReport:
        """Search one file."""
        report = FileReport()
        name = task.name
        if self._patterns.search([name.encode("utf-8", "surrogateescape")]):
            name = f"file {task.number} (name withheld)"
        if not task.path.is_file():
            report.unread.append(UnreadPart(name, "file", "not a regular file, or a link to nothing"))
            return report
        report.size = task.path.stat().st_size
        for part, step in (("contents", self._contents), ("headers", self._headers), ("pictures", self._pictures)):
            try:
                step(task, name, report)
            except READ_ERRORS as error:
                report.unread.append(UnreadPart(name, part, f"cannot be read ({type(error).__name__})"))
        return report

    def _contents(self, task: SearchTask, name: str, report: FileReport) -> None:
        for artefact in read_artefacts(task.path, task.name):
            hidden = bool(self._patterns.search([artefact.location.encode("utf-8", "replace")]))
            location = "(name withheld)" if hidden else artefact.location
            if artefact.unread is not None:
                report.unread.append(UnreadPart(name, location, artefact.unread))
                continue
            scanned = bool(self._identities.days) and artefact.kind is ContentKind.TEXT
            blocks = scan_dates(artefact.blocks, report.days) if scanned else artefact.blocks
            counts = self._patterns.search(blocks, artefact.kind)
            report.findings += [IdentityFinding(name, location, kind, n) for kind, n in sorted(counts.items())]

    def _headers(self, task: SearchTask, name: str, report: FileReport) -> None:
        with task.path.open("rb") as handle:
            report.is_dicom = handle.read(132)[128:] == b"DICM"
        if report.is_dicom and self._compare:
            kept = Counter(unchanged_tags(task.path, self._identities.headers))
            report.findings += [IdentityFinding(name, tag, "unchanged header value", n) for tag, n in kept.items()]

    def _pictures(self, task: SearchTask, name: str, report: FileReport) -> None:
        frames = distinct(frames_of(task.path))
        try:
            if not self._read_pictures:
                report.holds_pictures = next(frames, None) is not None
                return
            reader, legible = TextReader(self._words), Counter[tuple[str, str]]()
            for frame in frames:
                report.holds_pictures = True
                if report.pictures == MAX_FRAMES:
                    report.unread.append(UnreadPart(name, "pictures", f"only {MAX_FRAMES} were read"))
                    break
                report.pictures += 1
                for turn in range(4 if frame.turned else 1):
                    source = frame.location, report.pictures
                    legible.update(_seen(reader.add(source, _turned(frame.pixels, turn))))
            legible.update(_seen(reader.finish()))
            report.findings += [
                IdentityFinding(name, location, f"{kind}, legible", n)
                for (location, kind), n in sorted(legible.items())
            ]
        except UnreadPictureError as error:
            report.holds_pictures = True
            if self._read_pictures:
                report.unread.append(UnreadPart(name, "pictures", str(error)))


def _seen(read: Iterator[tuple[object, set[str]]]) -> Iterator[tuple[str, str]]:
    for source, kinds in read:
        assert isinstance(source, tuple)
        yield from ((str(source[0]), kind) for kind in kinds)


def _turned(pixels: Picture, turns: int) -> Picture:
    import numpy as np

    return np.ascontiguousarray(np.rot90(pixels, turns))
