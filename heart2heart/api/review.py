"""Review of clips in which text is suspected: the list, the decisions of persons, and the reviewer's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ReviewedClip:
    """One clip in which text is suspected, or on which a person decided.

    Attributes:
        clip: Its pseudonym.
        site: Hospital.
        mode: Mode of the clip.
        frames: Number of stored frames.
        state: `waiting`, `cleared` or `hidden`.
        quarantined: Whether it takes part in nothing until a person clears it.
    """

    clip: str
    site: str
    mode: str
    frames: int
    state: str
    quarantined: bool


def list_reviews(store: str | Path) -> list[ReviewedClip]:
    """Return the clips in which text is suspected, or on which a person decided; those that wait come first.

    Args:
        store: Frame store.

    Raises:
        StoreError: the file of reviews is damaged.

    Examples:
        >>> from heart2heart.api import list_reviews
        >>> [each.state for each in list_reviews("store")]
        ['waiting', 'waiting']
    """
    from heart2heart.schema.review import ReviewState
    from heart2heart.store.frame_store import FrameStore

    opened = FrameStore.open(store)
    review = opened.text_review
    clips = []
    for row in opened.all_clips.select(["clip", "site", "mode", "n_frames"]).to_pylist():
        state = review.state(row["clip"])
        if state is not None:
            quarantined = row["clip"] in review.quarantined
            clips.append(ReviewedClip(row["clip"], row["site"], row["mode"], row["n_frames"], state.value, quarantined))
    order = [state.value for state in ReviewState]
    return sorted(clips, key=lambda clip: (order.index(clip.state), clip.site, clip.clip))


def review_sentence(store: str | Path) -> str:
    """Return how many clips of a store wait for review, in one sentence; empty where no text is suspected.

    Examples:
        >>> from heart2heart.api import review_sentence
        >>> review_sentence("store")
        '2 clips wait for review, 0 cleared, 0 hidden: heart2heart review store'
    """
    from heart2heart.store.frame_store import FrameStore

    review = FrameStore.open(store).text_review
    waiting, cleared, hidden = len(review.waiting), len(review.cleared), len(review.hidden)
    if not waiting + cleared + hidden:
        return ""
    clips = "1 clip waits" if waiting == 1 else f"{waiting} clips wait"
    quarantined = f" ({len(review.quarantined)} in quarantine)" if review.quarantined else ""
    return f"{clips} for review{quarantined}, {cleared} cleared, {hidden} hidden: heart2heart review {store}"


@audited(AuditAction.REVIEW, beside="store", writes=["store"])
def review_clips(store: str | Path, clips: Sequence[str], decision: str, *, by: str, reason: str) -> None:
    """Record a decision of a person on clips, all or none.

    `cleared`: no identity is in the pictures. `hidden`: the clip is never shown and takes part in nothing. `undone`
    takes the reviewer's own last decision back. One person who hides a clip counts more than all who clear it.

    Args:
        store: Frame store.
        clips: Pseudonyms of the clips.
        decision: `cleared`, `hidden` or `undone`.
        by: Name of the person.
        reason: Why, without an identity.

    Raises:
        UnknownNameError: another decision, or a clip that the store does not hold.
        ConfigError: name or reason is empty or too long, or there is nothing to undo.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import list_reviews, review_clips
        >>> clip = h2h.open_store("store").clips["clip"][0].as_py()
        >>> review_clips("store", [clip], "hidden", by="Reader 1", reason="a name in the scan")
        >>> [each.state for each in list_reviews("store")], len(h2h.open_store("store").clips)
        (['waiting', 'waiting', 'hidden'], 49)
        >>> review_clips("store", [clip], "undone", by="Reader 1", reason="it was a ruler")
        >>> [each.state for each in list_reviews("store")]
        ['waiting', 'waiting']
    """
    from heart2heart.errors import UnknownNameError
    from heart2heart.schema.review import ReviewDecision
    from heart2heart.store.record_review import record_review

    if decision not in list(ReviewDecision):
        raise UnknownNameError.among("decision", decision, [each.value for each in ReviewDecision])
    record_review(Path(store), clips, ReviewDecision(decision), reviewer=by, reason=reason)


@audited(AuditAction.REVIEW, beside="store", reads=["store"])
def serve_review(store: str | Path, *, by: str, port: int = 8081, ready: Callable[[str], None] | None = None) -> None:
    """Serve the page where one person reviews the clips that wait, on loopback, until Ctrl-C.

    Args:
        store: Frame store.
        by: Name of the person, as the events record it.
        port: TCP port; 0 chooses a free one.
        ready: Receives the address, with the token that opens the page.

    Raises:
        ConfigError: the name is empty or too long, or the extra `curate` is not installed.
        StoreError: the store or its file of reviews is damaged.

    Examples:
        >>> from heart2heart.api import serve_review
        >>> serve_review("store", by=" ")
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: a rater's name has 1 to 60 printable characters: --by
    """
    from heart2heart.annotate import require_web_extra

    with require_web_extra():
        from heart2heart.annotate.review_page import ReviewServer, ReviewSession

    server = ReviewServer(ReviewSession(Path(store), by, text_areas), port)
    server.run(ready or (lambda address: None))


def text_areas(frames: npt.NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Return the areas of a clip's stored frames in which text is suspected: left, top, right, bottom.

    The text was found in the pictures of the file. Stored frames are smaller, and text may be blanked in them, so there
    may be no area.

    Args:
        frames: uint8 `(n, height, width)`.

    Examples:
        >>> import numpy as np
        >>> text_areas(np.zeros((2, 64, 64), np.uint8))
        []
    """
    import numpy as np
    from scipy import ndimage

    from heart2heart.deidentify.burned_in_text import text_mask

    height, width = frames.shape[1:]
    mask = text_mask(frames, np.ones((height, width), bool))
    if mask is None:
        return []
    parts, _ = ndimage.label(mask, np.ones((3, 3), bool))
    return [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(parts)]
