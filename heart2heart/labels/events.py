"""Label events, which are never changed, and their migration from other versions of the view taxonomy.

A later event corrects, adjudicates or retracts an earlier one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import TAXONOMIES, TAXONOMY_VERSION, VIEWS


@dataclass(frozen=True)
class LabelEvent:
    """One statement of one rater.

    Attributes:
        clip: Pseudonym of the clip.
        frame: Identifier of the frame, or empty when the label is of the whole clip.
        view: A name of `views.VIEWS`; empty unless `answer` is `view`.
        rater: Who said so.
        at: When, ISO 8601; empty when unknown.
        source: Where the event came from, e.g. `csv:clinical` or `page`.
        taxonomy: Version of the view taxonomy.
        kind: An `EventKind`.
        answer: A `LabelAnswer`.
        confidence: The rater's own, 0 to 1; None when not asked.
        frame_hash: SHA-256 of the pixels that were judged: `pixel_hash` of the clip; empty when unknown.
        seconds: From the clip's appearance to the answer; None when unknown.
        suggestion: The view that a model had suggested; empty when there was none.
        suggested_by: The run whose model that was.
        suggestion_shown: Whether the rater saw the suggestion before answering.
        retracts: Identifier of the event that a retraction takes back.
    """

    clip: str
    frame: str
    view: str
    rater: str
    at: str
    source: str
    taxonomy: str = TAXONOMY_VERSION
    kind: str = EventKind.LABEL
    answer: str = LabelAnswer.VIEW
    confidence: float | None = None
    frame_hash: str = ""
    seconds: float | None = None
    suggestion: str = ""
    suggested_by: str = ""
    suggestion_shown: bool = False
    retracts: str = ""

    @property
    def identifier(self) -> str:
        """Hash of the statement: the same statement imported twice is one event.

        A plain label of a view hashes as it did in books of schema 1, so that an old file imports into a new book
        without doubles.
        """
        parts = [self.clip, self.frame, self.view, self.rater, self.at, self.taxonomy]
        if (self.kind, self.answer) != (EventKind.LABEL, LabelAnswer.VIEW):
            parts += [self.kind, self.answer, self.retracts]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    @property
    def target(self) -> str:
        """What the event is about: the frame, or else the clip."""
        return self.frame or self.clip

    @property
    def value(self) -> str:
        """The view, or `unusable`, `unsure`; empty in a retraction."""
        return self.view if self.answer == LabelAnswer.VIEW else self.answer

    def retraction(self, at: str) -> LabelEvent:
        """Return the event by which the same rater takes this one back."""
        return LabelEvent(
            self.clip, self.frame, "", self.rater, at, self.source, self.taxonomy,
            kind=EventKind.RETRACTION, answer=LabelAnswer.NONE, frame_hash=self.frame_hash, retracts=self.identifier,
        )  # fmt: skip

    def check(self) -> None:
        """Refuse an event that says nothing, or contradicts itself.

        Raises:
            UnknownNameError: a view, kind or answer that does not exist.
            LabelError: the parts do not fit each other.
        """
        if self.kind not in set(EventKind):
            raise UnknownNameError.among("kind of label event", self.kind, list(EventKind))
        if self.answer not in set(LabelAnswer):
            raise UnknownNameError.among("answer", self.answer, list(LabelAnswer))
        if (self.answer == LabelAnswer.VIEW) != bool(self.view):
            raise LabelError("a label event names a view exactly when its answer is `view`", where=self.clip)
        if self.view and self.view not in VIEWS:
            raise UnknownNameError.among("view", self.view, list(VIEWS))
        retraction = self.kind == EventKind.RETRACTION
        if retraction != (self.answer == LabelAnswer.NONE) or retraction != bool(self.retracts):
            raise LabelError("a retraction names the event it takes back, and nothing else does", where=self.clip)
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise LabelError("a confidence lies between 0 and 1", where=self.clip)
        if self.seconds is not None and not 0 <= self.seconds < float("inf"):
            raise LabelError("the seconds taken are no span of time", where=self.clip)


EVENT_COLUMNS = tuple(field.name for field in fields(LabelEvent))
"""Names of the fields, in order: the columns of the book and of an export."""


def active_events(events: Iterable[LabelEvent]) -> list[LabelEvent]:
    """Return the readings and adjudications that were not taken back, in their order.

    A rater can take back only what the same rater said; any other retraction has no effect.
    """
    events = list(events)
    retracted = {(event.rater, event.retracts) for event in events if event.kind == EventKind.RETRACTION}
    return [
        event
        for event in events
        if event.kind != EventKind.RETRACTION and (event.rater, event.identifier) not in retracted
    ]


TaxonomyMaps = Mapping[str, Mapping[str, str]]
"""Version -> that version's name of a view -> today's name."""


def migrate_taxonomy(events: Sequence[LabelEvent], maps: TaxonomyMaps | None = None) -> list[LabelEvent]:
    """Return the events in today's taxonomy; their source tells from which version they came.

    A retraction follows the event that it takes back, whose identifier changes with its view.

    Args:
        events: All events of a file or book.
        maps: For versions that `views.TAXONOMIES` does not know; of a version that it knows, it adds names.

    Raises:
        LabelError: views without a mapping; the message lists them with their number.
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
        remedy = "Give --taxonomy-map FILE, YAML of the form {version: {old name: new name}}; today's version is "
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
        LabelError: it has another form.
        UnknownNameError: a new name is no view.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError("no taxonomy map here", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelError("this taxonomy map is not readable YAML", where=path) from error
    if not isinstance(content, dict) or not all(isinstance(names, dict) for names in content.values()):
        raise LabelError("a taxonomy map has the form {version: {old name: new name}}", where=path)
    maps = {
        str(version): {str(old_name): str(new_name) for old_name, new_name in names.items()}
        for version, names in content.items()
    }
    for names in maps.values():
        for new_name in names.values():
            if new_name not in VIEWS:
                raise UnknownNameError.among("view", new_name, list(VIEWS))
    return maps
