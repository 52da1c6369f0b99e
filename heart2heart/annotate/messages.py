"""The bodies of the requests of the page, checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from heart2heart.annotate.clip_search import ClipFilter
from heart2heart.config import Config
from heart2heart.labels.events import MAX_SECONDS, is_time
from heart2heart.schema.enums import EventKind, LabelAnswer

GRID_SIZE = 30
"""Number of clips on one page of the grid, which is also the maximum in one request."""
MAX_NUMBER = 2**53
"""Maximum of a whole number that a browser counts exactly."""


def _checked_time(value: str) -> str:
    if not is_time(value):
        raise ValueError("the calendar has no such time")
    return value


Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"), AfterValidator(_checked_time)]
"""Time as a browser writes it, UTC."""


ClipName = Annotated[str, Field(max_length=200)]
"""Pseudonym of a clip."""


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
    at: Time
    """Time of the answer; the same answer sent twice is one event."""
    seconds: float | None = Field(default=None, ge=0, le=MAX_SECONDS)
    """Seconds from the appearance of the clip to the answer."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """Confidence that the rater stated, 0 to 1."""
    frame_hash: str = Field(max_length=64)
    """SHA-256 of the frames that were shown."""
    seen: int = Field(ge=0, le=MAX_NUMBER)
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
    at: Time
    """Time of the retraction."""


class ClipsRequest(Config):
    """Request for the next clips."""

    count: int = Field(default=6, ge=1, le=50)
    """Maximum number of clips."""
    without: tuple[ClipName, ...] = Field((), max_length=10_000)
    """Clips that the page has loaded or the rater skipped."""
    first: tuple[ClipName, ...] = Field((), max_length=10_000)
    """Clips that come before all others."""
    unsaved: tuple[ClipName, ...] = Field((), max_length=10_000)
    """Clips whose answers are on their way; they do not count as left, whether they have come or not."""
    filter: ClipFilter | None = None
    """Conditions that the clips must meet."""


class GridRequest(Config):
    """Request for the clips of a grid."""

    view: str = Field(max_length=40)
    """View that the model suggests."""


class ClipList(Config):
    """List of clips."""

    clips: tuple[ClipName, ...] = Field(max_length=GRID_SIZE)
    """Pseudonyms of the clips."""
