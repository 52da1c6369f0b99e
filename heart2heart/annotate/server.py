"""The web application of the annotation page (its routes and error responses) and the server that runs it.

Whatever a client names (a clip, an event, a file of the page) is looked up in a table that the server made; no text
from a client becomes part of a path.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from importlib import resources
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.annotate import endpoints
from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.auth import Authenticator, NotAuthenticatedError
from heart2heart.annotate.connections import REQUEST_SECONDS, BoundedListener, timed_protocol
from heart2heart.annotate.middleware import SecurityMiddleware
from heart2heart.errors import (
    ConfigError,
    Heart2HeartError,
    LabelConflictError,
    MissingInputError,
    RemoteError,
    StoreError,
)

_CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HTTP_STATUS: tuple[tuple[type[Heart2HeartError], int], ...] = (
    (NotAuthenticatedError, 401), (LabelConflictError, 409), (MissingInputError, 404), (ConfigError, 400),
    (StoreError, 410),
)  # fmt: skip
"""HTTP status by kind of error. Any other error is 503, after which the page keeps the answer and tries again."""


def build_app(assignments: Assignments, authenticator: Authenticator, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        assignments: The clips, the label store and the assignment of clips to raters.
        authenticator: Authenticates raters.
        hosts: Returns the accepted values of the Host header.
    """

    def api(path: str, handler: Callable[[endpoints.ApiRequest], Response], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            body = await _json_body(request)
            rater = await run_in_threadpool(authenticator.rater, request.cookies)
            api_request = endpoints.ApiRequest(rater, assignments, request.path_params.get("clip", ""), body)
            return await run_in_threadpool(handler, api_request)

        return Route(f"/api/{path}", _with_error_responses(endpoint), methods=[method])

    async def sign_in(request: Request) -> Response:
        body = await _json_body(request)
        rater, credential = await run_in_threadpool(authenticator.log_in, body)
        response = JSONResponse({"name": rater.name})
        response.set_cookie(
            authenticator.cookie, quote(credential), httponly=True, samesite="strict",
            secure=assignments.settings.scheme == "https", max_age=365 * 86400,
        )  # fmt: skip
        return response

    async def session(request: Request) -> Response:
        try:
            rater = await run_in_threadpool(authenticator.rater, request.cookies)
        except NotAuthenticatedError as error:  # not a failure: the page learns which credential to ask for
            return JSONResponse({"sign_in": str(error), "credential": authenticator.credential})
        return JSONResponse(endpoints.session(rater, assignments))

    async def sign_out(request: Request) -> Response:
        response = JSONResponse({})
        response.delete_cookie(authenticator.cookie)
        return response

    routes = [
        *(Route(path, _file(content, kind)) for path, content, kind in _files()),
        Route("/api/sign-in", _with_error_responses(sign_in), methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
        Route("/api/session", session),
        api("next-clips", endpoints.next_clips, "POST"),
        api("clips/{clip}", endpoints.clip_details),
        api("clips/{clip}/frames", endpoints.clip_frames),
        api("clips/{clip}/sheet", endpoints.study_clips),
        api("clips/{clip}/thumbs", endpoints.study_thumbnails),
        api("answers", endpoints.save_label, "POST"),
        api("retractions", endpoints.retract_labels, "POST"),
        api("grid", endpoints.grid_counts),
        api("grid", endpoints.grid_clips, "POST"),
        api("grid-frames", endpoints.grid_frames, "POST"),
        api("review", endpoints.disagreements),
        api("review/{clip}", endpoints.disagreement_details),
        api("progress", endpoints.progress),
        api("agreement", endpoints.agreement),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(SecurityMiddleware, hosts=hosts, scheme=assignments.settings.scheme)]
    )


def _files() -> list[tuple[str, bytes, str]]:
    """Return address, content and type of every file of the page, read once."""
    folder = resources.files("heart2heart.annotate") / "static"
    files = []
    for item in folder.iterdir():
        content_type = _CONTENT_TYPES[item.name[item.name.rindex(".") :]]
        files.append(("/" if item.name == "index.html" else f"/{item.name}", item.read_bytes(), content_type))
    return files


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


async def _json_body(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):  # the latter: nested too deep
        raise ConfigError("the request is not JSON") from None
    if not isinstance(body, dict):
        raise ConfigError("the request is not a mapping")
    return body


def _with_error_responses(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers errors with a status and a message, without paths of the server."""

    async def with_responses(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:  # in the middle of a request: nobody reads the response
            return Response(status_code=400)
        except Heart2HeartError as error:
            status = next((status for kind, status in _HTTP_STATUS if isinstance(error, kind)), 503)
            text = error.what if error.remedy is None else f"{error.what}. {error.remedy}"
            return JSONResponse({"error": text}, status)

    return with_responses


_SHUTDOWN_TIMEOUT_S = 3  # for open requests, when the page is stopped


_MAX_HEADER_BYTES = 2**15


class AnnotationServer:
    """The server of the page; it listens from its construction.

    Args:
        assignments: The assignment of clips to raters; its settings hold the address.

    Raises:
        RemoteError: the address is in use, or not of this machine.
        ConfigError: the certificate cannot be used, or the label store has another double-reading plan.
    """

    request_seconds = REQUEST_SECONDS

    def __init__(self, assignments: Assignments) -> None:
        settings = assignments.settings
        self._label_store = assignments.label_store
        self._socket = BoundedListener.of(_listen(settings.bind, settings.port))
        self.port: int = self._socket.getsockname()[1]
        with ExitStack() as stack:
            stack.callback(self._socket.close)
            authenticator = Authenticator(settings.raters, self.port)
            self._server = uvicorn.Server(self._config(assignments, authenticator))
            assignments.settle_plan()
            assignments.refresh()
            stack.pop_all()

    def _config(self, assignments: Assignments, authenticator: Authenticator) -> uvicorn.Config:
        settings = assignments.settings
        hosts = settings.hosts(self.port)
        name = settings.names[0] if settings.names else settings.bind
        self.address = f"{settings.scheme}://{f'[{name}]' if ':' in name else name}:{self.port}/"
        config = uvicorn.Config(
            build_app(assignments, authenticator, lambda: hosts),
            ssl_certfile=settings.certificate, ssl_keyfile=settings.private_key,
            log_level="error", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S, proxy_headers=False, loop="asyncio", ws="none",
            http=timed_protocol(self._socket.touch, self.request_seconds),
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        )  # fmt: skip
        try:
            config.load()
        except OSError as error:  # ssl's own errors are of this kind
            raise ConfigError("this certificate or its key cannot be used", where=settings.certificate) from error
        return config

    def run(self, ready: Callable[[str], None]) -> None:
        """Answer requests until SIGTERM, Ctrl-C or `stop`.

        Args:
            ready: Receives the address of the page.
        """
        ready(self.address)
        try:
            with self._label_store.keep_open():
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Make `run` return soon; may be called from another thread."""
        self._server.should_exit = True


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        return socket.create_server((bind, port), family=family, backlog=256)
    except OSError as error:
        remedy = "Give another --port, or an address of this machine with --bind"
        raise RemoteError(f"cannot listen at port {port}", where=bind, remedy=remedy) from error
