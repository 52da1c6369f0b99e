"""What the page can ask: each address, who may ask it, and how a refusal is told.

Whatever a client names (a clip, an event, a file of the page) is looked up in a table that the server made; no text
from a client becomes part of a path.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.curate.page import answers
from heart2heart.curate.page.desk import Desk
from heart2heart.curate.page.entry import Entrance, NotEnteredError
from heart2heart.curate.page.guard import Guard
from heart2heart.errors import (
    ConfigError,
    Heart2HeartError,
    LabelConflictError,
    MissingInputError,
    StoreError,
)

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATUS: tuple[tuple[type[Heart2HeartError], int], ...] = (
    (NotEnteredError, 401), (LabelConflictError, 409), (MissingInputError, 404), (ConfigError, 400), (StoreError, 410),
)  # fmt: skip
"""Status by kind of error; any other is 503, upon which the page keeps the answer and tries again."""


def build(desk: Desk, entrance: Entrance, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        desk: Who is asked what.
        entrance: Who may come in.
        hosts: Gives the values of the Host header that are answered.
    """

    def api(path: str, answer: Callable[[answers.Call], Response], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            content = await _content(request)
            rater = await run_in_threadpool(entrance.rater, request.cookies)
            call = answers.Call(rater, desk, request.path_params.get("clip", ""), content)
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
        return JSONResponse(answers.me(rater, desk))

    async def leave(request: Request) -> Response:
        response = JSONResponse({})
        response.delete_cookie(entrance.cookie)
        return response

    routes = [
        *(Route(path, _file(content, kind)) for path, content, kind in _files()),
        Route("/api/enter", _told(enter), methods=["POST"]),
        Route("/api/leave", leave, methods=["POST"]),
        Route("/api/me", me),
        api("work", answers.work, "POST"),
        api("clips/{clip}", answers.one),
        api("clips/{clip}/frames", answers.frames),
        api("clips/{clip}/sheet", answers.sheet),
        api("clips/{clip}/thumbs", answers.thumbs),
        api("answers", answers.save, "POST"),
        api("taken-back", answers.take_back, "POST"),
        api("grid", answers.counts),
        api("grid", answers.grid, "POST"),
        api("strips", answers.strips, "POST"),
        api("review", answers.review),
        api("review/{clip}", answers.review_one),
        api("progress", answers.progress),
        api("agreement", answers.agreement),
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
