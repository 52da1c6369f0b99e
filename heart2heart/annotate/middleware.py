"""Checks every request before it reaches the page: its Host header, its origin and its size.

- Host must be one of the page's own names. A foreign name that resolves to this address (DNS rebinding) is refused.
- Every request under `/api/` must carry a header that a page of another site can send only with consent by CORS, which
  this server never gives. A request whose headers name another origin is refused as well.
- The Content-Security-Policy lets the page load and call only its own server.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-heart2heart"
MAX_BODY_BYTES = 2**17
"""Maximum size of a request, bytes."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response."""


class SecurityMiddleware:
    """ASGI middleware that refuses requests that do not come from the page itself.

    Args:
        app: The protected application.
        hosts: Returns the accepted values of the Host header.
        scheme: `http` or `https`.
    """

    def __init__(self, app: ASGIApp, *, hosts: Callable[[], frozenset[str]], scheme: str) -> None:
        self._app, self._hosts, self._scheme = app, hosts, scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(str(scope["path"]), Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            status, message = refusal
            await JSONResponse({"error": message}, status)(scope, receive, send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if host not in self._hosts():
            return 421, "this page is not served under that name"
        if headers.get("origin", f"{self._scheme}://{host}").lower() != f"{self._scheme}://{host}":
            return 403, "requests from other pages are refused"
        if not path.startswith("/api/"):
            return None
        if headers.get("sec-fetch-site", "same-origin") != "same-origin" or CSRF_HEADER not in headers:
            return 403, "requests from other pages are refused"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES or "transfer-encoding" in headers:
            return 413, "this request is too large"
        return None
