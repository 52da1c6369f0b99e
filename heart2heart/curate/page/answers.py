"""What the page gives for each thing that a rater can ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from heart2heart.curate.page.desk import Desk
from heart2heart.curate.page.messages import GRID_CLIPS, Answer, GridWish, Named, TakeBack, Wish
from heart2heart.curate.page.raters import Rater
from heart2heart.curate.page.tables import Table, agreement_tables, progress_tables
from heart2heart.errors import ConfigError, LabelConflictError
from heart2heart.views import VIEWS

THUMB = 64
"""Pixels; a thumbnail of the contact sheet is at most this wide."""
GRID_FRAMES, GRID_SIDE = 6, 128


@dataclass(frozen=True)
class Call:
    """One request of a rater who has entered.

    Attributes:
        rater: Who asks.
        desk: Where to ask.
        clip: The clip that the address names; empty when it names none.
        content: The body, a mapping; empty when there is none.
    """

    rater: Rater
    desk: Desk
    clip: str
    content: dict[str, Any]


def _fresh(desk: Desk) -> Desk:
    desk.refresh()
    return desk


def _present(call: Call, clips: Sequence[str], *, ruling: bool = False) -> list[dict[str, Any]]:
    return [call.desk.present(clip, call.rater.name, ruling=ruling) for clip in clips]


def me(rater: Rater, desk: Desk) -> dict[str, Any]:
    """Who is here, and what the page needs to begin."""
    views = [{"name": view.name, "title": view.title, "key": view.key} for view in VIEWS.values()]
    return {
        "name": rater.name,
        "adjudicator": rater.adjudicator,
        "views": views,
        "size": desk.shelf.size,
        "grid": bool(desk.suggestions),
        "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def work(call: Call) -> Response:
    """The next clips for this rater, and how many wait in all."""
    wish = Wish.parse(call.content, where="request")
    clips = call.desk.work(call.rater.name, wish.count, without=wish.without, first=wish.first)
    left = sum(call.desk.waits_for(clip, call.rater.name) for clip in call.desk.order())
    return JSONResponse({"clips": _present(call, clips), "left": left})


def one(call: Call) -> Response:
    """What this rater may see of one clip."""
    return JSONResponse(_present(call, [call.clip])[0])


def frames(call: Call) -> Response:
    """All frames of a clip, a byte a pixel."""
    call.desk.shelf.refresh()
    pixels = call.desk.shelf.pixels(call.desk.shelf.find(call.clip))
    return Response(pixels.tobytes(), media_type="application/octet-stream")


def sheet(call: Call) -> Response:
    """The clips of the same study, with what this rater said of each."""
    shelf = call.desk.shelf
    clips = shelf.studies[shelf.find(call.clip).study]
    mine = [{"clip": clip, "mine": call.desk.state(clip).readings.get(call.rater.name)} for clip in clips]
    return JSONResponse({"clips": mine})


def thumbs(call: Call) -> Response:
    """A small frame of each clip of the same study, in the order of `sheet`."""
    shelf = call.desk.shelf
    sheet = shelf.sheet(shelf.studies[shelf.find(call.clip).study], each=1, side=THUMB)
    return Response(sheet.tobytes(), media_type="application/octet-stream")


def save(call: Call) -> Response:
    """Record an answer; 409 with the present state when the clip is not what the rater saw."""
    answer = Answer.parse(call.content, where="request")
    ruling = answer.kind == "adjudication"
    if ruling:
        _adjudicators_only(call)
    try:
        event = call.desk.save(call.rater.name, answer)
    except LabelConflictError as error:
        now = call.desk.present(answer.clip, call.rater.name, ruling=ruling, told=True)
        return JSONResponse({"error": error.what, "now": now}, 409)
    # An answer that was saved before and is sent again counts as saved, though its clip may be gone by now.
    there = [event.clip] if event.clip in call.desk.shelf.clips else []
    return JSONResponse({"event": event.identifier, "now": next(iter(_present(call, there, ruling=ruling)), None)})


def take_back(call: Call) -> Response:
    """Record that the rater takes answers back, all or none."""
    asked = TakeBack.parse(call.content, where="request")
    call.desk.take_back(call.rater.name, asked)
    return JSONResponse({})


def counts(call: Call) -> Response:
    """How many clips are left for the grid, by suggested view."""
    return JSONResponse({"counts": _fresh(call.desk).grid_counts()})


def grid(call: Call) -> Response:
    """Thirty unread clips that the model calls by one view."""
    wish = GridWish.parse(call.content, where="request")
    clips = call.desk.grid(call.rater.name, wish.view, GRID_CLIPS)
    about = {"clips": _present(call, clips), "frames": GRID_FRAMES, "counts": call.desk.grid_counts()}
    return JSONResponse(about)


def strips(call: Call) -> Response:
    """A few small frames of each of some clips."""
    asked = Named.parse(call.content, where="request")
    strips = call.desk.shelf.sheet(asked.clips, each=GRID_FRAMES, side=GRID_SIDE)
    return Response(strips.tobytes(), media_type="application/octet-stream")


def review(call: Call) -> Response:
    """Every clip on which readers disagree, for an adjudicator; those that the adjudicator read come last."""
    _adjudicators_only(call)
    return JSONResponse({"clips": _present(call, call.desk.disagreements(call.rater.name), ruling=True)})


def review_one(call: Call) -> Response:
    """One clip as an adjudicator may see it."""
    _adjudicators_only(call)
    return JSONResponse(_present(call, [call.clip], ruling=True)[0])


def _adjudicators_only(call: Call) -> None:
    if not call.rater.adjudicator:
        raise ConfigError("this is for adjudicators: it tells what other readers said")


def _tables(tables: Sequence[Table]) -> Response:
    shown = [{"title": t.title, "note": t.note, "columns": t.columns, "rows": t.rows} for t in tables]
    return JSONResponse({"tables": shown})


def progress(call: Call) -> Response:
    """The tables of what is done and left; only an adjudicator learns how many clips are in dispute.

    A reader who saw that number rise would know that the answer just given was not the other reader's.
    """
    return _tables(progress_tables(_fresh(call.desk), disputes=call.rater.adjudicator))


def agreement(call: Call) -> Response:
    """The tables of how far raters agree, for an adjudicator."""
    _adjudicators_only(call)
    return _tables(agreement_tables(_fresh(call.desk).events()))
