"""What a browser sends, and what of it is accepted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from heart2heart.config import Config
from heart2heart.schema.enums import EventKind, LabelAnswer

GRID_SIZE = 30
"""Clips of one page of the grid, and so the most that are named at once."""
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


class LabelRequest(Config):
    """What the page sends when a rater has answered."""

    clip: str = Field(max_length=200)
    """Which clip."""
    kind: Literal[EventKind.LABEL, EventKind.ADJUDICATION] = EventKind.LABEL
    """A reading, or a ruling on a disagreement."""
    answer: Literal[LabelAnswer.VIEW, LabelAnswer.UNUSABLE, LabelAnswer.UNSURE]
    """What was said."""
    view: str = Field(default="", max_length=40)
    """Which view, if it was one."""
    at: str = Field(pattern=_TIME)
    """When; the same answer sent twice is one event."""
    seconds: float | None = Field(default=None, ge=0)
    """From the clip's appearance to the answer."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """The rater's own."""
    frame_hash: str = Field(max_length=64)
    """Of the frames that were shown."""
    seen: int = Field(ge=0)
    """Number of the last event of the book when the clip was shown."""
    shown: bool = False
    """Whether the model's suggestion was on the screen."""


class SavedLabel(Config):
    """One answer that was given."""

    clip: str = Field(max_length=200)
    """Which clip."""
    event: str = Field(max_length=64)
    """Identifier of its event."""


class RetractionRequest(Config):
    """What the page sends for an undo: of one answer, or of a whole confirmed grid."""

    answers: tuple[SavedLabel, ...] = Field(min_length=1, max_length=GRID_SIZE)
    """What to take back: all of it, or nothing."""
    at: str = Field(pattern=_TIME)
    """When."""


class ClipsRequest(Config):
    """Which clips the page asks for."""

    count: int = Field(default=6, ge=1, le=50)
    """How many."""
    without: tuple[str, ...] = ()
    """Clips that the page has, or that were passed over."""
    first: tuple[str, ...] = ()
    """Clips to be asked before all others."""


class GridRequest(Config):
    """Which clips the grid asks for."""

    view: str
    """Called so by the model."""


class ClipList(Config):
    """Some clips."""

    clips: tuple[str, ...] = Field(max_length=GRID_SIZE)
    """Their pseudonyms."""
