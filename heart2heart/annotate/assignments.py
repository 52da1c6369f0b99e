"""Assigns clips to raters, shows each rater what is allowed, and records the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from heart2heart.annotate.messages import LabelRequest, RetractionRequest
from heart2heart.annotate.reading_state import EVENT_SOURCE, ReadingState
from heart2heart.errors import ConfigError, LabelConflictError, LabelError, UnknownNameError
from heart2heart.labels.double_reading import ClipReadings
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import StoredEvent
from heart2heart.schema.enums import EventKind


class Assignments(ReadingState):
    """What raters are given to read, and the answers that they may write; made like `ReadingState`."""

    def next_clips(
        self,
        rater: str,
        count: int,
        *,
        without: Sequence[str] = (),
        first: Sequence[str] = (),
        accept: Callable[[str], bool] | None = None,
    ) -> list[str]:
        """Return the next clips for a rater; clips that are read once are reserved for some minutes.

        Args:
            rater: Name of the rater.
            count: Maximum number of clips.
            without: Clips that the rater has loaded or skipped.
            first: Clips that come before all others.
            accept: Leaves out the clips for which it returns False. None: all clips.
        """
        self.refresh()
        excluded = set(without)
        reserved: list[str] = []
        left = dict.fromkeys(self.clips_left(rater, accept))
        known = [clip for clip in first if clip in self.catalog.clips]
        due_first = [clip for clip in known if clip in left or self.needs_reading_by(clip, rater)]
        for clip in dict.fromkeys([*due_first, *left]):
            if len(reserved) == count:
                break
            if clip not in excluded and self._reserve(clip, rater):
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
        is_gold = clip in self.notes.gold
        return is_suggested and not is_gold and self.required_readings(clip) == 1 and self.status(clip) == "unread"

    def _reserve(self, clip: str, rater: str) -> bool:
        is_shared = self.required_readings(clip) > 1 or clip in self.notes.gold
        return is_shared or self._reservations.take(clip, rater)

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
        shows_suggestion = self.may_suggest(clip) and not adjudicating
        suggestion = self.suggestions.get(clip) if shows_suggestion and self.settings.suggest else None
        is_gold = clip in self.notes.gold
        shows_answers = adjudicating or (label_known and self.required_readings(clip) == 1 and not is_gold)
        return {
            "clip": clip,
            "site": entry.site,
            "study": entry.study,
            "synthetic": entry.synthetic,
            "frames": len(entry.rows),
            "frame_ms": entry.frame_ms,
            "index": entry.index.tolist(),
            "frame_hash": entry.frame_hash,
            "seen": last_event,
            "own_answer": self.own_reading(clip, rater),
            "quality": self.notes.quality(clip, rater),
            "marks": self.notes.marks(clip, rater),
            "suggestion": None
            if suggestion is None
            else {"view": suggestion.view, "probability": suggestion.probability},
            "reason": self._reason(clip, rater) if shows_suggestion or adjudicating else "",
        } | ({"answers": sorted(state.readings.values()), "adjudication": state.adjudication} if shows_answers else {})

    def _reason(self, clip: str, rater: str) -> str:
        """Return the reason of the queue; a gold clip has that of the clip after it."""
        if self.queue is None:
            return ""
        hosts = {gold: host for host, gold in self.gold_schedule(rater).items()} if clip in self.notes.gold else {}
        return self.queue.get(clip) or self.queue.get(hosts.get(clip, ""), "")

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
            gold = {entry.event.identifier for entry in entries if entry.event.kind == EventKind.GOLD}
            labels = [entry for entry in entries if not gold & {entry.event.identifier, entry.event.retracts}]
            state = ClipReadings.from_events(entry.event for entry in labels)
            is_gold, is_reading = event.kind == EventKind.GOLD, event.kind == EventKind.LABEL
            unseen = [entry.event for entry in (entries if is_gold else labels) if entry.number > answer.seen]
            is_alone = not is_gold and (not is_reading or required_readings == 1)
            if any(later.rater == rater or is_alone for later in unseen):
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
        is_gold = answer.clip in self.notes.gold and not self.has_answered(answer.clip, rater)
        kind = EventKind.GOLD if is_gold and answer.kind == EventKind.LABEL else answer.kind
        event = LabelEvent(
            answer.clip, "", answer.view, rater, answer.at, EVENT_SOURCE, kind=kind, answer=answer.answer,
            confidence=answer.confidence, frame_hash=answer.frame_hash, seconds=answer.seconds,
            suggestion=suggestion.view if suggestion else "", suggested_by=suggestion.run if suggestion else "",
            suggestion_shown=answer.shown and suggestion is not None,
        )  # fmt: skip
        try:
            event.check(self.taxonomy.views)
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
        clips = [saved.clip for saved in request.answers]
        events = (event for clip in clips for event in (*self._events.get(clip, ()), *self.gold.events(clip)))
        own_events = {
            event.identifier: event for event in events if event.rater == rater and event.identifier in identifiers
        }
        if len(own_events) < len(identifiers):
            raise ConfigError("you have no such answer to retract")
        with self._writing:
            self.label_store.append([event.retraction(request.at) for event in own_events.values()])
        self.refresh()
