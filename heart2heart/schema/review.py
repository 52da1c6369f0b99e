"""The file of reviews beside a store: what persons decided on clips in which text is suspected, as events.

An event is never changed. It names the hash of the pixels that the person saw, so a decision holds for those very
pixels alone. The file holds pseudonyms, names of reviewers and their reasons, and no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.chained_lines import ChainedLines, append_lines, read_lines

REVIEW_FILE = "text_review.jsonl"
"""Name of the file in the folder of a store; it exists once a person decided on a clip."""

MAX_BYTES = 2**28
"""Size of the largest file that is read."""

_WHAT = "file of reviews"
_REMEDY = "Restore it from a copy; without one, delete it and review the clips again"


class ReviewDecision(StrEnum):
    """What a person decided on a clip."""

    CLEARED = "cleared"
    """No identity is in the pictures: they may be shown."""
    HIDDEN = "hidden"
    """An identity is in the pictures, or may be: the clip is never shown, and takes part in nothing."""
    UNDONE = "undone"
    """The reviewer takes the own last decision back."""


class ReviewState(StrEnum):
    """State of a clip after all events."""

    WAITING = "waiting"
    """No decision counts: text is suspected, and no person has looked, or the decision was taken back."""
    CLEARED = "cleared"
    """A person cleared it, and nobody hides it."""
    HIDDEN = "hidden"
    """A person hides it, whatever others decided."""


class ReviewEvent(Config):
    """One decision of one person on one clip."""

    schema_version: int = Field(1, ge=1, le=1)
    """Version of this layout."""
    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    pixel_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the frames that the person saw, in their order, as in the table of clips."""
    decision: ReviewDecision
    """The decision."""
    reviewer: str = Field(min_length=1, max_length=60)
    """Who decided."""
    reason: str = Field(min_length=1, max_length=500)
    """Why. No identity belongs here."""
    at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")
    """When, UTC, ISO 8601."""

    @field_validator("reviewer", "reason")
    @classmethod
    def _printable(cls, value: str) -> str:
        text = " ".join(value.split())
        if not text or not text.isprintable():
            raise ValueError("a name or a reason needs a printable character")
        return text


ClipPixels = tuple[str, str]
"""Pseudonym of a clip, and the hash of its pixels."""


@dataclass(frozen=True)
class ReviewEvents:
    """The events of one store, in their order."""

    events: tuple[ReviewEvent, ...] = ()

    def current_decisions(self) -> dict[ClipPixels, dict[str, ReviewDecision]]:
        """Return the decision of each reviewer that counts, by clip and pixels: the last one, unless it was undone."""
        decisions: dict[ClipPixels, dict[str, ReviewDecision]] = {}
        for event in self.events:
            by_reviewer = decisions.setdefault((event.clip, event.pixel_hash), {})
            if event.decision == ReviewDecision.UNDONE:
                by_reviewer.pop(event.reviewer, None)
            else:
                by_reviewer[event.reviewer] = event.decision
        return decisions

    def states(self) -> dict[ClipPixels, ReviewState]:
        """Return the state of each clip with an event; one person who hides a clip counts more than all who clear it.

        Examples:
            >>> event = {"clip": "c1", "pixel_hash": "0" * 64, "reason": "no text", "at": "2026-11-27T10:00:00+00:00"}
            >>> first = ReviewEvent(**event, decision="cleared", reviewer="Reader 1")
            >>> second = ReviewEvent(**event, decision="hidden", reviewer="Reader 2")
            >>> [str(ReviewEvents(events).states()["c1", "0" * 64]) for events in ((first,), (first, second))]
            ['cleared', 'hidden']
        """
        return {clip: _state(decisions.values()) for clip, decisions in self.current_decisions().items()}


def _state(decisions: Iterable[ReviewDecision]) -> ReviewState:
    present = set(decisions)
    if ReviewDecision.HIDDEN in present:
        return ReviewState.HIDDEN
    return ReviewState.CLEARED if present else ReviewState.WAITING


def read_reviews(root: Path) -> ReviewEvents:
    """Read the reviews of the store at `root`; a store without the file has none.

    Raises:
        StoreError: the file is damaged, was changed, is too large, or others may write it.

    Examples:
        >>> read_reviews(Path("store")).events
        ()
    """
    return _parse(_read(root / REVIEW_FILE), root / REVIEW_FILE)


def append_reviews(root: Path, choose: Callable[[ReviewEvents], Iterable[ReviewEvent]]) -> None:
    """Append events to the reviews of the store at `root`, all or none; the file has mode 0600.

    Args:
        root: Folder of the store.
        choose: Returns the events to append, given the present ones, while no other program can write; it may raise.

    Raises:
        StoreError: see `read_reviews`.
        UnwritableError: nothing can be written there.
        NoSpaceError: the disk filled up; the file is as it was before.

    Examples:
        >>> append_reviews(Path("store"), lambda present: [])
        >>> len(read_reviews(Path("store")).events)
        0
    """
    path = root / REVIEW_FILE

    def records(lines: ChainedLines) -> list[dict[str, Any]]:
        return [event.model_dump(mode="json") for event in choose(_parse(lines, path))]

    append_lines(path, records, partial(_read, path), what=_WHAT, max_bytes=MAX_BYTES)


def _read(path: Path) -> ChainedLines:
    return read_lines(path, what=_WHAT, remedy=_REMEDY, max_bytes=MAX_BYTES)


def _parse(lines: ChainedLines, path: Path) -> ReviewEvents:
    events = []
    for row, content in enumerate(lines.records, start=1):
        try:
            events.append(ReviewEvent.parse(content, where=f"{path}, line {row}"))
        except ConfigError as error:
            raise StoreError(f"this is no {_WHAT}", where=f"{path}, line {row}", remedy=_REMEDY) from error
    return ReviewEvents(tuple(events))
