"""The web application of the service: STOW-RS, upload, answers, health, metrics and the page."""

from __future__ import annotations

import base64
import re
import secrets
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from heart2heart.annotate.middleware import SecurityMiddleware
from heart2heart.errors import ConfigError, MissingInputError, NoSpaceError
from heart2heart.service.metrics import CONTENT_TYPE
from heart2heart.service.page import STYLE, service_page
from heart2heart.service.uploads import UploadRefusedError, stow, upload_clip
from heart2heart.service.web_parts import WebParts, clip_content


def read_token(path: Path | None) -> str | None:
    """Return the token of callers; None without a file.

    Raises:
        MissingInputError: no such file.
        ConfigError: others may read it, or it is too short or no plain text.
    """
    if path is None:
        return None
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii")[:1000].strip()
    except FileNotFoundError as error:
        raise MissingInputError("no token file here", where=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("this token file cannot be read", where=path) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError("others may read this token file", where=path, remedy=f"Run: chmod 600 {path}")
    if len(token) < 16 or not token.isprintable() or " " in token:
        raise ConfigError("a token has at least 16 characters without blanks", where=path)
    return token


def is_authorized(header: str, token: str | None) -> bool:
    """Return whether an Authorization header holds the token, as bearer token or as password of any user.

    Examples:
        >>> is_authorized("Bearer 0123456789abcdef", "0123456789abcdef"), is_authorized("", None)
        (True, True)
    """
    if token is None:
        return True
    kind, _, value = header.partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    elif kind.lower() != "bearer":
        return False
    return secrets.compare_digest(value.strip().encode(), token.encode())


def build_service_app(parts: WebParts, token: str | None, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        parts: What it uses.
        token: Token of callers; None: none is needed.
        hosts: Returns the accepted values of the Host header.
    """

    def route(path: str, handler: Callable[[WebParts, Request], Awaitable[Response]], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            if not is_authorized(request.headers.get("authorization", ""), token):
                head = {"WWW-Authenticate": 'Basic realm="heart2heart", charset="UTF-8"'}
                return JSONResponse({"error": "this service needs its token"}, 401, head)
            try:
                return await handler(parts, request)
            except UploadRefusedError as error:
                return JSONResponse({"error": str(error)}, error.status)
            except ClientDisconnect:  # a truncated upload; nothing of it is kept
                parts.queue.count_event("uploads_truncated")
                return Response(status_code=400)
            except NoSpaceError:
                return JSONResponse({"error": "the disk of the service is full"}, 507)

        return Route(path, endpoint, methods=list(methods) or ["GET"])

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "up"})

    async def ready(request: Request) -> Response:
        is_ready = parts.is_ready() and await run_in_threadpool(parts.intake.has_room)
        return JSONResponse({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)

    routes = [
        Route("/health", health),
        Route("/ready", ready),
        route("/", _page),
        route("/style.css", _style),
        route("/metrics", _metrics),
        route("/clips", upload_clip, "POST"),
        route("/clips/{clip}", _clip),
        route("/studies/{study}", _study),
        route("/dicom-web/studies", stow, "POST"),
        route("/dicom-web/studies/{study}", stow, "POST"),
    ]
    scheme = parts.settings.web.scheme
    return Starlette(routes=routes, middleware=[Middleware(SecurityMiddleware, hosts=hosts, scheme=scheme)])


async def _page(parts: WebParts, request: Request) -> Response:
    text = await run_in_threadpool(lambda: service_page(parts.queue, parts.shifts(), parts.drift()))
    return Response(text, media_type="text/html")


async def _style(parts: WebParts, request: Request) -> Response:
    return Response(STYLE, media_type="text/css")


async def _metrics(parts: WebParts, request: Request) -> Response:
    return PlainTextResponse(await run_in_threadpool(parts.metrics.text), headers={"Content-Type": CONTENT_TYPE})


async def _clip(parts: WebParts, request: Request) -> Response:
    """Return a clip by its name or its SOP Instance UID."""
    name = request.path_params["clip"]
    if re.fullmatch(r"[0-9]+(\.[0-9]+)+", name):
        name = parts.spool.path(name).stem
    content = await run_in_threadpool(clip_content, parts.queue, name)
    return JSONResponse(content or {"error": "no such clip"}, 200 if content else 404)


async def _study(parts: WebParts, request: Request) -> Response:
    def clips() -> list[dict[str, Any]]:
        sql = "SELECT name FROM clips WHERE study = ? ORDER BY received, name LIMIT 10000"
        return [
            clip_content(parts.queue, name) or {} for (name,) in parts.queue.rows(sql, request.path_params["study"])
        ]

    found_clips = await run_in_threadpool(clips)
    content = (
        {"study": request.path_params["study"], "clips": found_clips} if found_clips else {"error": "no such study"}
    )
    return JSONResponse(content, 200 if found_clips else 404)
