"""The page where one person reviews the clips of a store in which text is suspected, and its server.

It is the only place where pictures of such clips are shown. It listens on loopback alone and lets in whoever has the
token of its address. Nothing that it sends is kept by a browser (`Cache-Control: no-store`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.annotate.auth import NotAuthenticatedError, normalize_name
from heart2heart.annotate.middleware import SecurityMiddleware
from heart2heart.annotate.page_server import PageServer, file_routes, json_body, with_error_responses
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.config import Config
from heart2heart.errors import ConfigError, MissingInputError, StoreError
from heart2heart.schema.review import ReviewDecision
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.record_review import record_review

SHARED_FILES = ("api.js", "dom.js", "icon.svg", "player.js", "style.css")
"""Files of the annotation page that this page loads as well."""

Boxes = list[tuple[int, int, int, int]]
"""Left, top, right and bottom of areas, pixels of a stored frame; right and bottom are exclusive."""


class DecisionRequest(Config):
    """A decision of the reviewer."""

    clip: str = Field(max_length=200)
    """Pseudonym of the clip."""
    decision: ReviewDecision
    """The decision."""
    reason: str = Field(max_length=500)
    """Why."""
    frame_hash: str = Field(max_length=64)
    """SHA-256 of the frames that were shown."""


class ReviewSession:
    """The clips of one store, as one reviewer sees them; every request reads the store's reviews again.

    Args:
        root: Folder of the store.
        reviewer: Name of the reviewer.
        find_areas: Returns the areas of suspected text of uint8 frames `(n, size, size)`.

    Raises:
        ConfigError: the name is empty, too long or not printable.
    """

    def __init__(self, root: Path, reviewer: str, find_areas: Callable[[npt.NDArray[np.uint8]], Boxes]) -> None:
        try:
            self.reviewer = normalize_name(reviewer)
        except ValueError as error:
            raise ConfigError(str(error), where="--by") from None
        self.root, self._find_areas = root, find_areas
        self.overview()  # refuses a damaged store at the start

    def overview(self) -> dict[str, Any]:
        """Return the reviewer, the clips that wait, in the order of hospital and study, and the other counts."""
        store = FrameStore.open(self.root)
        review = store.text_review
        columns = ["site", "study", "clip", "synthetic"]
        rows = [row for row in store.all_clips.select(columns).to_pylist() if row["clip"] in review.waiting]
        rows.sort(key=lambda row: (row["site"], row["study"], row["clip"]))
        return {
            "name": self.reviewer,
            "size": store.geometry.size,
            "waiting": [row["clip"] for row in rows],
            "cleared": len(review.cleared),
            "hidden": len(review.hidden),
        }

    def details(self, clip: str) -> dict[str, Any]:
        """Return what is known of a clip, and the areas of suspected text in its stored frames."""
        store, row = self._find(clip)
        state = store.text_review.state(clip)
        frames = self._frames(store, row)
        return {
            "clip": clip,
            "site": row["site"],
            "mode": row["mode"],
            "frames": len(frames),
            "frame_ms": row["frame_time_ms"] or 40.0,
            "flags": row["flags"],
            "synthetic": row["synthetic"],
            "state": None if state is None else state.value,
            "frame_hash": row["pixel_hash"],
            "areas": self._find_areas(frames),
        }

    def frames(self, clip: str) -> npt.NDArray[np.uint8]:
        """Return the frames of a clip, uint8 `(n, size, size)`, in order of time."""
        return self._frames(*self._find(clip))

    def save_decision(self, request: DecisionRequest) -> dict[str, Any]:
        """Record a decision, and return the overview after it."""
        record_review(
            self.root, [request.clip], request.decision,
            reviewer=self.reviewer, reason=request.reason, seen=request.frame_hash,
        )  # fmt: skip
        return self.overview()

    def _find(self, clip: str) -> tuple[FrameStore, dict[str, Any]]:
        """Return the store and the row of a clip that is suspected or was reviewed; others are not shown here."""
        store = FrameStore.open(self.root)
        rows = store.all_clips.filter(pc.equal(store.all_clips["clip"], clip)).to_pylist()
        if not rows or store.text_review.state(clip) is None:
            raise MissingInputError("no clip of this name is under review", remedy="Go on to the next clip")
        return store, rows[0]

    @staticmethod
    def _frames(store: FrameStore, row: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        table = store.all_clips.filter(pc.equal(store.all_clips["clip"], row["clip"]))
        frames = store.read(store.frames_of(table).sort_by("index")["row"].to_numpy().astype(np.int64))
        if hashlib.sha256(frames.data).hexdigest() != row["pixel_hash"]:
            remedy = "Run: heart2heart store verify STORE"
            raise StoreError("the frames of this clip changed in the store", where=row["clip"], remedy=remedy)
        return frames


class TokenCheck:
    """Lets in whoever has the token, which is new with each start of the page.

    Args:
        port: Port of the page.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self.cookie = f"heart2heart_review_{port}"  # cookies are per host: two pages of one machine share them

    def require(self, secret: object) -> None:
        """Raise NotAuthenticatedError unless `secret` is the token; compared in constant time."""
        if not isinstance(secret, str) or not secrets.compare_digest(secret.encode(), self.token.encode()):
            remedy = "Open the whole address that heart2heart review printed"
            raise NotAuthenticatedError("this page needs the token of its address", remedy=remedy)

    def require_cookie(self, cookies: Mapping[str, str]) -> None:
        """Raise NotAuthenticatedError unless a cookie holds the token."""
        self.require(unquote(cookies.get(self.cookie, "")))


def build_app(session: ReviewSession, token: TokenCheck, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        session: The clips and the reviewer.
        token: Checks the token.
        hosts: Returns the accepted values of the Host header.
    """

    def api(path: str, handler: Callable[[Request, dict[str, Any]], Response], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            token.require_cookie(request.cookies)
            return await run_in_threadpool(partial(handler, request, await json_body(request)))

        return Route(f"/api/{path}", with_error_responses(endpoint), methods=[method])

    async def sign_in(request: Request) -> Response:
        body = await json_body(request)
        token.require(body.get("secret"))
        response = JSONResponse({"name": session.reviewer})
        response.set_cookie(token.cookie, quote(token.token), httponly=True, samesite="strict")
        return response

    def frames(request: Request, _: dict[str, Any]) -> Response:
        return Response(session.frames(request.path_params["clip"]).tobytes(), media_type="application/octet-stream")

    routes = [
        *file_routes("static_review"),
        *file_routes("static", SHARED_FILES),
        Route("/api/sign-in", with_error_responses(sign_in), methods=["POST"]),
        api("session", lambda request, body: JSONResponse(session.overview())),
        api("clips/{clip}", lambda request, body: JSONResponse(session.details(request.path_params["clip"]))),
        api("clips/{clip}/frames", frames),
        api("decisions", lambda request, body: JSONResponse(session.save_decision(_decision(body))), "POST"),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SecurityMiddleware, hosts=hosts, scheme="http")])


def _decision(body: dict[str, Any]) -> DecisionRequest:
    return DecisionRequest.parse(body, where="request")


class ReviewServer(PageServer):
    """The server of the page; it listens on loopback from its construction.

    Args:
        session: The clips and the reviewer.
        port: TCP port; 0 chooses a free one.

    Raises:
        RemoteError: the port is in use.
    """

    def __init__(self, session: ReviewSession, port: int) -> None:
        def build(listening: int, hosts: Callable[[], frozenset[str]]) -> Starlette:
            self._token = TokenCheck(listening)
            return build_app(session, self._token, hosts)

        super().__init__(AnnotationSettings.parse({"port": port}, where="heart2heart review"), build)
        # Behind the sign # a browser sends nothing to a server: the token is in no log.
        self.address = f"{self.address}#{self._token.token}"
