"""Label events, which are never changed, and their migration from other versions of the view taxonomy.

A later event corrects, adjudicates or retracts an earlier one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from heart2heart.config import YAML_ERRORS, load_yaml
from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import TAXONOMIES, TAXONOMY_VERSION, VIEWS

MAX_SECONDS = 7 * 86_400
"""Maximum time from the appearance of a clip to the answer, seconds: one week."""
_YEARS = range(1900, 2200)


def is_time(text: str) -> bool:
    """Return whether a text is a date, or a date and time, of ISO 8601 that the calendar has.

    Examples:
        >>> is_time("2026-01-31T12:00:00Z"), is_time("9999-99-99")
        (True, False)
    """
    try:
        return len(text) <= _LONGEST_TIME and datetime.fromisoformat(text).year in _YEARS
    except ValueError:
        return False


_LONGEST_TIME = 40


@dataclass(frozen=True)
class LabelEvent:
    """One label event of one rater.

    Attributes:
        clip: Pseudonym of the clip.
        frame: Identifier of the frame; empty when the label is of the whole clip.
        view: A view of the label store's taxonomy; empty unless `answer` is `view`.
        rater: Name of the rater.
        at: Time, ISO 8601; empty when unknown.
        source: Origin of the event, e.g. `csv:clinical` or `page`.
        taxonomy: Version of the view taxonomy.
        kind: Kind of the event.
        answer: Answer of the rater.
        confidence: Confidence that the rater stated, 0 to 1; None when not stated.
        frame_hash: SHA-256 of the pixels that were read: `pixel_hash` of the clip; empty when unknown.
        seconds: Time from the clip's appearance to the answer; None when unknown.
        suggestion: The view that a model suggested; empty without a suggestion.
        suggested_by: The run of that model.
        suggestion_shown: Whether the rater saw the suggestion before the answer.
        retracts: Identifier of the event that a retraction withdraws.

    Examples:
        >>> LabelEvent("clip1", "", "A4C", "reader 1", "2026-01-31T12:00:00Z", "csv:heart2heart").value
        'A4C'
    """

    clip: str
    frame: str
    view: str
    rater: str
    at: str
    source: str
    taxonomy: str = TAXONOMY_VERSION
    kind: EventKind = EventKind.LABEL
    answer: LabelAnswer = LabelAnswer.VIEW
    confidence: float | None = None
    frame_hash: str = ""
    seconds: float | None = None
    suggestion: str = ""
    suggested_by: str = ""
    suggestion_shown: bool = False
    retracts: str = ""

    @property
    def identifier(self) -> str:
        """Hash of clip, frame, value, rater and time: the same label imported twice is one event.

        A label of a view has the same hash as in schema 1, so that an old file imported again adds no duplicates.
        """
        parts = [self.clip, self.frame, self.view, self.rater, self.at, self.taxonomy]
        if (self.kind, self.answer) != (EventKind.LABEL, LabelAnswer.VIEW):
            parts += [self.kind, self.answer, self.retracts]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    @property
    def target(self) -> str:
        """The frame that the event labels, or else the clip."""
        return self.frame or self.clip

    @property
    def value(self) -> str:
        """The view, `unusable` or `unsure`; empty in a retraction."""
        return self.view if self.answer == LabelAnswer.VIEW else self.answer

    def retraction(self, at: str) -> LabelEvent:
        """Return the event by which the same rater retracts this one.

        Args:
            at: Time of the retraction, ISO 8601.
        """
        return LabelEvent(
            self.clip, self.frame, "", self.rater, at, self.source, self.taxonomy,
            kind=EventKind.RETRACTION, answer=LabelAnswer.NONE, frame_hash=self.frame_hash, retracts=self.identifier,
        )  # fmt: skip

    def check(self, views: Collection[str] | None = VIEWS.keys()) -> None:
        """Refuse an incomplete or inconsistent event.

        Args:
            views: The views of the label store's taxonomy; None takes every view.

        Raises:
            UnknownNameError: the view, kind or answer does not exist.
            LabelError: the fields contradict each other, or a number is out of range.
        """
        if self.kind not in set(EventKind):
            raise UnknownNameError.among("kind of label event", self.kind, list(EventKind))
        if self.answer not in set(LabelAnswer):
            raise UnknownNameError.among("answer", self.answer, list(LabelAnswer))
        if (self.answer == LabelAnswer.VIEW) != bool(self.view):
            raise LabelError("a label event must name a view if its answer is `view`, and only then", where=self.clip)
        if self.view and views is not None and self.view not in views:
            raise UnknownNameError.among("view", self.view, list(views))
        retraction = self.kind == EventKind.RETRACTION
        if retraction != (self.answer == LabelAnswer.NONE) or retraction != bool(self.retracts):
            raise LabelError(
                "a retraction must name the event that it retracts, and no other event may name one", where=self.clip
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise LabelError("a confidence must be between 0 and 1", where=self.clip)
        if self.seconds is not None and not 0 <= self.seconds <= MAX_SECONDS:
            raise LabelError(f"the seconds of a reading must be 0 or more, at most {MAX_SECONDS:,}", where=self.clip)


EVENT_COLUMNS = tuple(field.name for field in fields(LabelEvent))
"""Names of the fields, in order: the columns of the label store and of an export."""


def active_events(events: Iterable[LabelEvent]) -> list[LabelEvent]:
    """Return the readings and adjudications that were not retracted, in their order.

    A retraction of another rater's event has no effect.

    Examples:
        >>> event = LabelEvent("clip1", "", "A4C", "reader 1", "2026-01-31T12:00:00Z", "csv:heart2heart")
        >>> active_events([event, event.retraction("2026-01-31T12:01:00Z")])
        []
    """
    events = list(events)
    retracted = {(event.rater, event.retracts) for event in events if event.kind == EventKind.RETRACTION}
    return [
        event
        for event in events
        if event.kind != EventKind.RETRACTION and (event.rater, event.identifier) not in retracted
    ]


TaxonomyMaps = Mapping[str, Mapping[str, str]]
"""Version of the taxonomy -> name of a view in that version -> name in the present version."""


def migrate_taxonomy(events: Sequence[LabelEvent], maps: TaxonomyMaps | None = None) -> list[LabelEvent]:
    """Return the events in the present taxonomy; their source names the version that they had.

    The identifier of an event changes with its view; a retraction then names the new identifier.

    Args:
        events: All events of a file or label store.
        maps: Names for versions that `views.TAXONOMIES` lacks, or further names for versions that it has.

    Raises:
        LabelError: views have no mapping; the message lists them with their counts.
    """
    names_by_version = {version: {**TAXONOMIES.get(version, {}), **dict((maps or {}).get(version, {}))}
             for version in {event.taxonomy for event in events}}  # fmt: skip
    missing = Counter(
        (event.taxonomy, name)
        for event in events
        if event.taxonomy != TAXONOMY_VERSION
        for name in {event.view, event.suggestion} - {""} - set(names_by_version[event.taxonomy])
    )
    if missing:
        listed = ", ".join(
            f"{name} of version {version} ({count})" for (version, name), count in sorted(missing.items())
        )
        remedy = "Give --taxonomy-map FILE, YAML of the form {version: {old name: new name}}; the present version is "
        raise LabelError(
            f"views without a mapping: {listed}", remedy=f"{remedy}{TAXONOMY_VERSION}; nothing was written"
        )
    renamed: dict[str, str] = {}
    migrated = []
    for event in events:
        if event.taxonomy == TAXONOMY_VERSION:
            migrated.append(event)
            continue
        names = {"": "", **names_by_version[event.taxonomy]}
        event_now = replace(
            event, view=names[event.view], suggestion=names[event.suggestion], taxonomy=TAXONOMY_VERSION,
            source=f"{event.source} taxonomy:{event.taxonomy}", retracts=renamed.get(event.retracts, event.retracts),
        )  # fmt: skip
        renamed[event.identifier] = event_now.identifier
        migrated.append(event_now)
    return migrated


def read_taxonomy_maps(path: Path) -> TaxonomyMaps:
    """Read a map file: YAML of the form `{version: {old name: new name}}`.

    Raises:
        MissingInputError: no such file.
        LabelError: the file has another form.
        UnknownNameError: a new name is not a view.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError("no taxonomy map here", where=path) from error
    except YAML_ERRORS as error:
        raise LabelError("this taxonomy map is not readable YAML", where=path) from error
    if not isinstance(content, dict) or not all(isinstance(names, dict) for names in content.values()):
        raise LabelError("a taxonomy map must have the form {version: {old name: new name}}", where=path)
    maps = {
        str(version): {str(old_name): str(new_name) for old_name, new_name in names.items()}
        for version, names in content.items()
    }
    for names in maps.values():
        for new_name in names.values():
            if new_name not in VIEWS:
                raise UnknownNameError.among("view", new_name, list(VIEWS))
    return maps
