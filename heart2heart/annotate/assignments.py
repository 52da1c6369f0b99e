"""Assigns clips to raters, shows each rater what is allowed, and records the answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.messages import LabelRequest, RetractionRequest
from heart2heart.annotate.rater_keys import RaterKeys
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.errors import ConfigError, LabelConflictError, LabelError, UnknownNameError
from heart2heart.labels.double_reading import (
    DEFAULT_SHARE,
    ClipReadings,
    DoubleReadingPlan,
    required_readings,
    resolve_plan,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore, StoredEvent
from heart2heart.schema.enums import EventKind

EVENT_SOURCE = "page"
"""The `source` of events that the page writes."""

_RESERVATION_S = 600.0  # time for which a clip that is shown to one rater is not assigned to others


class Assignments:
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
        self.rater_keys = RaterKeys(label_store.path)
        self._events: dict[str, list[LabelEvent]] = {}
        self._states: dict[str, ClipReadings] = {}
        self._reservations: dict[str, tuple[str, float]] = {}
        self._last = 0  # number of the last event that was read
        self._lock = Lock()
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
            for entry in self.label_store.stored_events(self._last):
                self._last = entry.number
                self._events.setdefault(entry.event.clip, []).append(entry.event)
                changed_clips.add(entry.event.clip)
            for clip in changed_clips:
                self._states[clip] = ClipReadings.from_events(self._events[clip])

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

    def _shows_suggestion(self, clip: str) -> bool:
        """Return whether a reader may see the suggestion for a clip and the reason of its selection.

        Clips that are read twice never show them. An equal share of the other clips does not show them either, because
        a missing hint would otherwise reveal which clips are read twice.
        """
        share = max(self.plan.share, self._queued_twice)
        return self.required_readings(clip) == required_readings(f"no hint\x1f{clip}", share, self.plan.seed) == 1

    def status(self, clip: str) -> str:
        """Return the status of a clip; see `ClipReadings.status`."""
        return self.state(clip).status(self.required_readings(clip))

    def needs_reading_by(self, clip: str, rater: str) -> bool:
        """Return whether this rater may still read this clip."""
        state = self.state(clip)
        return (
            state.adjudication is None
            and rater not in state.readings
            and len(state.readings) < self.required_readings(clip)
        )

    def next_clips(
        self, rater: str, count: int, *, without: Sequence[str] = (), first: Sequence[str] = ()
    ) -> list[str]:
        """Return the next clips for a rater; clips that are read once are reserved for some minutes.

        Args:
            rater: Name of the rater.
            count: Maximum number of clips.
            without: Clips that the rater has loaded or skipped.
            first: Clips that come before all others.
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
        """Return unread clips with the suggestion `view`, most probable first, without clips that are read twice."""
        self.refresh()
        suggested = [clip for clip in self.clip_order() if self._in_grid(clip, view)]
        suggested.sort(key=lambda clip: -self.suggestions[clip].probability)
        reserved: list[str] = []
        for clip in suggested:
            if len(reserved) < count and self._reserve(clip, rater):
                reserved.append(clip)
        return reserved

    def grid_counts(self) -> dict[str, int]:
        """Return the number of clips left for the grid, by suggested view."""
        views = sorted({suggestion.view for suggestion in self.suggestions.values()})
        order = self.clip_order()
        return {view: sum(self._in_grid(clip, view) for clip in order) for view in views}

    def _in_grid(self, clip: str, view: str) -> bool:
        suggestion = self.suggestions.get(clip)
        is_suggested = suggestion is not None and suggestion.view == view
        return is_suggested and self.required_readings(clip) == 1 and self.status(clip) == "unread"

    def _reserve(self, clip: str, rater: str) -> bool:
        if self.required_readings(clip) > 1:
            return True
        now = time.monotonic()
        with self._lock:
            holder, until = self._reservations.get(clip, (rater, now))
            if holder != rater and until > now:
                return False
            self._reservations[clip] = (rater, now + _RESERVATION_S)
            return True

    def disagreements(self, rater: str = "") -> list[str]:
        """Return the clips that an adjudicator has to decide, in order; those that `rater` read come last."""
        self.refresh()
        clips = [clip for clip in self.clip_order() if self.status(clip) == "disagreement"]
        return sorted(clips, key=lambda clip: rater in self.state(clip).readings)

    def describe(
        self, clip: str, rater: str, *, adjudicating: bool = False, label_known: bool = False
    ) -> dict[str, Any]:
        """Return the details of a clip that the page may show to `rater`.

        A reader sees neither the answers of others nor whether the clip is read twice: the details have the same keys
        for every clip. An adjudicator sees the answers without the names of the readers.

        Args:
            clip: Pseudonym of the clip.
            rater: Name of the rater.
            adjudicating: Whether the rater is an adjudicator who decides on the clip.
            label_known: Whether the rater already knows that the clip got a label; of a clip that is read once, the
                answers are then shown.
        """
        entry = self.catalog.find(clip)
        with self._lock:
            state, last_event = self.state(clip), self._last
        shows_suggestion = self._shows_suggestion(clip) and not adjudicating
        suggestion = self.suggestions.get(clip) if shows_suggestion and self.settings.suggest else None
        shows_answers = adjudicating or (label_known and self.required_readings(clip) == 1)
        return {
            "clip": clip,
            "site": entry.site,
            "study": entry.study,
            "synthetic": entry.synthetic,
            "frames": len(entry.rows),
            "frame_ms": entry.frame_ms,
            "frame_hash": entry.frame_hash,
            "seen": last_event,
            "own_answer": state.readings.get(rater),
            "suggestion": None
            if suggestion is None
            else {"view": suggestion.view, "probability": suggestion.probability},
            "reason": "" if self.queue is None or not (shows_suggestion or adjudicating) else self.queue.get(clip, ""),
        } | ({"answers": sorted(state.readings.values()), "adjudication": state.adjudication} if shows_answers else {})

    def save(self, rater: str, answer: LabelRequest) -> LabelEvent:
        """Record an answer, unless the clip changed since the rater saw it.

        Raises:
            LabelConflictError: frames or labels of the clip changed; nothing was written.
            MissingInputError: no store holds the clip any more.
            ConfigError: the answer contradicts itself.
            LabelStoreBusyError: another program locks the label store.
        """
        self.refresh()
        event = self._event(rater, answer)
        required_readings = self.required_readings(event.clip)

        def check(entries: Sequence[StoredEvent]) -> None:
            if any(entry.event.identifier == event.identifier for entry in entries):
                return  # sent again, because the first reply did not arrive
            if self.catalog.find(event.clip).frame_hash != event.frame_hash:
                raise LabelConflictError("the frames of this clip changed in the store while it was on the screen")
            state = ClipReadings.from_events(entry.event for entry in entries)
            is_reading = event.kind == EventKind.LABEL
            unseen = (entry.event for entry in entries if entry.number > answer.seen)
            if any(later.rater == rater or not is_reading or required_readings == 1 for later in unseen):
                raise LabelConflictError("this clip got a label while it was on the screen")
            is_complete = rater not in state.readings and len(state.readings) >= required_readings > 1
            if is_reading and (state.adjudication is not None or is_complete):
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
        """Retract answers of a rater, all or none.

        Raises:
            ConfigError: one of them is not an answer of this rater.
        """
        self.refresh()
        identifiers = {saved.event for saved in request.answers}
        events = (event for saved in request.answers for event in self._events.get(saved.clip, ()))
        own_events = {
            event.identifier: event for event in events if event.rater == rater and event.identifier in identifiers
        }
        if len(own_events) < len(identifiers):
            raise ConfigError("you have no such answer to retract")
        with self._writing:
            self.label_store.append([event.retraction(request.at) for event in own_events.values()])
        self.refresh()


_NO_READINGS = ClipReadings(0, {}, None)
