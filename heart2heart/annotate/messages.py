"""The bodies of the requests of the page, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from heart2heart.config import Config
from heart2heart.schema.enums import EventKind, LabelAnswer

GRID_SIZE = 30
"""Number of clips on one page of the grid, which is also the maximum in one request."""
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


class LabelRequest(Config):
    """An answer of a rater."""

    clip: str = Field(max_length=200)
    """Pseudonym of the clip."""
    kind: Literal[EventKind.LABEL, EventKind.ADJUDICATION] = EventKind.LABEL
    """A reading, or the decision on a disagreement."""
    answer: Literal[LabelAnswer.VIEW, LabelAnswer.UNUSABLE, LabelAnswer.UNSURE]
    """The answer."""
    view: str = Field(default="", max_length=40)
    """The view, if the answer is one."""
    at: str = Field(pattern=_TIME)
    """Time of the answer; the same answer sent twice is one event."""
    seconds: float | None = Field(default=None, ge=0)
    """Seconds from the appearance of the clip to the answer."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """Confidence that the rater stated, 0 to 1."""
    frame_hash: str = Field(max_length=64)
    """SHA-256 of the frames that were shown."""
    seen: int = Field(ge=0)
    """Number of the last event of the label store when the clip was shown."""
    shown: bool = False
    """Whether the model's suggestion was on the screen."""


class SavedLabel(Config):
    """One saved answer."""

    clip: str = Field(max_length=200)
    """Pseudonym of the clip."""
    event: str = Field(max_length=64)
    """Identifier of its event."""


class RetractionRequest(Config):
    """Answers to retract: one answer, or those of a confirmed grid."""

    answers: tuple[SavedLabel, ...] = Field(min_length=1, max_length=GRID_SIZE)
    """The answers; all of them are retracted, or none."""
    at: str = Field(pattern=_TIME)
    """Time of the retraction."""


class ClipsRequest(Config):
    """Request for the next clips."""

    count: int = Field(default=6, ge=1, le=50)
    """Maximum number of clips."""
    without: tuple[str, ...] = ()
    """Clips that the page has loaded or the rater skipped."""
    first: tuple[str, ...] = ()
    """Clips that come before all others."""


class GridRequest(Config):
    """Request for the clips of a grid."""

    view: str
    """View that the model suggests."""


class ClipList(Config):
    """List of clips."""

    clips: tuple[str, ...] = Field(max_length=GRID_SIZE)
    """Pseudonyms of the clips."""
