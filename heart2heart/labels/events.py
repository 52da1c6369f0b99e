"""What a rater says, as an event that is never changed: a later event corrects, adjudicates or takes back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.schema.labels import ANSWERS, EVENT_KINDS
from heart2heart.schema.views import TAXONOMY_VERSION, VIEWS


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
        kind: One of `EVENT_KINDS`.
        answer: One of `ANSWERS`.
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
    kind: str = "label"
    answer: str = "view"
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
        said = [self.clip, self.frame, self.view, self.rater, self.at, self.taxonomy]
        if (self.kind, self.answer) != ("label", "view"):
            said += [self.kind, self.answer, self.retracts]
        return hashlib.sha256("\x1f".join(said).encode()).hexdigest()

    @property
    def target(self) -> str:
        """What the event is about: the frame, or else the clip."""
        return self.frame or self.clip

    @property
    def value(self) -> str:
        """The view, or `unusable`, `unsure`; empty in a retraction."""
        return self.view if self.answer == "view" else self.answer

    def retraction(self, at: str) -> LabelEvent:
        """Return the event by which the same rater takes this one back."""
        return LabelEvent(
            self.clip, self.frame, "", self.rater, at, self.source, self.taxonomy,
            kind="retraction", answer="", frame_hash=self.frame_hash, retracts=self.identifier,
        )  # fmt: skip

    def check(self) -> None:
        """Refuse an event that says nothing, or contradicts itself.

        Raises:
            UnknownNameError: a view, kind or answer that does not exist.
            LabelError: the parts do not fit each other.
        """
        if self.kind not in EVENT_KINDS:
            raise UnknownNameError.among("kind of label event", self.kind, list(EVENT_KINDS))
        if self.answer not in ANSWERS:
            raise UnknownNameError.among("answer", self.answer, list(ANSWERS))
        if (self.answer == "view") != bool(self.view):
            raise LabelError("a label event names a view exactly when its answer is `view`", where=self.clip)
        if self.view and self.view not in VIEWS:
            raise UnknownNameError.among("view", self.view, list(VIEWS))
        retraction = self.kind == "retraction"
        if retraction != (self.answer == "") or retraction != bool(self.retracts):
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
    back = {(event.rater, event.retracts) for event in events if event.kind == "retraction"}
    return [event for event in events if event.kind != "retraction" and (event.rater, event.identifier) not in back]
