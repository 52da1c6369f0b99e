"""What stands before every request: the host by which the page is called, where the request comes from, and its size.

- Host must be one of the page's own: a foreign name that was made to point here (DNS rebinding) is refused.
- Everything under `/api/` carries a header that another site's page cannot send without our consent by CORS, which is
  never given; a request that says it comes from another origin is refused beside that.
- The page may load and call nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-heart2heart"
MAX_BODY_BYTES = 2**17
"""Bytes of a request."""

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
"""Sent with every answer."""


class SecurityMiddleware:
    """ASGI middleware that refuses what does not come from the page itself.

    Args:
        app: What is guarded.
        hosts: Gives the values of the Host header that are answered.
        scheme: `http` or `https`.
    """

    def __init__(self, app: ASGIApp, *, hosts: Callable[[], frozenset[str]], scheme: str) -> None:
        self._app, self._hosts, self._scheme = app, hosts, scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
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
