"""What the page gives for each thing that a rater can ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.auth import Rater
from heart2heart.annotate.messages import (
    GRID_SIZE,
    ClipList,
    ClipsRequest,
    GridRequest,
    LabelRequest,
    RetractionRequest,
)
from heart2heart.annotate.progress_tables import PageTable, agreement_tables, progress_tables
from heart2heart.errors import ConfigError, LabelConflictError
from heart2heart.schema.enums import EventKind
from heart2heart.schema.views import VIEWS

THUMBNAIL_SIDE = 64
"""Pixels; a thumbnail of the contact sheet is at most this wide."""
GRID_FRAMES, GRID_SIDE = 6, 128


@dataclass(frozen=True)
class ApiRequest:
    """One request of a rater who has entered.

    Attributes:
        rater: Who asks.
        assignments: Where to ask.
        clip: The clip that the address names; empty when it names none.
        body: The body, a mapping; empty when there is none.
    """

    rater: Rater
    assignments: Assignments
    clip: str
    body: dict[str, Any]


def _refreshed(assignments: Assignments) -> Assignments:
    assignments.refresh()
    return assignments


def _describe(call: ApiRequest, clips: Sequence[str], *, ruling: bool = False) -> list[dict[str, Any]]:
    return [call.assignments.describe(clip, call.rater.name, ruling=ruling) for clip in clips]


def session(rater: Rater, assignments: Assignments) -> dict[str, Any]:
    """Who is here, and what the page needs to begin."""
    views = [{"name": view.name, "title": view.title, "key": view.key} for view in VIEWS.values()]
    return {
        "name": rater.name,
        "adjudicator": rater.adjudicator,
        "views": views,
        "size": assignments.catalog.size,
        "grid": bool(assignments.suggestions),
        "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def next_clips(call: ApiRequest) -> Response:
    """The next clips for this rater, and how many wait in all."""
    clips_request = ClipsRequest.parse(call.body, where="request")
    clips = call.assignments.next_clips(
        call.rater.name, clips_request.count, without=clips_request.without, first=clips_request.first
    )
    n_left = sum(call.assignments.needs_reading_by(clip, call.rater.name) for clip in call.assignments.clip_order())
    return JSONResponse({"clips": _describe(call, clips), "left": n_left})


def clip_details(call: ApiRequest) -> Response:
    """What this rater may see of one clip."""
    return JSONResponse(_describe(call, [call.clip])[0])


def clip_frames(call: ApiRequest) -> Response:
    """All frames of a clip, a byte a pixel."""
    call.assignments.catalog.refresh()
    pixels = call.assignments.catalog.pixels(call.assignments.catalog.find(call.clip))
    return Response(pixels.tobytes(), media_type="application/octet-stream")


def study_clips(call: ApiRequest) -> Response:
    """The clips of the same study, with what this rater said of each."""
    catalog = call.assignments.catalog
    clips = catalog.studies[catalog.find(call.clip).study]
    own_answers = [{"clip": clip, "mine": call.assignments.state(clip).readings.get(call.rater.name)} for clip in clips]
    return JSONResponse({"clips": own_answers})


def study_thumbnails(call: ApiRequest) -> Response:
    """A small frame of each clip of the same study, in the order of `sheet`."""
    catalog = call.assignments.catalog
    thumbnails = catalog.thumbnails(catalog.studies[catalog.find(call.clip).study], each=1, side=THUMBNAIL_SIDE)
    return Response(thumbnails.tobytes(), media_type="application/octet-stream")


def save_label(call: ApiRequest) -> Response:
    """Record an answer; 409 with the present state when the clip is not what the rater saw."""
    answer = LabelRequest.parse(call.body, where="request")
    is_adjudication = answer.kind == EventKind.ADJUDICATION
    if is_adjudication:
        _adjudicators_only(call)
    try:
        event = call.assignments.save(call.rater.name, answer)
    except LabelConflictError as error:
        now = call.assignments.describe(answer.clip, call.rater.name, ruling=is_adjudication, label_known=True)
        return JSONResponse({"error": error.what, "now": now}, 409)
    # An answer that was saved before and is sent again counts as saved, though its clip may be gone by now.
    present = [event.clip] if event.clip in call.assignments.catalog.clips else []
    return JSONResponse(
        {"event": event.identifier, "now": next(iter(_describe(call, present, ruling=is_adjudication)), None)}
    )


def retract_labels(call: ApiRequest) -> Response:
    """Record that the rater takes answers back, all or none."""
    retraction_request = RetractionRequest.parse(call.body, where="request")
    call.assignments.retract(call.rater.name, retraction_request)
    return JSONResponse({})


def grid_counts(call: ApiRequest) -> Response:
    """How many clips are left for the grid, by suggested view."""
    return JSONResponse({"counts": _refreshed(call.assignments).grid_counts()})


def grid_clips(call: ApiRequest) -> Response:
    """Thirty unread clips that the model calls by one view."""
    grid_request = GridRequest.parse(call.body, where="request")
    clips = call.assignments.grid(call.rater.name, grid_request.view, GRID_SIZE)
    content = {"clips": _describe(call, clips), "frames": GRID_FRAMES, "counts": call.assignments.grid_counts()}
    return JSONResponse(content)


def grid_frames(call: ApiRequest) -> Response:
    """A few small frames of each of some clips."""
    clip_list = ClipList.parse(call.body, where="request")
    thumbnails = call.assignments.catalog.thumbnails(clip_list.clips, each=GRID_FRAMES, side=GRID_SIDE)
    return Response(thumbnails.tobytes(), media_type="application/octet-stream")


def disagreements(call: ApiRequest) -> Response:
    """Every clip on which readers disagree, for an adjudicator; those that the adjudicator read come last."""
    _adjudicators_only(call)
    return JSONResponse({"clips": _describe(call, call.assignments.disagreements(call.rater.name), ruling=True)})


def disagreement_details(call: ApiRequest) -> Response:
    """One clip as an adjudicator may see it."""
    _adjudicators_only(call)
    return JSONResponse(_describe(call, [call.clip], ruling=True)[0])


def _adjudicators_only(call: ApiRequest) -> None:
    if not call.rater.adjudicator:
        raise ConfigError("this is for adjudicators: it tells what other readers said")


def _tables(tables: Sequence[PageTable]) -> Response:
    shown = [{"title": t.title, "note": t.note, "columns": t.columns, "rows": t.rows} for t in tables]
    return JSONResponse({"tables": shown})


def progress(call: ApiRequest) -> Response:
    """The tables of what is done and left; only an adjudicator learns how many clips are in dispute.

    A reader who saw that number rise would know that the answer just given was not the other reader's.
    """
    return _tables(progress_tables(_refreshed(call.assignments), disputes=call.rater.adjudicator))


def agreement(call: ApiRequest) -> Response:
    """The tables of how far raters agree, for an adjudicator."""
    _adjudicators_only(call)
    return _tables(agreement_tables(_refreshed(call.assignments).events()))
