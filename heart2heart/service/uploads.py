"""Takes clips by HTTP: one file by upload, several by STOW-RS (PS3.18 section 10.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from heart2heart.pacs.spool import SpoolPart
from heart2heart.schema.service import ClipState
from heart2heart.schema.status import StatusCode
from heart2heart.service.intake import KeptUpload
from heart2heart.service.multipart_upload import (
    MalformedUploadError,
    PartEnd,
    PartStart,
    UploadParser,
    upload_boundary,
)
from heart2heart.service.web_parts import WebParts, clip_content

MAX_WAIT_SECONDS = 60.0
"""Longest wait of an upload for its answer."""
_CANNOT_UNDERSTAND = 0xC000  # failure reason, PS3.18 table I.2-2
_POLL_SECONDS = 0.05


class UploadRefusedError(Exception):
    """A request that is not taken.

    Args:
        status: HTTP status.
        what: Why.
    """

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


class _Body:
    """The body of a request, in pieces, of a maximum size."""

    def __init__(self, request: Request, most: int) -> None:
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise UploadRefusedError(413, f"a request has at most {most} bytes")
        self._request, self._most, self.size = request, most, 0

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._request.stream():
            self.size += len(piece)
            if self.size > self._most:
                raise UploadRefusedError(413, f"a request has at most {self._most} bytes")
            yield piece


def _begin(parts: WebParts, stack: ExitStack) -> SpoolPart:
    try:
        part = parts.spool.begin()
    except OSError:
        parts.queue.count_event("clips_refused")
        raise UploadRefusedError(503, "the service takes no further clip at present; try again later") from None
    stack.callback(part.discard)
    return part


async def upload_clip(parts: WebParts, request: Request) -> Response:
    """Take one DICOM file; with `?wait=SECONDS` return its answer."""
    wait = request.query_params.get("wait", "0")
    seconds = min(float(wait), MAX_WAIT_SECONDS) if wait.replace(".", "", 1).isdecimal() else 0.0
    with ExitStack() as stack:
        part = await run_in_threadpool(_begin, parts, stack)
        async for piece in _Body(request, parts.settings.limits.instance_bytes).pieces():
            await run_in_threadpool(part.write, piece)
        if not part.size:
            raise UploadRefusedError(400, "the request has no content")
        kept = await run_in_threadpool(parts.spool.keep_upload, part)
        if kept is None:
            parts.queue.count_event("uploads_not_dicom")
            raise UploadRefusedError(400, f"this is no DICOM file ({StatusCode.EXCLUDED_NOT_DICOM})")
    name = kept.name
    clip = f"/clips/{name}"
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        if await run_in_threadpool(parts.queue.state, name) not in (None, ClipState.WAITING):
            content = await run_in_threadpool(clip_content, parts.queue, name)
            return JSONResponse(content, headers={"Location": clip})
        await asyncio.sleep(_POLL_SECONDS)
    return JSONResponse({"clip": name, "state": "waiting"}, 202, headers={"Location": clip})


async def stow(parts: WebParts, request: Request) -> Response:
    """Take DICOM files by STOW-RS; what arrived whole is kept, whatever happens to the rest."""
    try:
        parser = UploadParser(upload_boundary(request.headers.get("content-type", "")))
    except MalformedUploadError as error:
        raise UploadRefusedError(415, str(error)) from None
    kept: list[KeptUpload | None] = []
    part: SpoolPart | None = None
    with ExitStack() as stack:
        try:
            async for piece in _Body(request, parts.settings.web.request_bytes).pieces():
                for event in parser.feed(piece):
                    if isinstance(event, PartStart):
                        if len(kept) >= parts.settings.web.request_instances:
                            raise UploadRefusedError(413, "a request has too many instances")
                        part = await run_in_threadpool(_begin, parts, stack)
                    elif part is None:
                        continue
                    elif isinstance(event, PartEnd):
                        kept.append(await run_in_threadpool(parts.spool.keep_upload, part))
                        stack.pop_all()
                        part = None
                    else:
                        if part.size + len(event) > parts.settings.limits.instance_bytes:
                            raise UploadRefusedError(413, "an instance is too large")
                        await run_in_threadpool(part.write, event)
            parser.close()
        except MalformedUploadError as error:
            parts.queue.count_event("uploads_truncated")
            raise UploadRefusedError(400, str(error)) from None
    if not kept:
        raise UploadRefusedError(400, "the request has no instance")
    status = 200 if None not in kept else 202 if any(kept) else 409
    return JSONResponse(_stow_response(kept), status, media_type="application/dicom+json")


def _stow_response(kept: Sequence[KeptUpload | None]) -> dict[str, Any]:
    """Return the response of PS3.18 section I.2.2; None is a part that is no DICOM file."""
    stored = [
        {"00081155": {"vr": "UI", "Value": [each.uid]}, "00081190": {"vr": "UR", "Value": [f"/clips/{each.name}"]}}
        for each in kept
        if each is not None
    ]
    failed = [{"00081197": {"vr": "US", "Value": [_CANNOT_UNDERSTAND]}} for each in kept if each is None]
    content = {"00081199": stored, "00081198": failed}
    return {tag: {"vr": "SQ", "Value": items} for tag, items in content.items() if items}
