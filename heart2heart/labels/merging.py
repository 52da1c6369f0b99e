"""Merges several label stores or exports: every event once, whatever the order of the inputs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from heart2heart.errors import ExistsError, LabelError, MissingInputError
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.events import LabelEvent, TaxonomyMaps, migrate_taxonomy
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.table_files import read_events
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy
from heart2heart.utils import atomic_path

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class MergedEvents:
    """The merger of several sets of events.

    Attributes:
        events: Each event once.
        shared: Number of events that more than one set holds.
        differing: Number of events that the sets hold with different details (confidence, seconds ...); the most
            complete one was kept.
    """

    events: list[LabelEvent]
    shared: int
    differing: int


def merge_events(parts: Sequence[Sequence[LabelEvent]]) -> MergedEvents:
    """Merge sets of events, each in the order in which it was recorded.

    The order within each set is kept, because the last reading of a rater counts. Where it leaves a choice, or two sets
    contradict each other, events are ordered by time, then by identifier; so the order of the sets does not matter.
    """
    versions: dict[str, set[LabelEvent]] = {}
    holders: dict[str, int] = {}
    after: dict[str, set[str]] = {}
    for part in parts:
        previous: dict[str, str] = {}  # the last event of each clip: the order of two clips says nothing
        for event in part:
            versions.setdefault(event.identifier, set()).add(event)
            after.setdefault(event.identifier, set())
            if previous.get(event.clip, event.identifier) != event.identifier:
                after[previous[event.clip]].add(event.identifier)
            previous[event.clip] = event.identifier
        for identifier in {event.identifier for event in part}:
            holders[identifier] = holders.get(identifier, 0) + 1
    chosen = {identifier: max(stored_versions, key=_completeness) for identifier, stored_versions in versions.items()}
    return MergedEvents(
        [chosen[identifier] for identifier in _topological_order(after, chosen)],
        shared=sum(count > 1 for count in holders.values()),
        differing=sum(len(stored_versions) > 1 for stored_versions in versions.values()),
    )


def _completeness(event: LabelEvent) -> tuple[int, str]:
    values = astuple(event)
    return sum(value not in ("", None, False) for value in values), repr(values)


def _topological_order(after: Mapping[str, set[str]], events: Mapping[str, LabelEvent]) -> list[str]:
    """Return the identifiers in topological order; of a cycle, the earliest comes first."""
    waiting = dict.fromkeys(after, 0)
    for followers in after.values():
        for follower in followers:
            waiting[follower] += 1
    keys = {identifier: (events[identifier].at, identifier) for identifier in after}
    ready = [keys[identifier] for identifier, count in waiting.items() if count == 0]
    rest = sorted(keys.values(), reverse=True)
    heapq.heapify(ready)
    ordered: dict[str, None] = {}
    while len(ordered) < len(after):
        while not ready:  # only cycles are left
            earliest = rest.pop()
            if earliest[1] not in ordered:
                ready.append(earliest)
        identifier = heapq.heappop(ready)[1]
        if identifier in ordered:
            continue
        ordered[identifier] = None
        for follower in after[identifier]:
            waiting[follower] -= 1
            if waiting[follower] == 0 and follower not in ordered:
                heapq.heappush(ready, keys[follower])
    return list(ordered)


def merge_clip_events(parts: Sequence[Sequence[ClipEvent]]) -> list[ClipEvent]:
    """Return each event of quality, marks, notes, tasks, goals, gold labels and examples once, by time.

    Args:
        parts: The events of each label store.
    """
    events = {event.identifier: event for part in parts for event in part}
    return [events[identifier] for identifier in sorted(events, key=lambda name: (events[name].at, name))]


def merge_files(paths: Sequence[Path], out: Path, *, maps: TaxonomyMaps | None = None) -> MergedEvents:
    """Write a new label store with every event of several label stores or exports of events.

    The events of clips that are no readings, such as quality and notes, come from the label stores alone, since an
    export of events does not hold them.

    Args:
        paths: Label stores (SQLite), or exports of all events (CSV, Parquet).
        out: The new label store.
        maps: Taxonomy maps, see `migrate_taxonomy`.

    Raises:
        ExistsError: `out` exists.
        MissingInputError: one of `paths` does not exist.
        LabelError: one of them is neither label store nor export, or has a taxonomy without mapping.
    """
    if out.exists():
        raise ExistsError("a label store would be overwritten", where=out, remedy="Name a new file")
    taxonomy = _merged_taxonomy([path for path in paths if path.is_file()])
    merged = merge_events([migrate_taxonomy(_read_label_file(path), maps) for path in paths])
    label_stores = [LabelStore(path) for path in paths if _is_label_store(path)]
    clip_events = merge_clip_events([[event for _, event in each.clip_events()] for each in label_stores])
    with atomic_path(out) as temporary:
        label_store = LabelStore(temporary)
        label_store.adopt_taxonomy(taxonomy)
        label_store.append(merged.events)
        label_store.append_clip_events(clip_events)
    return merged


def _merged_taxonomy(paths: Sequence[Path]) -> Taxonomy:
    """Return the taxonomy of label stores of which all that have one beside `basic` have the same."""
    adopted = {path: LabelStore(path).taxonomy() for path in paths if _is_label_store(path)}
    others = {path: taxonomy for path, taxonomy in adopted.items() if taxonomy != read_taxonomy()}
    taxonomy = next(iter(others.values()), read_taxonomy())
    if any(other != taxonomy for other in others.values()):
        what = f"these label stores have different taxonomies: {', '.join(path.name for path in others)}"
        raise LabelError(what, remedy="Let them adopt one: heart2heart labels views LABELS --adopt FILE")
    return taxonomy


def _is_label_store(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(_SQLITE)) == _SQLITE


def _read_label_file(path: Path) -> list[LabelEvent]:
    """Return the readings of a label store, those of gold clips too, or of an export."""
    try:
        is_label_store = _is_label_store(path)
    except OSError as error:
        raise MissingInputError("no label store and no export here", where=path) from error
    if is_label_store:
        return [entry.event for entry in LabelStore(path).stored_events(gold=True)]
    return read_events(path)
