"""What raters add to clips beside the view: quality, marked frames, notes, clips handed over, and daily goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.errors import ConfigError, LabelError, UnknownNameError
from heart2heart.labels.clip_events import ClipEvent, gold_labels, latest_values, parse_handover, parse_marks
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import ClipEventKind


@dataclass(frozen=True)
class Handover:
    """A clip that a rater handed to a colleague who is not done with it.

    Attributes:
        clip: Pseudonym of the clip.
        sender: The rater who handed it over.
        colleague: The rater who gets it.
        text: Message of the sender.
        at: Time, ISO 8601.
    """

    clip: str
    sender: str
    colleague: str
    text: str
    at: str


class ClipNotes:
    """The events of clips that are no readings of a view, as the page needs them.

    Args:
        label_store: The label store.
    """

    def __init__(self, label_store: LabelStore) -> None:
        self._label_store = label_store
        self._last = 0
        self.clip_events: list[ClipEvent] = []
        self._fold()

    def refresh(self) -> None:
        """Read the new events of the label store."""
        entries = self._label_store.clip_events(self._last)
        if entries:
            self._last = entries[-1][0]
            self.clip_events = [*self.clip_events, *(event for _, event in entries)]
            self._fold()

    def _fold(self) -> None:
        events = self.clip_events
        self.gold = gold_labels(events)
        self._quality = latest_values(events, ClipEventKind.QUALITY)
        self._marks = latest_values(events, ClipEventKind.MARKS)
        self._notes = latest_values(events, ClipEventKind.NOTE)
        self._goals = latest_values(events, ClipEventKind.GOAL).get("", {})
        self.handovers = open_handovers(events)

    def add(self, event: ClipEvent) -> None:
        """Write one event; `refresh` reads it.

        Raises:
            ConfigError: its value does not fit its kind.
            LabelStoreBusyError: another program locks the label store.
        """
        try:
            event.check(self._label_store.taxonomy().views)
        except (LabelError, UnknownNameError) as error:
            raise ConfigError(error.what) from error
        self._label_store.append_clip_events([event])

    def quality(self, clip: str, rater: str) -> str:
        """Return the image quality that a rater gave a clip; empty without one."""
        return self._quality.get(clip, {}).get(rater, "")

    def marks(self, clip: str, rater: str) -> dict[str, list[int]]:
        """Return the frames that a rater marked, by phase."""
        return parse_marks(self._marks.get(clip, {}).get(rater, ""))

    def note(self, clip: str, rater: str) -> str:
        """Return the rater's own note on a clip; empty without one."""
        return self._notes.get(clip, {}).get(rater, "")

    def notes_of_others(self, clip: str, rater: str) -> list[tuple[str, str]]:
        """Return rater and text of the other notes on a clip."""
        return [(name, text) for name, text in self._notes.get(clip, {}).items() if name != rater]

    def goal(self, rater: str) -> int:
        """Return the daily goal of a rater, clips; 0 without one."""
        return int(self._goals.get(rater, "0"))

    def is_away(self, clip: str, rater: str) -> bool:
        """Return whether a clip was handed to a colleague of this rater."""
        handover = self.handovers.get(clip)
        return handover is not None and handover.colleague != rater


def open_handovers(events: Sequence[ClipEvent]) -> dict[str, Handover]:
    """Return the clips that were handed over and are not done, by clip; the last one of a clip holds.

    The sender may take a clip back, and the colleague may be done with it.
    """
    handovers: dict[str, Handover] = {}
    for event in events:
        if event.kind == ClipEventKind.HANDOVER:
            colleague, text = parse_handover(event.value)
            handovers[event.clip] = Handover(event.clip, event.rater, colleague, text, event.at)
        elif event.kind == ClipEventKind.HANDOVER_DONE and event.clip in handovers:
            handover = handovers[event.clip]
            if event.rater in (handover.sender, handover.colleague):
                del handovers[event.clip]
    return handovers
