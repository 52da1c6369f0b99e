"""The web application of the annotation page, its routes, and its server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heart2heart.annotate import endpoints, view_definitions, viewing
from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.auth import Authenticator, NotAuthenticatedError
from heart2heart.annotate.middleware import SecurityMiddleware
from heart2heart.annotate.page_server import PageServer, file_routes, json_body, with_error_responses
from heart2heart.annotate.team_endpoints import TEAM_ROUTES
from heart2heart.labels.store_lock import StoreLock


def build_app(assignments: Assignments, authenticator: Authenticator, hosts: Callable[[], frozenset[str]]) -> Starlette:
    """Return the application.

    Args:
        assignments: The clips, the label store and the assignment of clips to raters.
        authenticator: Authenticates raters.
        hosts: Returns the accepted values of the Host header.
    """

    def api(path: str, handler: Callable[[endpoints.ApiRequest], Response], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            body = await json_body(request)
            rater = await run_in_threadpool(authenticator.rater, request.cookies)
            names = request.path_params
            api_request = endpoints.ApiRequest(rater, assignments, names.get("clip", ""), body, names.get("span", ""))
            return await run_in_threadpool(handler, api_request)

        return Route(f"/api/{path}", with_error_responses(endpoint), methods=[method])

    async def sign_in(request: Request) -> Response:
        body = await json_body(request)
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
        *file_routes("static"),
        *file_routes(view_definitions.DRAWINGS, below="drawings/"),
        Route("/api/sign-in", with_error_responses(sign_in), methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
        Route("/api/session", session),
        api("keys", endpoints.choose_keys, "POST"),
        api("next-clips", endpoints.next_clips, "POST"),
        api("clips/{clip}", endpoints.clip_details),
        api("clips/{clip}/frames", endpoints.clip_frames),
        api("clips/{clip}/viewing", viewing.viewing_header),
        api("clips/{clip}/viewing/{span}", viewing.viewing_pictures),
        api("clips/{clip}/sheet", endpoints.study_clips),
        api("clips/{clip}/thumbs", endpoints.study_thumbnails),
        api("definitions", view_definitions.definitions),
        api("examples", view_definitions.mark_example, "POST"),
        api("answers", endpoints.save_label, "POST"),
        api("retractions", endpoints.retract_labels, "POST"),
        api("grid", endpoints.grid_counts),
        api("grid", endpoints.grid_clips, "POST"),
        api("grid-frames", endpoints.grid_frames, "POST"),
        api("review", endpoints.disagreements),
        api("review/{clip}", endpoints.disagreement_details),
        api("progress", endpoints.progress),
        api("agreement", endpoints.agreement),
        *(api(*route) for route in TEAM_ROUTES),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(SecurityMiddleware, hosts=hosts, scheme=assignments.settings.scheme)]
    )


class AnnotationServer(PageServer):
    """The server of the page; it listens from its construction.

    Args:
        assignments: The assignment of clips to raters; its settings hold the address.

    Raises:
        RemoteError: the address is in use, or not of this machine.
        ConfigError: the certificate cannot be used, or the label store has another double-reading plan.
        LabelStoreBusyError: another page uses the label store.
    """

    def __init__(self, assignments: Assignments) -> None:
        self._label_store = assignments.label_store

        super().__init__(
            assignments.settings,
            lambda port, hosts: build_app(assignments, Authenticator(assignments.settings.raters, port), hosts),
        )
        try:
            assignments.settle_plan()
            assignments.refresh()
            self.lock = StoreLock(assignments.label_store.path)
        except BaseException:
            super().close()
            raise

    @contextmanager
    def resources(self) -> Iterator[None]:
        """Keep the label store open, and give its lock back at the end."""
        try:
            with self._label_store.keep_open():
                yield
        finally:
            self.lock.release()

    def close(self) -> None:
        """Stop listening before `run`, and give the lock of the label store back."""
        super().close()
        self.lock.release()
