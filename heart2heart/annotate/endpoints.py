"""The endpoints of the page: one function for each request of a rater."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.auth import Rater
from heart2heart.annotate.clip_search import make_filter
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

THUMBNAIL_SIDE = 64
"""Maximum width of a thumbnail of the contact sheet, pixels."""
GRID_FRAMES, GRID_SIDE = 6, 128


@dataclass(frozen=True)
class ApiRequest:
    """One request of a rater who is signed in.

    Attributes:
        rater: The rater.
        assignments: The clips and their label events.
        clip: Clip in the address; empty without one.
        body: Body of the request; empty without one.
        span: Positions in the address, `first-last`; empty without them.
    """

    rater: Rater
    assignments: Assignments
    clip: str
    body: dict[str, Any]
    span: str = ""


def _refreshed(assignments: Assignments) -> Assignments:
    assignments.refresh()
    return assignments


def _describe(call: ApiRequest, clips: Sequence[str], *, adjudicating: bool = False) -> list[dict[str, Any]]:
    return [call.assignments.describe(clip, call.rater.name, adjudicating=adjudicating) for clip in clips]


def session(rater: Rater, assignments: Assignments) -> dict[str, Any]:
    """Return the rater and the data that the page needs to start."""
    keys = assignments.rater_keys.layout(rater.name, lambda: assignments.has_labeled(rater.name))
    return {
        "name": rater.name,
        "adjudicator": rater.adjudicator,
        "answers": assignments.rater_keys.describe_answers(keys),
        "presets": assignments.rater_keys.presets,
        "size": assignments.catalog.size,
        "grid": bool(assignments.suggestions),
        "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def choose_keys(call: ApiRequest) -> Response:
    """Keep the keys that the rater chose, and return every answer with its key."""
    rater_keys = call.assignments.rater_keys
    keys = rater_keys.choose(call.rater.name, call.body)
    return JSONResponse({"answers": rater_keys.describe_answers(keys)})


def next_clips(call: ApiRequest) -> Response:
    """Return the next clips for this rater, and the number of clips left."""
    clips_request = ClipsRequest.parse(call.body, where="request")
    accept = make_filter(call.assignments, call.rater, clips_request.filter)
    clips = call.assignments.next_clips(
        call.rater.name, clips_request.count, without=clips_request.without, first=clips_request.first, accept=accept
    )
    left = set(call.assignments.clips_left(call.rater.name, accept)).difference(clips_request.unsaved)
    return JSONResponse({"clips": _describe(call, clips), "left": len(left)})


def clip_details(call: ApiRequest) -> Response:
    """Return the details of one clip for this rater."""
    return JSONResponse(_describe(call, [call.clip])[0])


def clip_frames(call: ApiRequest) -> Response:
    """Return all frames of a clip, one byte per pixel."""
    call.assignments.catalog.refresh()
    pixels = call.assignments.catalog.pixels(call.assignments.catalog.find(call.clip))
    return Response(pixels.tobytes(), media_type="application/octet-stream")


def study_clips(call: ApiRequest) -> Response:
    """Return the clips of the same study, with this rater's answer for each."""
    catalog = call.assignments.catalog
    clips = catalog.studies[catalog.find(call.clip).study]
    details = [{"clip": clip, "own_answer": call.assignments.own_reading(clip, call.rater.name)} for clip in clips]
    return JSONResponse({"clips": details})


def study_thumbnails(call: ApiRequest) -> Response:
    """Return a thumbnail of each clip of the same study, in the order of `study_clips`."""
    catalog = call.assignments.catalog
    catalog.refresh()
    thumbnails = catalog.thumbnails(catalog.studies[catalog.find(call.clip).study], each=1, side=THUMBNAIL_SIDE)
    return Response(thumbnails.tobytes(), media_type="application/octet-stream")


def save_label(call: ApiRequest) -> Response:
    """Record an answer; status 409 and the present details if the clip changed since the rater saw it."""
    answer = LabelRequest.parse(call.body, where="request")
    is_adjudication = answer.kind == EventKind.ADJUDICATION
    if is_adjudication:
        adjudicators_only(call)
    try:
        event = call.assignments.save(call.rater.name, answer)
    except LabelConflictError as error:
        now = call.assignments.describe(answer.clip, call.rater.name, adjudicating=is_adjudication, label_known=True)
        return JSONResponse({"error": error.what, "now": now}, 409)
    # An answer that is sent again after it was saved counts as saved, even if no store holds its clip any more.
    present = [event.clip] if event.clip in call.assignments.catalog.clips else []
    return JSONResponse(
        {"event": event.identifier, "now": next(iter(_describe(call, present, adjudicating=is_adjudication)), None)}
    )


def retract_labels(call: ApiRequest) -> Response:
    """Retract answers of the rater, all or none."""
    retraction_request = RetractionRequest.parse(call.body, where="request")
    call.assignments.retract(call.rater.name, retraction_request)
    return JSONResponse({})


def grid_counts(call: ApiRequest) -> Response:
    """Return the number of clips left for the grid, by suggested view."""
    return JSONResponse({"counts": _refreshed(call.assignments).grid_counts()})


def grid_clips(call: ApiRequest) -> Response:
    """Return up to `GRID_SIZE` unread clips with one suggested view."""
    grid_request = GridRequest.parse(call.body, where="request")
    clips = call.assignments.grid(call.rater.name, grid_request.view, GRID_SIZE)
    content = {
        "clips": _describe(call, clips),
        "probabilities": [call.assignments.suggestions[clip].probability for clip in clips],
        "frames": GRID_FRAMES,
        "counts": call.assignments.grid_counts(),
    }
    return JSONResponse(content)


def grid_frames(call: ApiRequest) -> Response:
    """Return `GRID_FRAMES` reduced frames of each clip."""
    clip_list = ClipList.parse(call.body, where="request")
    call.assignments.catalog.refresh()
    thumbnails = call.assignments.catalog.thumbnails(clip_list.clips, each=GRID_FRAMES, side=GRID_SIDE)
    return Response(thumbnails.tobytes(), media_type="application/octet-stream")


def disagreements(call: ApiRequest) -> Response:
    """Return the clips on which readers disagree, for an adjudicator; those that the adjudicator read come last."""
    adjudicators_only(call)
    return JSONResponse({"clips": _describe(call, call.assignments.disagreements(call.rater.name), adjudicating=True)})


def disagreement_details(call: ApiRequest) -> Response:
    """Return the details of one clip for an adjudicator."""
    adjudicators_only(call)
    return JSONResponse(_describe(call, [call.clip], adjudicating=True)[0])


def adjudicators_only(call: ApiRequest) -> None:
    """Refuse a rater who is no adjudicator."""
    if not call.rater.adjudicator:
        raise ConfigError("this page is for adjudicators, because it shows the answers of other readers")


def _tables(tables: Sequence[PageTable]) -> Response:
    return JSONResponse({"tables": [asdict(table) for table in tables]})


def progress(call: ApiRequest) -> Response:
    """Return the tables of progress; only an adjudicator sees the number of disagreements.

    A reader who saw that number rise would know that the last answer differed from the other reader's.
    """
    reader = "" if call.rater.adjudicator else call.rater.name
    return _tables(progress_tables(_refreshed(call.assignments), reader=reader))


def agreement(call: ApiRequest) -> Response:
    """Return the tables of agreement, for an adjudicator."""
    adjudicators_only(call)
    return _tables(agreement_tables(_refreshed(call.assignments).events()))
