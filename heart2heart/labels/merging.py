"""Several label books or exports as one: no event lost, none twice, the same whatever comes first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from heart2heart.errors import ExistsError, MissingInputError
from heart2heart.labels.events import LabelEvent, TaxonomyMaps, migrate_taxonomy
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.table_files import read_events
from heart2heart.utils import atomic_path

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class MergedEvents:
    """What became of several sets of events.

    Attributes:
        events: Each statement once.
        shared: Statements that more than one set holds.
        differing: Statements that the sets tell with other details (confidence, time taken ...); the one that tells
            the most was kept.
    """

    events: list[LabelEvent]
    shared: int
    differing: int


def merge_events(parts: Sequence[Sequence[LabelEvent]]) -> MergedEvents:
    """Join sets of events, each in the order in which it was recorded.

    The order in each set is kept, since the last word of a rater counts. Where it leaves a choice, or two sets
    contradict each other, the time of the event decides, then its identifier; so the order of the sets does not matter.
    """
    versions: dict[str, set[LabelEvent]] = {}
    holders: dict[str, int] = {}
    after: dict[str, set[str]] = {}
    for part in parts:
        before: dict[str, str] = {}  # the last event of each clip: the order of two clips says nothing
        for event in part:
            versions.setdefault(event.identifier, set()).add(event)
            after.setdefault(event.identifier, set())
            if before.get(event.clip, event.identifier) != event.identifier:
                after[before[event.clip]].add(event.identifier)
            before[event.clip] = event.identifier
        for identifier in {event.identifier for event in part}:
            holders[identifier] = holders.get(identifier, 0) + 1
    chosen = {identifier: max(told, key=_completeness) for identifier, told in versions.items()}
    return MergedEvents(
        [chosen[identifier] for identifier in _topological_order(after, chosen)],
        shared=sum(count > 1 for count in holders.values()),
        differing=sum(len(told) > 1 for told in versions.values()),
    )


def _completeness(event: LabelEvent) -> tuple[int, str]:
    values = astuple(event)
    return sum(value not in ("", None, False) for value in values), repr(values)


def _topological_order(after: Mapping[str, set[str]], events: Mapping[str, LabelEvent]) -> list[str]:
    """Return the identifiers so that each stands behind those it comes after; of a circle, the earliest comes first."""
    waiting = dict.fromkeys(after, 0)
    for followers in after.values():
        for follower in followers:
            waiting[follower] += 1
    keys = {identifier: (events[identifier].at, identifier) for identifier in after}
    ready = [keys[identifier] for identifier, count in waiting.items() if count == 0]
    rest = sorted(keys.values(), reverse=True)
    heapq.heapify(ready)
    done: dict[str, None] = {}
    while len(done) < len(after):
        while not ready:  # nothing but circles is left
            earliest = rest.pop()
            if earliest[1] not in done:
                ready.append(earliest)
        identifier = heapq.heappop(ready)[1]
        if identifier in done:
            continue
        done[identifier] = None
        for follower in after[identifier]:
            waiting[follower] -= 1
            if waiting[follower] == 0 and follower not in done:
                heapq.heappush(ready, keys[follower])
    return list(done)


def merge_files(paths: Sequence[Path], out: Path, *, maps: TaxonomyMaps | None = None) -> MergedEvents:
    """Write a new label book that holds every event of several books or exports of events.

    Args:
        paths: Label books (SQLite), or what `labels export` writes without `--rule` (CSV, Parquet).
        out: The new book.
        maps: See `taxonomy.carried`.

    Raises:
        ExistsError: `out` is there already.
        MissingInputError: one of `paths` is not.
        LabelError: one of them is neither book nor export, or is of a taxonomy without mapping.
    """
    if out.exists():
        raise ExistsError("a label book would be overwritten", where=out, remedy="Name a new file")
    found = merge_events([migrate_taxonomy(_read_label_file(path), maps) for path in paths])
    with atomic_path(out) as temporary:
        LabelStore(temporary).append(found.events)
    return found


def _read_label_file(path: Path) -> list[LabelEvent]:
    try:
        with path.open("rb") as handle:
            start = handle.read(len(_SQLITE))
    except OSError as error:
        raise MissingInputError("no label book and no export here", where=path) from error
    return LabelStore(path).events() if start == _SQLITE else read_events(path)
