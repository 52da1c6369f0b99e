"""Mixes gold clips, whose label is known, into the clips of each rater, so that nobody can tell which they are.

Each gold clip of a rater is tied to one fresh clip and comes right before it. Which clips are tied depends on a seed
that raters do not know, on the rater and on the clips, so it survives a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind

_HASH_RANGE = 2**32


def schedule_gold(
    order: Sequence[str], gold_clips: Iterable[str], share: float, rater: str, seed: int
) -> dict[str, str]:
    """Return the gold clip that comes right before a fresh clip, by fresh clip.

    Args:
        order: Fresh clips, in the order of labeling.
        gold_clips: Gold clips that this rater does not know.
        share: Share of the rater's readings that are of gold clips, 0 or more and below 1; smaller where there are
            fewer gold clips.
        rater: Name of the rater.
        seed: Seed of the choice.

    Examples:
        >>> schedule_gold(["a", "b", "c"], ["g"], 0.4, "reader 1", 1)
        {'a': 'g'}
        >>> schedule_gold(["a", "b", "c"], ["g"], 0.0, "reader 1", 1)
        {}
    """
    if share <= 0:
        return {}
    threshold = share / (1 - share) * _HASH_RANGE
    hosts = [clip for clip in order if _draw(seed, "host", rater, clip) < threshold]
    ranked = sorted(gold_clips, key=lambda clip: (_draw(seed, "gold", rater, clip), clip))
    return dict(zip(hosts, ranked, strict=False))


def _draw(seed: int, *names: str) -> int:
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def gold_readings(events: Sequence[LabelEvent]) -> dict[str, LabelEvent]:
    """Return the last reading of each rater among the readings of one gold clip that were not retracted."""
    retracted = {(event.rater, event.retracts) for event in events if event.kind == EventKind.RETRACTION}
    return {
        event.rater: event
        for event in events
        if event.kind == EventKind.GOLD and (event.rater, event.identifier) not in retracted
    }


class GoldClips:
    """The gold clips of one page: their known labels, and the readings of raters who did not know them.

    Args:
        share: Share of each rater's readings that are of gold clips.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self.labels: Mapping[str, str] = {}
        self._events: dict[str, list[LabelEvent]] = {}
        self._identifiers: set[str] = set()
        self._schedules: dict[str, tuple[tuple[int, int, int], dict[str, str]]] = {}

    def add(self, event: LabelEvent) -> bool:
        """Take an event if it is a reading of a gold clip or the retraction of one, and return whether it is."""
        if event.kind != EventKind.GOLD and event.retracts not in self._identifiers:
            return False
        self._identifiers.add(event.identifier)
        self._events.setdefault(event.clip, []).append(event)
        return True

    def events(self, clip: str) -> Sequence[LabelEvent]:
        """Return the readings of a gold clip and their retractions."""
        return self._events.get(clip, ())

    def readings(self, clip: str) -> dict[str, LabelEvent]:
        """Return the last reading of each rater of a gold clip."""
        return gold_readings(self._events[clip]) if clip in self._events else {}

    def all_readings(self) -> list[LabelEvent]:
        """Return the last readings of all raters, clip by clip."""
        return [event for clip in self._events for event in self.readings(clip).values()]

    def schedule(self, rater: str, order: Sequence[str], unknown: Sequence[str], seed: int) -> dict[str, str]:
        """Return `schedule_gold` for a rater; computed again only when the clips change."""
        state = (len(order), len(unknown), seed)
        if self._schedules.get(rater, ((), {}))[0] != state:
            self._schedules[rater] = (state, schedule_gold(order, unknown, self._share, rater, seed))
        return self._schedules[rater][1]
