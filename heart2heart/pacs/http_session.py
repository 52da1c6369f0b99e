"""The HTTP session of a DICOMweb client: redirects to the same origin only, bodies of bounded size, and time limits."""

from __future__ import annotations

import socket
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, TooManyRedirects
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection

from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.multipart import BrokenResponseError

_PIECE = 2**18  # bytes of a response held at once
_BUSY = (429, 502, 503, 504)
_MAX_REDIRECTS = 5
_MAX_PAGE_BYTES = 2**25
_MAX_RATIO, _RATIO_FROM = 200, 2**24  # as for zip files: unpacked by packed size, checked beyond 16 MiB
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class TooLargeError(BrokenResponseError):
    """The body of a response is larger than permitted, or unpacks to more than its size makes plausible."""


class ForeignRedirectError(RequestException):
    """The server sends the client to another host, port or scheme."""


class UnusableResponseError(RequestException):
    """The body of a response is too large, too slow or not readable."""


class Watchdog:
    """Ends connections whose time is over, whatever they are doing; between two bytes, a timeout alone never ends."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.is_expired = False

    def watch(self, connection: socket.socket | None) -> None:
        """Add a connection.

        Raises:
            TimeoutError: the time is over.
        """
        if self.is_expired:
            raise TimeoutError("the time is over")
        if connection is not None:
            self._sockets.add(connection)

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """End every connection if the block takes longer."""
        self.is_expired = False
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.is_expired = True
        for connection in list(self._sockets):
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue


class BoundedSession(Session):
    """A session with one origin.

    Args:
        url: An address of the origin; redirects must stay at its scheme, host and port.
        credentials: Sent with every request.
        authority: File of the certificate authority of the server, if the system lacks it.
        attempts: Attempts at a request.
    """

    def __init__(self, url: str, credentials: Credentials, authority: Path | None, attempts: int) -> None:
        super().__init__()
        self._origin, self._authority, self.watchdog = _origin(url), authority, Watchdog()
        self.auth = credentials.auth()
        self.headers["Accept-Encoding"] = "gzip"
        # The Retry-After header of a server is ignored, because it may ask for hours.
        retry = Retry(
            attempts - 1,
            backoff_factor=0.3,
            status_forcelist=_BUSY,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WatchedAdapter(self.watchdog, retry))

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> Response:
        """Send a request; without `stream=True`, the response has its whole body, of bounded size.

        Raises:
            ForeignRedirectError: the server redirects to another origin.
            UnusableResponseError: the body is too large, or not readable.
        """
        if self._authority is not None:  # not `session.verify`, before which REQUESTS_CA_BUNDLE goes
            options["verify"] = str(self._authority)
        is_streamed = options.get("stream", False)
        options |= {"stream": True, "allow_redirects": False}  # requests would read the whole body of a redirect
        for _ in range(_MAX_REDIRECTS + 1):
            # Orthanc 1.10 does not decode a wildcard, and RFC 3986 section 3.4 lets a star stand as it is.
            response = super().request(method, str(url).replace("%2A", "*"), *args, **options)
            location = self.get_redirect_target(response)
            if location is None:
                return response if is_streamed else _with_body(response)
            response.close()
            url = urljoin(response.url, location)
            if _origin(url) != self._origin:
                raise ForeignRedirectError("a redirect to another origin")
            options.pop("params", None)  # the new address has its own
        raise TooManyRedirects("too many redirects")


def iterate_body(response: Response, limit: int) -> Iterator[bytes]:
    """Yield the unpacked body of a streamed response in pieces.

    Args:
        response: The response.
        limit: Maximum size in bytes.

    Raises:
        TooLargeError: the body is larger, or unpacks to more than 200 times its size.
        BrokenResponseError: the connection was closed, or the body is not readable.
    """
    from urllib3.exceptions import HTTPError

    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise BrokenResponseError("an unknown content encoding")
    unpacker = None if encoding in ("identity", "") else zlib.decompressobj(_GZIP_OR_ZLIB)
    packed = size = 0
    try:
        for raw in response.raw.stream(_PIECE, decode_content=False):
            packed += len(raw)
            for piece in [raw] if unpacker is None else _unpack(unpacker, raw):
                size += len(piece)
                if size > limit or (size > _RATIO_FROM and size > _MAX_RATIO * packed):
                    raise TooLargeError("a response that is too large")
                yield piece
    except (HTTPError, OSError, zlib.error):
        raise BrokenResponseError("the connection was closed, or the body is not readable") from None
    if unpacker is not None and packed and not unpacker.eof:
        raise BrokenResponseError("the packed body ends early")


def _unpack(unpacker: zlib._Decompress, raw: bytes) -> Iterator[bytes]:
    while raw and not unpacker.eof:
        piece = unpacker.decompress(raw, _PIECE)
        if piece:
            yield piece
        raw = unpacker.unconsumed_tail


def _with_body(response: Response) -> Response:
    """Return a response whose body has been read and unpacked."""
    try:
        body = b"".join(iterate_body(response, _MAX_PAGE_BYTES))
    except BrokenResponseError as error:
        raise UnusableResponseError("a body that is too large or not readable") from error
    finally:
        response.close()
    response.raw = HTTPResponse(BytesIO(body), status=response.status_code, preload_content=False)
    response.headers.pop("Content-Encoding", None)
    return response


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForeignRedirectError("a redirect to no address") from None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port or default


class _WatchedAdapter(HTTPAdapter):
    """Tells a watchdog of every connection that it makes."""

    def __init__(self, watchdog: Watchdog, retry: Retry) -> None:
        self._classes = _watched_pools(watchdog)
        super().__init__(max_retries=retry)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._classes
        return manager


def _watched_pools(watchdog: Watchdog) -> dict[str, type[HTTPConnectionPool]]:
    class WatchedConnection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            watchdog.watch(self.sock)

    class WatchedTlsConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            watchdog.watch(self.sock)

    class WatchedPool(HTTPConnectionPool):
        ConnectionCls = WatchedConnection

    class WatchedTlsPool(HTTPSConnectionPool):
        ConnectionCls = WatchedTlsConnection

    return {"http": WatchedPool, "https": WatchedTlsPool}
