"""What the page knows of its clips: their readings, who is to read which, and the gold clips among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.clip_notes import ClipNotes
from heart2heart.annotate.gold_clips import GoldClips
from heart2heart.annotate.rater_keys import RaterKeys
from heart2heart.annotate.reservations import Reservations
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.labels.double_reading import (
    DEFAULT_SHARE,
    ClipReadings,
    DoubleReadingPlan,
    required_readings,
    resolve_plan,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore

EVENT_SOURCE = "page"
"""The `source` of events that the page writes."""


class ReadingState:
    """The clips of the page, their label events, and the reservations of raters.

    Args:
        label_store: The label store.
        catalog: The clips.
        settings: Settings of the page.
        suggestions: Suggestion of a model by clip.
        queue: Reason by clip, in the order of labeling; None takes all clips of the catalog.
        readings: Number of raters who are to read a clip, where the queue requires more than the settings.
    """

    def __init__(
        self,
        label_store: LabelStore,
        catalog: ClipCatalog,
        settings: AnnotationSettings,
        *,
        suggestions: Mapping[str, Suggestion] | None = None,
        queue: Mapping[str, str] | None = None,
        readings: Mapping[str, int] | None = None,
    ) -> None:
        self.label_store, self.catalog, self.settings = label_store, catalog, settings
        self.suggestions, self.queue, self.readings = suggestions or {}, queue, readings or {}
        self.plan = DoubleReadingPlan(DEFAULT_SHARE if settings.double is None else settings.double, settings.seed or 0)
        self._queued_twice = sum(count > 1 for count in self.readings.values()) / max(1, len(self.readings))
        self.taxonomy = label_store.taxonomy()
        self.rater_keys = RaterKeys(label_store.path, self.taxonomy)
        self._events: dict[str, list[LabelEvent]] = {}
        self._states: dict[str, ClipReadings] = {}
        self.notes, self.gold = ClipNotes(label_store), GoldClips(settings.gold)
        self._last = 0  # number of the last event that was read
        self._lock = Lock()
        self._reservations = Reservations()
        self._writing = Lock()  # raters of this page write in turn; SQLite's own waiting is random and may starve one

    def settle_plan(self) -> None:
        """Take the double-reading plan of the label store, or write that of the settings into a new label store.

        Raises:
            ConfigError: the settings and the label store have different plans, and no change is requested.
        """
        settings = self.settings
        self.plan = self.label_store.update_plan(
            lambda stored: resolve_plan(stored, settings.double, settings.seed, change=settings.replan)
        )

    def refresh(self) -> None:
        """Read the new events of the label store, and the stores if they changed."""
        self.catalog.refresh()
        with self._lock:
            changed_clips = set()
            for entry in self.label_store.stored_events(self._last, gold=True):
                self._last = entry.number
                if self.gold.add(entry.event):
                    continue
                self._events.setdefault(entry.event.clip, []).append(entry.event)
                changed_clips.add(entry.event.clip)
            for clip in changed_clips:
                self._states[clip] = ClipReadings.from_events(self._events[clip])
            self.notes.refresh()

    def clip_order(self) -> list[str]:
        """Return the clips to label, in order; clips of the queue that no store holds are left out."""
        clips = self.catalog.clips if self.queue is None else self.queue
        return [clip for clip in clips if clip in self.catalog.clips]

    def events(self) -> list[LabelEvent]:
        """Return the events of the clips to label, clip by clip."""
        return [event for clip in self.clip_order() for event in self._events.get(clip, ())]

    def has_labeled(self, rater: str) -> bool:
        """Return whether a rater has answered on this page, for any clip of the label store."""
        events = self.label_store.events() if self.label_store.path.exists() else []
        return any(event.rater == rater and event.source == EVENT_SOURCE for event in events)

    def state(self, clip: str) -> ClipReadings:
        """Return the readings of a clip."""
        return self._states.get(clip, _NO_READINGS)

    def required_readings(self, clip: str) -> int:
        """Return the number of raters who are to read a clip."""
        return max(self.plan.required_readings(clip), self.readings.get(clip, 1))

    def may_suggest(self, clip: str) -> bool:
        """Return whether a reader may see the suggestion for a clip and the reason of its selection.

        Clips that are read twice never show them. An equal share of the other clips does not show them either, because
        a missing hint would otherwise reveal which clips are read twice.
        """
        share = max(self.plan.share, self._queued_twice)
        return self.required_readings(clip) == required_readings(f"no hint\x1f{clip}", share, self.plan.seed) == 1

    def status(self, clip: str) -> str:
        """Return the status of a clip; see `ClipReadings.status`."""
        return self.state(clip).status(self.required_readings(clip))

    def has_answered(self, clip: str, rater: str) -> bool:
        """Return whether a rater has read or decided a clip, as a label; the rater may then know its label."""
        return any(event.rater == rater for event in self._events.get(clip, ()))

    def own_reading(self, clip: str, rater: str) -> str | None:
        """Return this rater's answer for a clip, of a gold clip too; None without one."""
        reading = self.gold.readings(clip).get(rater)
        return self.state(clip).readings.get(rater, reading.value if reading else None)

    def needs_reading_by(self, clip: str, rater: str) -> bool:
        """Return whether this rater may still read this clip; a clip that was handed over is its receiver's alone."""
        state = self.state(clip)
        return (
            state.adjudication is None
            and rater not in state.readings
            and len(state.readings) < self.required_readings(clip)
            and clip not in self.notes.gold
            and not self.notes.is_away(clip, rater)
        )

    def gold_schedule(self, rater: str) -> dict[str, str]:
        """Return the gold clips of a rater, by the fresh clip that each comes before.

        A rater knows the label of a clip that the rater has read or decided. A gold clip without a suggestion would be
        known among clips that have one.
        """
        gold = self.notes.gold
        if not gold or not self.settings.gold:
            return {}
        unknown = [
            clip for clip in gold
            if clip in self.catalog.clips and not self.has_answered(clip, rater)
            and (not self.settings.suggest or clip in self.suggestions or not self.may_suggest(clip))
        ]  # fmt: skip
        order = [clip for clip in self.clip_order() if clip not in gold]
        return self.gold.schedule(rater, order, unknown, self.plan.seed)

    def _needs_gold(self, clip: str, rater: str) -> bool:
        """Return whether this rater may read a gold clip: neither known nor read, nor handed to a colleague."""
        is_read = self.has_answered(clip, rater) or rater in self.gold.readings(clip)
        return clip in self.notes.gold and not is_read and not self.notes.is_away(clip, rater)

    def clips_left(self, rater: str, accept: Callable[[str], bool] | None = None) -> list[str]:
        """Return the clips that this rater is to read, in order: first those from colleagues; gold clips among them.

        Args:
            rater: Name of the rater.
            accept: Leaves out the clips for which it returns False. None: all clips.
        """
        schedule = self.gold_schedule(rater)
        received = [clip for clip, handover in self.notes.handovers.items() if handover.colleague == rater]
        clips: list[str] = []
        for clip in dict.fromkeys([*(clip for clip in received if clip in self.catalog.clips), *self.clip_order()]):
            if clip in self.notes.gold:
                clips += [clip] if clip in received and self._needs_gold(clip, rater) else []
            elif self.needs_reading_by(clip, rater):
                gold = schedule.get(clip, "")
                clips += [gold, clip] if gold not in clips and self._needs_gold(gold, rater) else [clip]
        return clips if accept is None else [clip for clip in clips if accept(clip)]


_NO_READINGS = ClipReadings(0, {}, None)
