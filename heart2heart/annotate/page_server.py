"""What the pages of this package share: their files, their error responses, and the server that runs an application.

Whatever a client names (a clip, an event, a file of the page) is looked up in a table that the server made; no text
from a client becomes part of a path.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import resources as package_files
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.annotate.auth import NotAuthenticatedError
from heart2heart.annotate.connections import REQUEST_SECONDS, BoundedListener, timed_protocol
from heart2heart.annotate.listen_address import ListenAddress
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


def file_routes(folder: str, only: Sequence[str] = (), *, below: str = "") -> list[Route]:
    """Return a route for every file of a folder of this package, each read once; `index.html` is the page itself.

    Args:
        folder: Name of the folder.
        only: Names of the files to take; empty takes all.
        below: First part of the addresses, such as `drawings/`.
    """
    routes = []
    for item in (package_files.files("heart2heart.annotate") / folder).iterdir():
        if not only or item.name in only:
            content_type = _CONTENT_TYPES[item.name[item.name.rindex(".") :]]
            address = "/" if item.name == "index.html" else f"/{below}{item.name}"
            routes.append(Route(address, _file(item.read_bytes(), content_type)))
    return routes


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


async def json_body(request: Request) -> dict[str, Any]:
    """Return the body of a request; empty for one without a body.

    Raises:
        ConfigError: the body is no JSON mapping.
    """
    if request.method == "GET":
        return {}
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):  # the latter: nested too deep
        raise ConfigError("the request is not JSON") from None
    if not isinstance(body, dict):
        raise ConfigError("the request is not a mapping")
    return body


def with_error_responses(
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


class PageAddress(ListenAddress, Protocol):
    """Settings of the address of a page."""

    @property
    def port(self) -> int:
        """TCP port; 0 chooses a free one."""

    @property
    def scheme(self) -> str:
        """`https` or `http`."""

    def hosts(self, port: int) -> frozenset[str]:
        """Return the accepted values of the Host header."""


class PageServer:
    """The server of a page; it listens from its construction.

    Args:
        settings: The address.
        build: Returns the application, given the port and a function that returns the accepted values of the Host
            header.
        request_seconds: Time of a request to arrive; None: the usual one.

    Raises:
        RemoteError: the address is in use, or not of this machine.
        ConfigError: the certificate cannot be used.
    """

    request_seconds = REQUEST_SECONDS

    def __init__(
        self,
        settings: PageAddress,
        build: Callable[[int, Callable[[], frozenset[str]]], Starlette],
        *,
        request_seconds: float | None = None,
    ) -> None:
        self.request_seconds = request_seconds or self.request_seconds
        self._socket = BoundedListener.of(_listen(settings.bind, settings.port))
        self.port: int = self._socket.getsockname()[1]
        try:
            hosts = settings.hosts(self.port)
            name = settings.names[0] if settings.names else settings.bind
            self.address = f"{settings.scheme}://{f'[{name}]' if ':' in name else name}:{self.port}/"
            self._server = uvicorn.Server(self._config(settings, build(self.port, lambda: hosts)))
        except BaseException:
            self._socket.close()
            raise

    def _config(self, settings: PageAddress, application: Starlette) -> uvicorn.Config:
        config = uvicorn.Config(
            application,
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

    def resources(self) -> AbstractContextManager[object]:
        """Return what is open while the page is served."""
        return nullcontext()

    def close(self) -> None:
        """Stop listening, before `run`."""
        self._socket.close()

    def run(self, ready: Callable[[str], None]) -> None:
        """Answer requests until SIGTERM, Ctrl-C or `stop`.

        Args:
            ready: Receives the address of the page.
        """
        ready(self.address)
        try:
            with self.resources():
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
