"""From events to labels: named rules that say what a clip's or a frame's view is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from heart2heart.curate.events import LabelEvent
from heart2heart.errors import UnknownNameError
from heart2heart.frames.store import Frames


def _latest(said: Mapping[str, str]) -> str | None:
    """The last word, whoever said it."""
    return list(said.values())[-1]


def _unanimous(said: Mapping[str, str]) -> str | None:
    """The view on which all raters agree, else none."""
    return next(iter(said.values())) if len(set(said.values())) == 1 else None


def _majority(said: Mapping[str, str]) -> str | None:
    """The view that more than half of the raters gave, else none."""
    view, count = Counter(said.values()).most_common(1)[0]
    return view if 2 * count > len(said) else None


RULES: Mapping[str, Callable[[Mapping[str, str]], str | None]] = {
    "latest": _latest,
    "unanimous": _unanimous,
    "majority": _majority,
}
"""Each rule takes the last view of each rater, in order of time, and returns the agreed view or None."""


def resolve(events: Sequence[LabelEvent], frames: pa.Table, rule: str = "latest") -> dict[str, str]:
    """Return the view of every labeled frame.

    A label of a clip holds for all its frames; a label of a frame overrides its clip's.

    Args:
        events: In the order in which they were recorded.
        frames: The store's frames table (`frame`, `clip`).
        rule: A name of `RULES`.

    Returns:
        View name by frame identifier; frames without an agreed label are absent.
    """
    if rule not in RULES:
        raise UnknownNameError.among("consensus rule", rule, list(RULES))
    said: dict[str, dict[str, str]] = {}
    for event in events:
        of_rater = said.setdefault(event.frame or event.clip, {})
        of_rater.pop(event.rater, None)  # the rater's last word takes the last place
        of_rater[event.rater] = event.view
    agreed = {target: RULES[rule](views) for target, views in said.items()}
    found: dict[str, str] = {}
    for frame, clip in zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True):
        view = agreed[frame] if frame in agreed else agreed.get(clip)
        if view is not None:
            found[frame] = view
    return found


def count_labels(
    events: Sequence[LabelEvent], stores: Frames, rule: str = "latest"
) -> list[tuple[str, str, int, int, int]]:
    """Return hospital, view and the number of labeled patients, clips and frames, sorted."""
    agreed = resolve(events, stores.frames, rule)
    seen: dict[tuple[str, str], tuple[set[str], set[str], set[str]]] = {}
    for row in stores.frames.select(["frame", "clip", "patient", "site"]).to_pylist():
        view = agreed.get(row["frame"])
        if view is not None:
            sets = seen.setdefault((row["site"], view), (set(), set(), set()))
            for found, name in zip(sets, ("patient", "clip", "frame"), strict=True):
                found.add(row[name])
    return [
        (site, view, len(patients), len(clips), len(frames))
        for (site, view), (patients, clips, frames) in sorted(seen.items())
    ]
