"""Records what a person decided on clips of a store in which text is suspected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from heart2heart.errors import ConfigError, StoreError, UnknownNameError
from heart2heart.schema.review import ReviewDecision, ReviewEvent, ReviewEvents, append_reviews
from heart2heart.store.frame_store import FrameStore


def record_review(
    root: Path, clips: Sequence[str], decision: ReviewDecision, *, reviewer: str, reason: str, seen: str | None = None
) -> None:
    """Append one event for each clip, all or none; a decision that counts already is not recorded again.

    Args:
        root: Folder of the store.
        clips: Pseudonyms of clips of the store.
        decision: The decision. `undone` takes the reviewer's own last decision back.
        reviewer: Who decided.
        reason: Why, without an identity.
        seen: Hash of the pixels that the person saw. None takes that of the table of clips.

    Raises:
        UnknownNameError: the store does not hold a clip.
        ConfigError: a name or reason is empty, too long or not printable, or there is nothing to undo.
        StoreError: the pixels are not those that the person saw, or the file of reviews is damaged.
    """
    table = FrameStore.open(root).all_clips
    hashes = dict(zip(table["clip"].to_pylist(), table["pixel_hash"].to_pylist(), strict=True))
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    events = []
    for clip in dict.fromkeys(clips):
        if clip not in hashes:
            raise UnknownNameError(f"no clip {clip[:40]!r} in this store", where=root, remedy=_LIST)
        if seen is not None and seen != hashes[clip]:
            what = "the pixels of this clip are not those that were seen"
            raise StoreError(what, where=clip, remedy="Run: heart2heart store verify STORE")
        content = {"clip": clip, "pixel_hash": hashes[clip], "decision": decision, "reviewer": reviewer}
        events.append(ReviewEvent.parse(content | {"reason": reason, "at": at}, where="the review"))
    append_reviews(root, lambda present: _new_events(present, events))


_LIST = "List those that wait: heart2heart review STORE --list"


def _new_events(present: ReviewEvents, events: Iterable[ReviewEvent]) -> list[ReviewEvent]:
    current = present.current_decisions()
    new = []
    for event in events:
        own = current.get((event.clip, event.pixel_hash), {}).get(event.reviewer)
        if event.decision == ReviewDecision.UNDONE and own is None:
            what = f"{event.reviewer} has no decision on this clip that could be undone"
            raise ConfigError(what, where=event.clip, remedy="Give the name under which the decision was made")
        if own != event.decision:
            new.append(event)
    return new
