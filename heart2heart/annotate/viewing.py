"""The endpoints of the viewer: the header of a viewing copy, and the bytes of some of its pictures."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response

from heart2heart.annotate.endpoints import ApiRequest
from heart2heart.errors import ConfigError
from heart2heart.store.viewing_copies import ViewingCopy

MAX_RESPONSE_BYTES = 2**25
"""Size of the largest response with pictures."""
_SPAN = re.compile(r"(\d{1,5})-(\d{1,5})")


def viewing_header(call: ApiRequest) -> Response:
    """Return the size, spacing, times and lengths of the pictures of a clip's viewing copy."""
    header = _open(call).header
    return JSONResponse(header.model_dump(exclude={"schema_version", "crc32"}))


def viewing_pictures(call: ApiRequest) -> Response:
    """Return the JPEG files of some pictures, back to back; `viewing_header` holds their lengths."""
    match = _SPAN.fullmatch(call.span)
    if match is None:
        raise ConfigError("the pictures are named by their first and last position, such as 0-23")
    first, last = int(match[1]), int(match[2])
    copy = _open(call)
    start, end = copy.header.span(first, last)
    if end - start > MAX_RESPONSE_BYTES:
        raise ConfigError("these pictures are too large for one response", remedy="Ask for fewer")
    return Response(copy.pictures(first, last), media_type="application/octet-stream")


def _open(call: ApiRequest) -> ViewingCopy:
    catalog = call.assignments.catalog
    catalog.refresh()
    return catalog.viewing_copy(catalog.find(call.clip))
