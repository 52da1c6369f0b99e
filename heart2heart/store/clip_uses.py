"""Which clips of a store reach the label page, the pool, training and evaluation: flags rule and text review together.

This is the only place that decides it. The text review goes first: what it withholds no rule can allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.flags_rule import ClipUse, FlagsRule
from heart2heart.schema.status import ClipFlag
from heart2heart.store.text_review import TextReview

_TEXT_FLAGS = (ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED)


class ReviewedClips(Protocol):
    """Clips with their flags and the text review, as a store has them."""

    @property
    def clips(self) -> pa.Table:
        """One row a clip, with `clip` and `flags`."""

    @property
    def text_review(self) -> TextReview:
        """Which clips may be shown."""


def excluded_clips(store: ReviewedClips, use: ClipUse, rule: FlagsRule) -> frozenset[str]:
    """Return the clips that do not reach a use.

    Args:
        store: The store, or several.
        use: The use.
        rule: The flags rule. A flag of text no longer counts once a person has cleared the clip.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.schema.flags_rule import usual_rule
        >>> excluded_clips(h2h.open_store("store"), ClipUse.POOL, usual_rule())
        frozenset()
    """
    return _excluded(store.clips, store.text_review, use, rule)


def _excluded(clips: pa.Table, review: TextReview, use: ClipUse, rule: FlagsRule) -> frozenset[str]:
    names = clips["clip"].to_numpy(zero_copy_only=False)
    flags = rule.flags(use)
    by_other = set(names[_with_flags(clips, [flag for flag in flags if flag not in _TEXT_FLAGS])])
    by_text = set(names[_with_flags(clips, [flag for flag in flags if flag in _TEXT_FLAGS])]) - review.cleared
    withheld = review.withheld if use == ClipUse.LABEL else review.excluded
    return frozenset(by_other | by_text) | withheld


def _with_flags(clips: pa.Table, flags: list[ClipFlag]) -> npt.NDArray[np.bool_]:
    """Return the clips with one of the flags, bool `(n,)`."""
    lists = clips["flags"].combine_chunks()
    concerned = pc.is_in(pc.list_flatten(lists), pa.array(flags, pa.string()))
    flagged = np.zeros(len(clips), bool)
    flagged[pc.list_parent_indices(lists).filter(concerned).to_numpy()] = True
    return flagged


@dataclass(frozen=True)
class FlagCount:
    """How many clips with a flag reach each use.

    Attributes:
        flag: The flag; `any clip` for all clips.
        clips: Number of clips with the flag.
        reaching: Number of those clips that reach each use, in the order of `ClipUse`.
    """

    flag: str
    clips: int
    reaching: tuple[int, ...]


def count_uses(clips: pa.Table, review: TextReview, rule: FlagsRule) -> list[FlagCount]:
    """Return the clips by flag and use; the first entry counts all clips.

    Args:
        clips: Table of clips, with `clip` and `flags`, also of those that the text review excludes.
        review: The text review.
        rule: The flags rule.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.schema.flags_rule import usual_rule
        >>> store = h2h.open_store("store")
        >>> count_uses(store.all_clips, store.text_review, usual_rule())[0].clips
        50
    """
    excluded = [_excluded(clips, review, use, rule) for use in ClipUse]
    names = clips["clip"].to_pylist()
    counts = [FlagCount("any clip", len(names), _reaching(names, excluded))]
    for flag in ClipFlag:
        flagged = clips["clip"].to_numpy(zero_copy_only=False)[_with_flags(clips, [flag])].tolist()
        if flagged:
            counts.append(FlagCount(flag.value, len(flagged), _reaching(flagged, excluded)))
    return counts


def _reaching(names: list[str], excluded: list[frozenset[str]]) -> tuple[int, ...]:
    return tuple(sum(name not in clips for name in names) for clips in excluded)
