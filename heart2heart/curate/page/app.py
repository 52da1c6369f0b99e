"""What the page can ask: each address, who may ask it, and how a refusal is told.

Whatever a client names (a clip, an event, a file of the page) is looked up in a table that the server made; no text
from a client becomes part of a path.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from urllib.parse import quote

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.config import Config
from heart2heart.curate.page.desk import Answer, Desk, TakeBack
from heart2heart.curate.page.entry import Entrance, NotEnteredError
from heart2heart.curate.page.guard import Guard
from heart2heart.curate.page.raters import Rater
from heart2heart.curate.page.tables import Table, agreement_tables, progress_tables
from heart2heart.errors import (
    ConfigError,
    Heart2HeartError,
    LabelConflictError,
    MissingInputError,
    StoreError,
)
from heart2heart.views import VIEWS

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATUS: tuple[tuple[type[Heart2HeartError], int], ...] = (
    (NotEnteredError, 401), (LabelConflictError, 409), (MissingInputError, 404), (ConfigError, 400), (StoreError, 410),
)  # fmt: skip
"""Status by kind of error; any other is 503, upon which the page keeps the answer and tries again."""

THUMB = 64
"""Pixels; a thumbnail of the contact sheet is at most this wide."""
GRID_FRAMES, GRID_SIDE, GRID_CLIPS = 6, 128, 30


class Wish(Config):
    """Which clips the page asks for."""

    count: int = Field(default=6, ge=1, le=50)
    """How many."""
    without: tuple[str, ...] = ()
    """Clips that the page has, or that were passed over."""
    first: tuple[str, ...] = ()
    """Clips to be asked before all others."""


class GridWish(Config):
    """Which clips the grid asks for."""

    view: str
    """Called so by the model."""


class Named(Config):
    """Some clips."""

    clips: tuple[str, ...] = Field(max_length=GRID_CLIPS)
    """Their pseudonyms."""


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


def build(desk: Desk, entrance: Entrance, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        desk: Who is asked what.
        entrance: Who may come in.
        hosts: Gives the values of the Host header that are answered.
    """

    def api(path: str, answer: Callable[[Call], Response], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            content = await _content(request)
            rater = await run_in_threadpool(entrance.rater, request.cookies)
            call = Call(rater, desk, request.path_params.get("clip", ""), content)
            return await run_in_threadpool(answer, call)

        return Route(f"/api/{path}", _told(endpoint), methods=[method])

    async def enter(request: Request) -> Response:
        content = await _content(request)
        rater, secret = await run_in_threadpool(entrance.admit, content)
        response = JSONResponse({"name": rater.name})
        response.set_cookie(
            entrance.cookie, quote(secret), httponly=True, samesite="strict", secure=desk.settings.scheme == "https",
            max_age=365 * 86400,
        )  # fmt: skip
        return response

    async def me(request: Request) -> Response:
        try:
            rater = await run_in_threadpool(entrance.rater, request.cookies)
        except NotEnteredError as error:  # nothing went wrong: this is how the page learns whom to ask
            return JSONResponse({"enter": str(error), "by": entrance.by})
        return JSONResponse(_me(rater, desk))

    async def leave(request: Request) -> Response:
        response = JSONResponse({})
        response.delete_cookie(entrance.cookie)
        return response

    routes = [
        *(Route(path, _file(content, kind)) for path, content, kind in _files()),
        Route("/api/enter", _told(enter), methods=["POST"]),
        Route("/api/leave", leave, methods=["POST"]),
        Route("/api/me", me),
        api("work", _work, "POST"),
        api("clips/{clip}", lambda call: JSONResponse(_present(call, [call.clip])[0])),
        api("clips/{clip}/frames", _frames),
        api("clips/{clip}/sheet", _sheet),
        api("clips/{clip}/thumbs", _thumbs),
        api("answers", _save, "POST"),
        api("taken-back", _take_back, "POST"),
        api("grid", lambda call: JSONResponse({"counts": call.desk.grid_counts()})),
        api("grid", _grid, "POST"),
        api("strips", _strips, "POST"),
        api("review", _review),
        api("review/{clip}", _review_one),
        api("progress", lambda call: _tables(progress_tables(_fresh(call.desk)))),
        api("agreement", lambda call: _tables(agreement_tables(_fresh(call.desk).events()))),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, hosts=hosts, scheme=desk.settings.scheme)])


def _files() -> list[tuple[str, bytes, str]]:
    """Return address, content and type of every file of the page, read once."""
    folder = resources.files("heart2heart.curate.page") / "static"
    found = []
    for item in folder.iterdir():
        kind = _TYPES[item.name[item.name.rindex(".") :]]
        found.append(("/" if item.name == "index.html" else f"/{item.name}", item.read_bytes(), kind))
    return found


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


async def _content(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        content = json.loads(await request.body())
    except ValueError:
        raise ConfigError("the request is not JSON") from None
    if not isinstance(content, dict):
        raise ConfigError("the request is no mapping")
    return content


def _told(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn an error into an answer; the paths of the server's files stay out of it."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Heart2HeartError as error:
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 503)
            text = error.what if error.remedy is None else f"{error.what}. {error.remedy}"
            return JSONResponse({"error": text}, status)

    return guarded


def _fresh(desk: Desk) -> Desk:
    desk.refresh()
    return desk


def _present(call: Call, clips: Sequence[str], *, ruling: bool = False) -> list[dict[str, Any]]:
    return [call.desk.present(clip, call.rater.name, ruling=ruling) for clip in clips]


def _me(rater: Rater, desk: Desk) -> dict[str, Any]:
    views = [{"name": view.name, "title": view.title, "key": view.key} for view in VIEWS.values()]
    return {
        "name": rater.name,
        "adjudicator": rater.adjudicator,
        "views": views,
        "size": desk.shelf.size,
        "grid": bool(desk.suggestions),
        "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _work(call: Call) -> Response:
    wish = Wish.parse(call.content, where="request")
    clips = call.desk.work(call.rater.name, wish.count, without=wish.without, first=wish.first)
    left = sum(call.desk.waits_for(clip, call.rater.name) for clip in call.desk.order())
    return JSONResponse({"clips": _present(call, clips), "left": left})


def _frames(call: Call) -> Response:
    call.desk.shelf.refresh()
    pixels = call.desk.shelf.pixels(call.desk.shelf.find(call.clip))
    return Response(pixels.tobytes(), media_type="application/octet-stream")


def _sheet(call: Call) -> Response:
    shelf = call.desk.shelf
    clips = shelf.studies[shelf.find(call.clip).study]
    mine = [{"clip": clip, "mine": call.desk.state(clip).readings.get(call.rater.name)} for clip in clips]
    return JSONResponse({"clips": mine})


def _thumbs(call: Call) -> Response:
    shelf = call.desk.shelf
    sheet = shelf.sheet(shelf.studies[shelf.find(call.clip).study], each=1, side=THUMB)
    return Response(sheet.tobytes(), media_type="application/octet-stream")


def _save(call: Call) -> Response:
    answer = Answer.parse(call.content, where="request")
    ruling = answer.kind == "adjudication"
    if ruling:
        _adjudicators_only(call)
    try:
        event = call.desk.save(call.rater.name, answer)
    except LabelConflictError as error:
        now = call.desk.present(answer.clip, call.rater.name, ruling=ruling)
        return JSONResponse({"error": error.what, "now": now}, 409)
    return JSONResponse({"event": event.identifier, "now": _present(call, [event.clip], ruling=ruling)[0]})


def _take_back(call: Call) -> Response:
    asked = TakeBack.parse(call.content, where="request")
    call.desk.take_back(call.rater.name, asked)
    return JSONResponse({"now": _present(call, [asked.clip])[0]})


def _grid(call: Call) -> Response:
    wish = GridWish.parse(call.content, where="request")
    clips = call.desk.grid(call.rater.name, wish.view, GRID_CLIPS)
    about = {"clips": _present(call, clips), "frames": GRID_FRAMES, "counts": call.desk.grid_counts()}
    return JSONResponse(about)


def _strips(call: Call) -> Response:
    asked = Named.parse(call.content, where="request")
    strips = call.desk.shelf.sheet(asked.clips, each=GRID_FRAMES, side=GRID_SIDE)
    return Response(strips.tobytes(), media_type="application/octet-stream")


def _review(call: Call) -> Response:
    _adjudicators_only(call)
    return JSONResponse({"clips": _present(call, call.desk.disagreements(), ruling=True)})


def _review_one(call: Call) -> Response:
    _adjudicators_only(call)
    return JSONResponse(_present(call, [call.clip], ruling=True)[0])


def _adjudicators_only(call: Call) -> None:
    if not call.rater.adjudicator:
        raise ConfigError("disagreements are decided by adjudicators")


def _tables(tables: Sequence[Table]) -> Response:
    shown = [{"title": t.title, "note": t.note, "columns": t.columns, "rows": t.rows} for t in tables]
    return JSONResponse({"tables": shown})
