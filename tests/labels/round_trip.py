"""Labels that are written for another tool and read again: each reading that counts comes back, and none twice."""

from __future__ import annotations

from pathlib import Path

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.store.frame_store import FrameStore

_WRONG = LabelEvent("c2", "", "PLAX", "a", "2024-01-03", "page")
_KEPT = (
    LabelEvent("c0", "", "A4C", "a <b>", "2024-01-01T10:00:00.000Z", "page", seconds=2.5),
    LabelEvent("c0", "", "", "b", "2024-01-02", "page", answer=LabelAnswer.UNSURE),
    LabelEvent("c0", "", "A2C", "z", "2024-01-02", "page", kind=EventKind.ADJUDICATION),
    LabelEvent("c1", "c1:0001", "", "a", "", "page", answer=LabelAnswer.UNUSABLE),
)
EVERY_KIND = (*_KEPT, _WRONG, _WRONG.retraction("2024-01-04"))
"""A view, two answers without a view, a decision, a reading of one frame, and a reading that was retracted."""


def check_comes_back(path: Path, label_store: LabelStore, store: FrameStore) -> None:
    """Check that the written file adds nothing to its label store, and all that counts to an empty one."""
    assert import_labels(path, label_store, store).new == 0  # every event is known
    fresh = LabelStore(path.with_name("fresh.db"))
    assert import_labels(path, fresh, store).new == len(_KEPT)
    assert {(e.identifier, e.seconds) for e in fresh.events()} == {(e.identifier, e.seconds) for e in _KEPT}
