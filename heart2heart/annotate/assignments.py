"""Who is asked what, and what becomes of the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.messages import LabelRequest, RetractionRequest
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.errors import ConfigError, LabelConflictError, LabelError, UnknownNameError
from heart2heart.labels.double_reading import (
    DEFAULT_SHARE,
    ClipReadings,
    DoubleReadingPlan,
    readings_wanted,
    resolve_plan,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore, StoredEvent
from heart2heart.schema.enums import EventKind

EVENT_SOURCE = "page"
"""The `source` of events that the page writes."""

_RESERVATION_S = 600.0  # a clip handed to one rater is kept from others for so long


class Assignments:
    """The clips, the book, and who holds what.

    Args:
        label_store: The label store.
        catalog: The clips.
        settings: What is asked, of whom.
        suggestions: What a model calls each clip.
        queue: Reason by clip, in the order of asking; None asks for all clips of the shelf.
        readings: Raters who are to read a clip, where more are wanted than the settings say.
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
        self._events: dict[str, list[LabelEvent]] = {}
        self._states: dict[str, ClipReadings] = {}
        self._reservations: dict[str, tuple[str, float]] = {}
        self._last = 0  # number of the last event taken in
        self._lock = Lock()
        self._writing = Lock()  # raters of this page take turns; SQLite's own waiting is by chance, and may starve one

    def settle_plan(self) -> None:
        """Choose the clips that are read twice as the book says, or write the settings' choice into a new one.

        Raises:
            ConfigError: the settings ask for another choice than the book holds, and not for a change.
        """
        settings = self.settings
        self.plan = self.label_store.update_plan(
            lambda stored: resolve_plan(stored, settings.double, settings.seed, change=settings.replan)
        )

    def refresh(self) -> None:
        """Take in what others wrote to the book, and what became of the stores."""
        self.catalog.refresh()
        with self._lock:
            changed_clips = set()
            for entry in self.label_store.stored_events(self._last):
                self._last = entry.number
                self._events.setdefault(entry.event.clip, []).append(entry.event)
                changed_clips.add(entry.event.clip)
            for clip in changed_clips:
                self._states[clip] = ClipReadings.from_events(self._events[clip])

    def clip_order(self) -> list[str]:
        """Return the clips that are asked for, in order; one of the queue that no store holds is left out."""
        clips = self.catalog.clips if self.queue is None else self.queue
        return [clip for clip in clips if clip in self.catalog.clips]

    def events(self) -> list[LabelEvent]:
        """Return the events about the clips that are asked for, clip by clip."""
        return [event for clip in self.clip_order() for event in self._events.get(clip, ())]

    def state(self, clip: str) -> ClipReadings:
        """Return the readings of a clip."""
        return self._states.get(clip, _NO_READINGS)

    def readings_wanted(self, clip: str) -> int:
        """Return how many raters are to read a clip."""
        return max(self.plan.wanted(clip), self.readings.get(clip, 1))

    def _shows_suggestion(self, clip: str) -> bool:
        """Return whether a reader may see what a model thinks of a clip, and why it is asked.

        Never of a clip that is read twice; and not of a like share of the others, chosen apart, since a missing hint
        would tell which clips are read twice.
        """
        share = max(self.plan.share, self._queued_twice)
        return self.readings_wanted(clip) == readings_wanted(f"no hint\x1f{clip}", share, self.plan.seed) == 1

    def status(self, clip: str) -> str:
        """Return how far a clip is; see `ClipReadings.status`."""
        return self.state(clip).status(self.readings_wanted(clip))

    def needs_reading_by(self, clip: str, rater: str) -> bool:
        """Return whether a reading of this clip by this rater is missing."""
        state = self.state(clip)
        return (
            state.adjudication is None
            and rater not in state.readings
            and len(state.readings) < self.readings_wanted(clip)
        )

    def next_clips(
        self, rater: str, count: int, *, without: Sequence[str] = (), first: Sequence[str] = ()
    ) -> list[str]:
        """Hand out the next clips for a rater; for a while, nobody else is given those that are read once.

        Args:
            rater: Who asks.
            count: How many.
            without: Clips that the rater has on the screen, or passed over.
            first: Clips to be asked before all others.
        """
        self.refresh()
        excluded = set(without)
        reserved: list[str] = []
        first_known = [clip for clip in first if clip in self.catalog.clips]
        for clip in dict.fromkeys([*first_known, *self.clip_order()]):
            if len(reserved) == count:
                break
            if clip not in excluded and self.needs_reading_by(clip, rater) and self._reserve(clip, rater):
                reserved.append(clip)
        return reserved

    def grid(self, rater: str, view: str, count: int) -> list[str]:
        """Hand out unread clips that the model calls `view`, the surest first; none that is read twice."""
        self.refresh()
        suggested = [clip for clip in self.clip_order() if self._in_grid(clip, view)]
        suggested.sort(key=lambda clip: -self.suggestions[clip].probability)
        reserved: list[str] = []
        for clip in suggested:
            if len(reserved) < count and self._reserve(clip, rater):
                reserved.append(clip)
        return reserved

    def grid_counts(self) -> dict[str, int]:
        """Return how many clips are left for the grid, by suggested view."""
        views = sorted({suggestion.view for suggestion in self.suggestions.values()})
        order = self.clip_order()
        return {view: sum(self._in_grid(clip, view) for clip in order) for view in views}

    def _in_grid(self, clip: str, view: str) -> bool:
        suggestion = self.suggestions.get(clip)
        is_suggested = suggestion is not None and suggestion.view == view
        return is_suggested and self.readings_wanted(clip) == 1 and self.status(clip) == "unread"

    def _reserve(self, clip: str, rater: str) -> bool:
        if self.readings_wanted(clip) > 1:
            return True
        now = time.monotonic()
        with self._lock:
            holder, until = self._reservations.get(clip, (rater, now))
            if holder != rater and until > now:
                return False
            self._reservations[clip] = (rater, now + _RESERVATION_S)
            return True

    def disagreements(self, rater: str = "") -> list[str]:
        """Return the clips that an adjudicator has to decide, in order; what `rater` has read comes last."""
        self.refresh()
        clips = [clip for clip in self.clip_order() if self.status(clip) == "disagreement"]
        return sorted(clips, key=lambda clip: rater in self.state(clip).readings)

    def describe(self, clip: str, rater: str, *, ruling: bool = False, label_known: bool = False) -> dict[str, Any]:
        """Return what the page may show `rater` of a clip.

        A reader learns nothing of what others said, nor whether the clip is read twice: the answer has the same form
        for every clip. An adjudicator sees what was said, not by whom.

        Args:
            clip: Which clip.
            rater: Who asks.
            ruling: For an adjudicator who is to decide.
            label_known: The rater knows already that the clip got a label: of one that is read once, say which.
        """
        entry = self.catalog.find(clip)
        with self._lock:
            state, last_event = self.state(clip), self._last
        shows_suggestion = self._shows_suggestion(clip) and not ruling
        suggestion = self.suggestions.get(clip) if shows_suggestion and self.settings.suggest else None
        shows_readings = ruling or (label_known and self.readings_wanted(clip) == 1)
        return {
            "clip": clip,
            "site": entry.site,
            "study": entry.study,
            "synthetic": entry.synthetic,
            "frames": len(entry.rows),
            "frame_ms": entry.frame_ms,
            "frame_hash": entry.frame_hash,
            "seen": last_event,
            "mine": state.readings.get(rater),
            "suggestion": None
            if suggestion is None
            else {"view": suggestion.view, "probability": suggestion.probability},
            "why": "" if self.queue is None or not (shows_suggestion or ruling) else self.queue.get(clip, ""),
        } | ({"said": sorted(state.readings.values()), "ruling": state.adjudication} if shows_readings else {})

    def save(self, rater: str, answer: LabelRequest) -> LabelEvent:
        """Record an answer, unless the clip is not what the rater saw.

        Raises:
            LabelConflictError: frames or labels of the clip changed since; nothing was written.
            MissingInputError: the clip is gone.
            ConfigError: the answer contradicts itself.
            LabelBookBusyError: another program holds the book.
        """
        self.refresh()
        event = self._event(rater, answer)
        readings_wanted = self.readings_wanted(event.clip)

        def check(entries: Sequence[StoredEvent]) -> None:
            if any(entry.event.identifier == event.identifier for entry in entries):
                return  # sent again, because the first reply did not arrive
            about = self.catalog.find(event.clip)
            if about.frame_hash != event.frame_hash:
                raise LabelConflictError("the frames of this clip changed in the store while it was on the screen")
            state = ClipReadings.from_events(entry.event for entry in entries)
            reading = event.kind == EventKind.LABEL
            unseen = (entry.event for entry in entries if entry.number > answer.seen)
            if any(later.rater == rater or not reading or readings_wanted == 1 for later in unseen):
                raise LabelConflictError("this clip got a label while it was on the screen")
            full = rater not in state.readings and len(state.readings) >= readings_wanted > 1
            if reading and (state.adjudication is not None or full):
                raise LabelConflictError("the reading of this clip is complete without yours")

        with self._writing:
            self.label_store.append([event], check=check)
        self.refresh()
        return event

    def _event(self, rater: str, answer: LabelRequest) -> LabelEvent:
        suggestion = self.suggestions.get(answer.clip)
        event = LabelEvent(
            answer.clip, "", answer.view, rater, answer.at, EVENT_SOURCE, kind=answer.kind, answer=answer.answer,
            confidence=answer.confidence, frame_hash=answer.frame_hash, seconds=answer.seconds,
            suggestion=suggestion.view if suggestion else "", suggested_by=suggestion.run if suggestion else "",
            suggestion_shown=answer.shown and suggestion is not None,
        )  # fmt: skip
        try:
            event.check()
        except (LabelError, UnknownNameError) as error:
            raise ConfigError(error.what) from error
        return event

    def retract(self, rater: str, request: RetractionRequest) -> None:
        """Record that a rater takes back answers, all or none.

        Raises:
            ConfigError: the rater never gave one of them.
        """
        self.refresh()
        identifiers = {saved.event for saved in request.answers}
        events = (event for saved in request.answers for event in self._events.get(saved.clip, ()))
        own_events = {
            event.identifier: event for event in events if event.rater == rater and event.identifier in identifiers
        }
        if len(own_events) < len(identifiers):
            raise ConfigError("there is no such answer of yours to take back")
        with self._writing:
            self.label_store.append([event.retraction(request.at) for event in own_events.values()])
        self.refresh()


_NO_READINGS = ClipReadings(0, {}, None)
