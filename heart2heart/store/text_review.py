"""Which clips of a store may be shown, and which take part in anything: flags of suspected text, and reviews.

This is the only place that decides it. Whoever turns frames of a store into a picture leaves out the clips of
`TextReview.withheld`; the tables of a store leave out those of `TextReview.excluded`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.review import ReviewEvents, ReviewState
from heart2heart.schema.status import ClipFlag

_COLUMNS = ("clip", "pixel_hash", "flags")


@dataclass(frozen=True)
class TextReview:
    """The clips of a store, or of several, by what is known of text in their pictures.

    Attributes:
        waiting: Text is suspected, and no person's decision counts.
        cleared: A person saw these very pixels and found no identity.
        hidden: A person hides the clip.
        quarantined: Those of `waiting` that take part in nothing until a person clears them.
    """

    waiting: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    quarantined: frozenset[str] = frozenset()

    @property
    def withheld(self) -> frozenset[str]:
        """Clips of which no picture is shown anywhere but on the reviewer's page."""
        return self.waiting | self.hidden

    @property
    def excluded(self) -> frozenset[str]:
        """Clips that are in no split, training, evaluation, prediction or page."""
        return self.quarantined | self.hidden

    def state(self, clip: str) -> ReviewState | None:
        """Return the state of a clip; None for a clip that is neither suspected nor reviewed."""
        states = ((self.hidden, ReviewState.HIDDEN), (self.cleared, ReviewState.CLEARED))
        decided = next((state for clips, state in states if clip in clips), None)
        return ReviewState.WAITING if decided is None and clip in self.waiting else decided

    @classmethod
    def of(cls, clips: pa.Table, reviews: ReviewEvents) -> TextReview:
        """Return what the flags of the clips and the reviews say together.

        Args:
            clips: Table of clips, with `clip`, `pixel_hash` and `flags`.
            reviews: Events of the same store; one of other pixels than those of the table does not count.
        """
        states = reviews.states()
        named = pa.array(sorted({clip for clip, _ in states}), pa.string())
        concerned = np.flatnonzero(_flagged(clips) | pc.is_in(clips["clip"], named).to_numpy())
        chosen = clips.select(_COLUMNS).take(concerned)
        rows = list(zip(*(chosen[name].to_pylist() for name in _COLUMNS), strict=True))
        by_state: dict[ReviewState, set[str]] = {state: set() for state in ReviewState}
        quarantined = set()
        for clip, pixel_hash, flags in rows:
            state = states.get((clip, pixel_hash), ReviewState.WAITING)
            if state != ReviewState.WAITING or ClipFlag.TEXT_SUSPECTED in flags or ClipFlag.TEXT_QUARANTINED in flags:
                by_state[state].add(clip)
            if state == ReviewState.WAITING and ClipFlag.TEXT_QUARANTINED in flags:
                quarantined.add(clip)
        waiting, cleared, hidden = (frozenset(by_state[state]) for state in ReviewState)
        return cls(waiting, cleared, hidden, frozenset(quarantined))

    @classmethod
    def union(cls, parts: Iterable[TextReview]) -> TextReview:
        """Return what several stores say together; a clip that one of them withholds is withheld."""
        reviews = list(parts)
        waiting, cleared, hidden, quarantined = (
            frozenset().union(*(getattr(review, name) for review in reviews))
            for name in ("waiting", "cleared", "hidden", "quarantined")
        )
        return cls(waiting - hidden, cleared - waiting - hidden, hidden, quarantined - hidden)


def _flagged(clips: pa.Table) -> npt.NDArray[np.bool_]:
    """Return the clips with a flag of suspected text, bool `(n,)`; one pass over the flags of all clips."""
    flags = clips["flags"].combine_chunks()
    concerned = pc.is_in(pc.list_flatten(flags), pa.array([ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED]))
    flagged = np.zeros(len(clips), bool)
    flagged[pc.list_parent_indices(flags).filter(concerned).to_numpy()] = True
    return flagged
