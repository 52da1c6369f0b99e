"""The endpoints of working together: search, quality, marked frames, notes, tasks, goals, agreement over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import Field
from starlette.responses import JSONResponse, Response

from heart2heart.annotate.auth import Raters
from heart2heart.annotate.clip_search import ClipFilter, filter_choices, search
from heart2heart.annotate.endpoints import ApiRequest, adjudicators_only
from heart2heart.annotate.messages import Time
from heart2heart.annotate.rater_tables import rater_tables, today_counts
from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import MAX_GOAL, MAX_MARKS, MAX_NOTE, ClipEvent, handover_text, marks_text
from heart2heart.schema.enums import ClipEventKind

NOTE_WARNING = "A note may hold identity: write no name, number or date of a patient. Notes are not exported."
"""Shown beside the field of a note."""


class QualityRequest(Config):
    """The image quality of a clip."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    quality: str = Field(max_length=20)
    """An `ImageQuality`; empty withdraws."""
    at: Time
    """Time of the answer."""


class MarksRequest(Config):
    """All marked frames of a clip."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    ed: tuple[int, ...] = Field((), max_length=MAX_MARKS)
    """Frames of end diastole: indices in the recording."""
    es: tuple[int, ...] = Field((), max_length=MAX_MARKS)
    """Frames of end systole."""
    at: Time
    """Time of the change."""


class NoteRequest(Config):
    """A note on a clip, which replaces the rater's former one."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    text: str = Field(max_length=MAX_NOTE)
    """Plain text; empty removes the note from the page."""
    at: Time
    """Time of the note."""


class HandoverRequest(Config):
    """A clip for a colleague."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    to: str = Field(min_length=1, max_length=60)
    """Name of the colleague."""
    text: str = Field(default="", max_length=MAX_NOTE)
    """Message to the colleague."""
    at: Time
    """Time of the request."""


class DoneRequest(Config):
    """The end of a task."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    at: Time
    """Time of the request."""


class GoalRequest(Config):
    """The daily goal of a rater."""

    clips: int = Field(ge=0, le=MAX_GOAL)
    """Clips a day; 0 for none."""
    at: Time
    """Time of the request."""


def _add(call: ApiRequest, clip: str, kind: ClipEventKind, at: str, value: str) -> None:
    if clip:
        call.assignments.catalog.find(clip)
    call.assignments.notes.add(ClipEvent(clip, kind, call.rater.name, at, value))
    call.assignments.refresh()


def save_quality(call: ApiRequest) -> Response:
    """Record the image quality of a clip."""
    request = QualityRequest.parse(call.body, where="request")
    _add(call, request.clip, ClipEventKind.QUALITY, request.at, request.quality)
    return JSONResponse({"quality": request.quality})


def save_marks(call: ApiRequest) -> Response:
    """Record the marked frames of a clip."""
    request = MarksRequest.parse(call.body, where="request")
    indices = set(call.assignments.catalog.find(request.clip).index.tolist())
    unknown = sorted({*request.ed, *request.es} - set(range(max(indices) + 1)))
    if unknown:
        raise ConfigError(f"the clip has no frame {unknown[0]}")
    value = marks_text({"ed": request.ed, "es": request.es})
    _add(call, request.clip, ClipEventKind.MARKS, request.at, value)
    return JSONResponse({"marks": call.assignments.notes.marks(request.clip, call.rater.name)})


def clip_notes(call: ApiRequest) -> Response:
    """Return the rater's note on a clip, the message with which a colleague handed it over, and other raters' notes.

    Only an adjudicator sees the notes of others, because a note may tell a reading.
    """
    assignments, name = call.assignments, call.rater.name
    assignments.catalog.find(call.clip)
    assignments.refresh()
    others = assignments.notes.notes_of_others(call.clip, name) if call.rater.adjudicator else []
    handover = assignments.notes.handovers.get(call.clip)
    is_mine = handover is not None and name in (handover.sender, handover.colleague)
    content = {
        "own": assignments.notes.note(call.clip, name),
        "others": [{"rater": rater, "text": text} for rater, text in others],
        "handover": asdict(handover) if handover is not None and is_mine else None,
        "warning": NOTE_WARNING,
        "longest": MAX_NOTE,
    }
    return JSONResponse(content)


def save_note(call: ApiRequest) -> Response:
    """Record a note on a clip."""
    request = NoteRequest.parse(call.body, where="request")
    _add(call, request.clip, ClipEventKind.NOTE, request.at, request.text.strip())
    return JSONResponse({})


def hand_over(call: ApiRequest) -> Response:
    """Hand a clip to a colleague, who then reads it in this rater's place."""
    request = HandoverRequest.parse(call.body, where="request")
    is_listed = call.assignments.settings.raters is not None
    if request.to == call.rater.name or (is_listed and request.to not in colleagues(call)):
        raise ConfigError(f"there is no colleague {request.to!r} to hand the clip to")
    _add(call, request.clip, ClipEventKind.HANDOVER, request.at, handover_text(request.to, request.text.strip()))
    return JSONResponse({})


def end_task(call: ApiRequest) -> Response:
    """Record that a task is done, or that a clip is taken back."""
    request = DoneRequest.parse(call.body, where="request")
    call.assignments.refresh()
    handover = call.assignments.notes.handovers.get(request.clip)
    if handover is None or call.rater.name not in (handover.sender, handover.colleague):
        raise ConfigError("you have no such task")
    call.assignments.notes.add(ClipEvent(request.clip, ClipEventKind.HANDOVER_DONE, call.rater.name, request.at, ""))
    call.assignments.refresh()
    return JSONResponse({})


def save_goal(call: ApiRequest) -> Response:
    """Record the daily goal of the rater."""
    request = GoalRequest.parse(call.body, where="request")
    _add(call, "", ClipEventKind.GOAL, request.at, str(request.clips))
    return JSONResponse({})


def colleagues(call: ApiRequest) -> list[str]:
    """Return the names of the other raters: of the file of raters, or of the label store where there is none."""
    assignments = call.assignments
    file = assignments.settings.raters
    if file is not None:
        names = {rater.name for rater in Raters.read(file).raters}
    else:
        names = {event.rater for event in assignments.events()} | {
            event.rater for event in assignments.notes.clip_events
        }
    return sorted(names - {call.rater.name})


def tasks(call: ApiRequest) -> Response:
    """Return the clips handed to and by this rater, the daily goal, and how far the rater is today."""
    assignments, name = call.assignments, call.rater.name
    assignments.refresh()
    clips = assignments.catalog.clips

    def describe(clip: str) -> dict[str, Any]:
        handover = asdict(assignments.notes.handovers[clip])
        return handover | {"site": clips[clip].site, "own_answer": assignments.own_reading(clip, name)}

    handovers = [handover for clip, handover in assignments.notes.handovers.items() if clip in clips]
    content = {
        "received": [describe(handover.clip) for handover in handovers if handover.colleague == name],
        "sent": [describe(handover.clip) for handover in handovers if handover.sender == name],
        "colleagues": colleagues(call),
        "goal": assignments.notes.goal(name),
        **today_counts(assignments, name, datetime.now(UTC)),
    }
    return JSONResponse(content)


def choices(call: ApiRequest) -> Response:
    """Return the values by which clips can be filtered."""
    call.assignments.refresh()
    return JSONResponse(filter_choices(call.assignments, call.rater))


def find_clips(call: ApiRequest) -> Response:
    """Return the clips that meet the conditions of a search."""
    conditions = ClipFilter.parse(call.body, where="request")
    call.assignments.refresh()
    return JSONResponse(search(call.assignments, call.rater, conditions))


def rater_agreement(call: ApiRequest) -> Response:
    """Return the tables of each rater over time and of gold clips, for an adjudicator."""
    adjudicators_only(call)
    call.assignments.refresh()
    return JSONResponse({"tables": [asdict(table) for table in rater_tables(call.assignments)]})


TEAM_ROUTES: tuple[tuple[str, Callable[[ApiRequest], Response], str], ...] = (
    ("quality", save_quality, "POST"),
    ("marks", save_marks, "POST"),
    ("clips/{clip}/notes", clip_notes, "GET"),
    ("notes", save_note, "POST"),
    ("handovers", hand_over, "POST"),
    ("tasks", tasks, "GET"),
    ("tasks", end_task, "POST"),
    ("goal", save_goal, "POST"),
    ("search", choices, "GET"),
    ("search", find_clips, "POST"),
    ("raters", rater_agreement, "GET"),
)
"""Address below `api/`, endpoint and method."""
