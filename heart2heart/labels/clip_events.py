"""Events of a clip that are no readings of its view: quality, marked frames, notes, tasks, goals and gold labels.

They are appended to the label store like readings, and never changed: a later event of the same rater replaces an
earlier one. Consensus, agreement and exports of views do not read them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.schema.enums import ClipEventKind, ImageQuality, LabelAnswer
from heart2heart.schema.views import VIEWS

MAX_NOTE = 1000
"""Maximum length of a note or of a message to a colleague, characters."""
MAX_MARKS = 64
"""Maximum number of marked frames of one kind in a clip."""
MAX_FRAME = 100_000
"""Largest index of a marked frame."""
MAX_GOAL = 10_000
"""Largest daily goal, clips."""
PHASES = ("ed", "es")
"""Phases whose frames are marked: end diastole and end systole."""

_MAX_NAME = 60


@dataclass(frozen=True)
class ClipEvent:
    """One event of one clip by one rater.

    Attributes:
        clip: Pseudonym of the clip; empty for a daily goal.
        kind: Kind of the event.
        rater: Name of the rater.
        at: Time, ISO 8601.
        value: By kind: an `ImageQuality`; JSON `{"ed": [...], "es": [...]}` of frame indices; the text of a note; JSON
            `{"to": ..., "text": ...}`; nothing; a number; a view or `unusable`; a view. Empty withdraws what it can.

    Examples:
        >>> ClipEvent("clip1", ClipEventKind.QUALITY, "reader 1", "2026-11-28T12:00:00Z", "good").check()
    """

    clip: str
    kind: ClipEventKind
    rater: str
    at: str
    value: str

    @property
    def identifier(self) -> str:
        """Hash of all fields: the same event sent twice is stored once."""
        parts = [self.clip, self.kind, self.rater, self.at, self.value]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    def check(self, views: Collection[str] = VIEWS.keys()) -> None:
        """Refuse an event whose value does not fit its kind.

        Args:
            views: The views of the label store's taxonomy.

        Raises:
            UnknownNameError: the kind, the quality or the view does not exist.
            LabelError: the value has another form, or is too long.
        """
        if self.kind not in set(ClipEventKind):
            raise UnknownNameError.among("kind of event", self.kind, list(ClipEventKind))
        if (self.kind == ClipEventKind.GOAL) == bool(self.clip):
            raise LabelError("a daily goal is of no clip, and every other event of one", where=self.clip)
        if self.kind == ClipEventKind.QUALITY:
            if self.value and self.value not in set(ImageQuality):
                raise UnknownNameError.among("image quality", self.value, list(ImageQuality))
        elif self.kind == ClipEventKind.MARKS:
            parse_marks(self.value)
        elif self.kind == ClipEventKind.NOTE:
            check_text(self.value)
        elif self.kind == ClipEventKind.HANDOVER:
            parse_handover(self.value)
        elif self.kind == ClipEventKind.GOAL:
            if not self.value.isascii() or not self.value.isdecimal() or not int(self.value[:9]) <= MAX_GOAL:
                raise LabelError(f"a daily goal is a number of clips, at most {MAX_GOAL:,}")
        elif self.kind == ClipEventKind.GOLD:
            _check_view(self.value, views, also=LabelAnswer.UNUSABLE)
        elif self.kind == ClipEventKind.EXAMPLE:
            _check_view(self.value, views)
        elif self.value:
            raise LabelError(f"an event of kind {self.kind} has no value", where=self.clip)


def _check_view(value: str, views: Collection[str], also: str = "") -> None:
    if value and value != also and value not in views:
        raise UnknownNameError.among("view", value, list(views))


def check_text(value: str) -> str:
    """Return a text that a rater wrote.

    Raises:
        LabelError: it is too long, or holds characters that no one can read.
    """
    if len(value) > MAX_NOTE:
        raise LabelError(f"a note has at most {MAX_NOTE:,} characters, and this one {len(value):,}")
    if any(not character.isprintable() and character != "\n" for character in value):
        raise LabelError("a note is plain text: it has characters that cannot be shown")
    return value


def marks_text(marks: Mapping[str, Sequence[int]]) -> str:
    """Return frame indices by phase as the value of an event.

    Examples:
        >>> marks_text({"es": [12], "ed": [30, 0]})
        '{"ed": [0, 30], "es": [12]}'
    """
    return json.dumps({phase: sorted(set(marks.get(phase, ()))) for phase in PHASES})


def parse_marks(value: str) -> dict[str, list[int]]:
    """Return the marked frames by phase; an empty value marks none.

    Raises:
        LabelError: the value has another form, or one frame has both phases.

    Examples:
        >>> parse_marks('{"ed": [0, 30], "es": [12]}')
        {'ed': [0, 30], 'es': [12]}
    """
    if not value:
        return {phase: [] for phase in PHASES}
    content = _json_mapping(value, "marked frames have the form {ed: [frame ...], es: [frame ...]}")
    marks: dict[str, list[int]] = {}
    for phase in PHASES:
        frames = content.get(phase, [])
        if not isinstance(frames, list) or len(frames) > MAX_MARKS or not all(_is_frame(frame) for frame in frames):
            raise LabelError(f"the frames of {phase} are at most {MAX_MARKS} indices from 0 to {MAX_FRAME:,}")
        marks[phase] = sorted({int(frame) for frame in frames})
    both = set(marks["ed"]) & set(marks["es"])
    if content.keys() - set(PHASES) or both:
        raise LabelError(
            f"frame {min(both)} is marked as both end diastole and end systole"
            if both
            else f"only {' and '.join(PHASES)} are marked"
        )
    return marks


def _is_frame(frame: object) -> bool:
    return isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame <= MAX_FRAME


def handover_text(colleague: str, message: str) -> str:
    """Return the value of an event that hands a clip to a colleague."""
    return json.dumps({"to": colleague, "text": message}, ensure_ascii=False)


def parse_handover(value: str) -> tuple[str, str]:
    """Return the colleague to whom a clip goes, and the message.

    Raises:
        LabelError: the value has another form.
    """
    content = _json_mapping(value, "a clip is handed over by {to: rater, text: message}")
    colleague, message = content.get("to"), content.get("text", "")
    if not isinstance(colleague, str) or not isinstance(message, str) or content.keys() - {"to", "text"}:
        raise LabelError("a clip is handed over by {to: rater, text: message}")
    if not 0 < len(colleague) <= _MAX_NAME or not colleague.isprintable():
        raise LabelError("name the colleague who gets the clip")
    return colleague, check_text(message)


def _json_mapping(value: str, form: str) -> dict[str, object]:
    try:
        content = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise LabelError(form) from error
    if not isinstance(content, dict):
        raise LabelError(form)
    return content


def latest_values(events: Iterable[ClipEvent], kind: ClipEventKind) -> dict[str, dict[str, str]]:
    """Return the last value of each rater by clip; an empty value withdraws the earlier ones.

    Args:
        events: Events in the order in which they were recorded.
        kind: Kind of the events to take.

    Examples:
        >>> at = "2026-11-28T12:00:00Z"
        >>> events = [ClipEvent("clip1", ClipEventKind.QUALITY, "a", at, word) for word in ("good", "poor")]
        >>> latest_values(events, ClipEventKind.QUALITY)
        {'clip1': {'a': 'poor'}}
    """
    values: dict[str, dict[str, str]] = {}
    for event in events:
        if event.kind == kind:
            of_clip = values.setdefault(event.clip, {})
            of_clip.pop(event.rater, None)  # the last of all raters comes last
            if event.value:
                of_clip[event.rater] = event.value
    return {clip: of_clip for clip, of_clip in values.items() if of_clip}


def current_events(events: Iterable[ClipEvent], kinds: Collection[ClipEventKind]) -> list[ClipEvent]:
    """Return the last event of each clip, rater and kind, without withdrawn ones, by clip and rater.

    Args:
        events: Events in the order in which they were recorded.
        kinds: Kinds of the events to take.
    """
    last = {(event.clip, event.rater, event.kind): event for event in events if event.kind in kinds}
    return [event for _, event in sorted(last.items()) if event.value]


@dataclass(frozen=True)
class WrittenEvent:
    """What one row of a table, or one entry of another tool's file, says of a clip, before it is checked.

    Attributes:
        number: Number of the row or entry.
        kind: Kind of the event.
        clip: Pseudonym of the clip; empty where the file names a clip that is not in the store.
        rater: Name of the rater.
        at: Time, ISO 8601, or nothing.
        value: The quality, the note, or the number of a marked frame in the recording, from 0.
        phase: Phase of the marked frame.
    """

    number: int
    kind: ClipEventKind
    clip: str
    rater: str
    at: str
    value: str
    phase: str = ""


def gold_labels(events: Iterable[ClipEvent]) -> dict[str, str]:
    """Return the known label of each gold clip; the last event of a clip holds, whoever wrote it."""
    frozen = {event.clip: event.value for event in events if event.kind == ClipEventKind.GOLD}
    return {clip: value for clip, value in frozen.items() if value}
