"""The definitions of the views on the page: a sentence, a drawing, and up to three example clips of the hospital."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from pydantic import Field
from starlette.responses import JSONResponse, Response

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.endpoints import ApiRequest, adjudicators_only
from heart2heart.annotate.messages import Time
from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import ClipEvent, latest_values
from heart2heart.schema.enums import ClipEventKind

MAX_EXAMPLES = 3
"""Largest number of example clips that the page shows of a view."""
DRAWINGS = "drawings"
"""Folder of this package with a drawing of each view, `NAME.svg`."""


class ExampleRequest(Config):
    """A clip that is to be an example of its view, or no longer."""

    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    keep: bool = True
    """Whether it is an example; otherwise this rater's mark is withdrawn."""
    at: Time
    """Time of the request."""


def definitions(call: ApiRequest) -> Response:
    """Return the views as a tree, each with its definition, whether there is a drawing, and its example clips."""
    assignments = call.assignments
    assignments.refresh()
    taxonomy, examples = assignments.taxonomy, _examples(assignments)
    drawn = {item.name.removesuffix(".svg") for item in (files("heart2heart.annotate") / DRAWINGS).iterdir()}
    views: list[dict[str, Any]] = [
        {
            "name": name,
            "title": taxonomy.views[name].title,
            "definition": taxonomy.views[name].definition,
            "depth": depth,
            "drawing": name in drawn,
            "examples": examples.get(name, [])[:MAX_EXAMPLES],
        }
        for depth, name in taxonomy.tree()
    ]
    return JSONResponse({"taxonomy": taxonomy.name, "views": views})


def mark_example(call: ApiRequest) -> Response:
    """Record that a clip is an example of its view; only an adjudicator may, and only of a clip that is decided.

    A clip that somebody still has to read, or a gold clip, would tell its label.
    """
    adjudicators_only(call)
    request = ExampleRequest.parse(call.body, where="request")
    assignments = call.assignments
    assignments.refresh()
    assignments.catalog.find(request.clip)
    view = _decided_view(assignments, request.clip)
    if view is None:
        raise ConfigError("this clip is no example yet: its view must be decided, and nobody may have to read it")
    value = view if request.keep else ""
    assignments.notes.add(ClipEvent(request.clip, ClipEventKind.EXAMPLE, call.rater.name, request.at, value))
    assignments.refresh()
    return JSONResponse({"view": view, "example": request.keep})


def _decided_view(assignments: Assignments, clip: str) -> str | None:
    """Return the view of a clip that nobody still has to read; None for others, and for gold clips."""
    if clip in assignments.notes.gold or assignments.status(clip) not in ("agreed", "adjudicated"):
        return None
    state = assignments.state(clip)
    value = state.adjudication or next(iter(state.readings.values()))
    return value if value in assignments.taxonomy.views else None


def _examples(assignments: Assignments) -> dict[str, list[str]]:
    """Return the example clips that the page may show, by view, in the order of the catalog."""
    marked = latest_values(assignments.notes.clip_events, ClipEventKind.EXAMPLE)
    examples: dict[str, list[str]] = {}
    for clip in assignments.catalog.clips:
        view = _decided_view(assignments, clip) if clip in marked else None
        if view is not None and view in marked[clip].values():
            examples.setdefault(view, []).append(clip)
    return examples
