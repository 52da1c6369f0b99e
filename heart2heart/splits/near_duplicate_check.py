"""Finds the pairs of frames of different groups that show the same picture, and honours those that a person cleared."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import SplitError
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.reviewed_pairs import ClearedPair, ReviewedPairs, SuspectedPair
from heart2heart.schema.split import Check
from heart2heart.splits.copy_check import CopySearch
from heart2heart.store.frame_store import Frames
from heart2heart.store.near_duplicates import find_near_duplicates, pair_correlations

MAX_CONFIRMED_PAIRS = 1000
"""Number of confirmed pairs after which the check stops, because it has failed."""

_NAME = "near_duplicates"


@dataclass(frozen=True)
class PairSearch:
    """What the searches for equal and for copied pictures found.

    Attributes:
        frames: Number of frames compared by hash.
        compared: Number of candidate pairs compared by pixels.
        equal: Pairs that show the same picture.
        copies: Other pairs that are copies after registration.
        copy_search: The search for copies; None: it was not made.
    """

    frames: int
    compared: int
    equal: tuple[SuspectedPair, ...]
    copies: tuple[SuspectedPair, ...]
    copy_search: CopySearch | None

    @property
    def pairs(self) -> tuple[SuspectedPair, ...]:
        """All suspected pairs."""
        return self.equal + self.copies


def search_pairs(used: pa.Table, stores: Frames, search: CopySearch | None = None) -> PairSearch:
    """Find the pairs of frames of different groups that show the same picture.

    Args:
        used: Members of the split that are not excluded, with their `group`.
        stores: The stores of the split.
        search: What the search for processed copies found; None: it was not made.
    """
    names = used["frame"].to_pylist()
    frames = stores.frames.take(pc.index_in(used["frame"], stores.frames["frame"]))
    rows = frames["row"].to_numpy().astype(np.int64)
    groups = np.unique(np.asarray(used["group"].to_pylist(), str), return_inverse=True)[1].astype(np.int64)
    hashes = frames["dhash"].to_numpy().astype(np.uint64)
    equal, compared = find_near_duplicates(hashes, groups, rows, stores, max_pairs=MAX_CONFIRMED_PAIRS)
    correlations = pair_correlations(equal, rows, stores)
    order = np.argsort(-correlations, kind="stable")
    equal_names = [(names[left], names[right]) for left, right in equal[order].tolist()]
    known = {frozenset(pair) for pair in equal_names}
    copies = [] if search is None else list(zip(search.pairs, search.scores, strict=True))
    copies = [(pair, score) for pair, score in copies if frozenset(pair) not in known]
    row_of = dict(zip(names, rows.tolist(), strict=True)) if equal_names or copies else {}
    return PairSearch(
        len(names),
        compared,
        _with_hashes(equal_names, correlations[order].tolist(), False, row_of, stores),
        _with_hashes([pair for pair, _ in copies], [score for _, score in copies], True, row_of, stores),
        search,
    )


def _with_hashes(
    pairs: Sequence[tuple[str, str]],
    correlations: Sequence[float],
    registered: bool,
    row_of: dict[str, int],
    stores: Frames,
) -> tuple[SuspectedPair, ...]:
    return tuple(
        SuspectedPair(
            left=left,
            right=right,
            correlation=round(min(correlation, 1.0), 4),
            registered=registered,
            left_sha256=pixels_sha256(stores, row_of[left]),
            right_sha256=pixels_sha256(stores, row_of[right]),
        )
        for (left, right), correlation in zip(pairs, correlations, strict=True)
    )


def pixels_sha256(stores: Frames, row: int) -> str:
    """Return the hash of the pixels of one frame."""
    pixels: npt.NDArray[np.uint8] = stores.read(np.array([row], np.int64))[0]
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def cleared_pairs(pairs: Sequence[SuspectedPair], reviewed: ReviewedPairs | None) -> tuple[ClearedPair, ...]:
    """Return the reviews of the suspected pairs that a person cleared.

    Args:
        pairs: The suspected pairs.
        reviewed: The pairs that persons cleared.

    Raises:
        SplitError: the review names frames of a suspected pair, but is of other pixels; or it clears equal pixels.
    """
    if reviewed is None:
        return ()
    by_pixels = {review.pixels: review for review in reviewed.pairs}
    by_names = {frozenset((review.left, review.right)): review for review in reviewed.pairs}
    cleared = []
    for pair in pairs:
        review = by_pixels.get(pair.pixels)
        if review is not None and len(pair.pixels) == 1:
            raise SplitError("a review clears a pair of frames with equal pixels", where=f"{pair.left}, {pair.right}")
        if review is None and frozenset((pair.left, pair.right)) in by_names:
            remedy = "Review the pair again; a review holds for the pixels that were looked at"
            where = f"{pair.left}, {pair.right}"
            raise SplitError("a review is of other pixels than the frames have", where=where, remedy=remedy)
        if review is not None:
            cleared.append(review)
    return tuple(cleared)


def check_near_duplicates(pair_search: PairSearch, reviewed: ReviewedPairs | None = None) -> Check:
    """Fail when a frame shows the same picture as one of another group; warn where a person cleared all such pairs.

    Args:
        pair_search: What the searches found.
        reviewed: The pairs that persons cleared.

    Raises:
        SplitError: see `cleared_pairs`.
    """
    if not pair_search.frames:
        return Check(name=_NAME, status=CheckStatus.FAIL, detail="no frame is used")
    cleared = cleared_pairs(pair_search.pairs, reviewed)
    pixels = {review.pixels for review in cleared}
    equal = [pair for pair in pair_search.equal if pair.pixels not in pixels]
    copies = [pair for pair in pair_search.copies if pair.pixels not in pixels]
    if equal or len(pair_search.equal) >= MAX_CONFIRMED_PAIRS:
        first = (equal or pair_search.equal)[0]
        count = (
            f"{len(equal)}" if len(pair_search.equal) < MAX_CONFIRMED_PAIRS else f"at least {len(pair_search.equal)}"
        )
        detail = (
            f"{count} pairs of frames across groups show the same picture, e.g. {first.left} and {first.right}"
            + _cleared_text(cleared, reviewed)
        )
        return Check(name=_NAME, status=CheckStatus.FAIL, detail=detail)
    search = pair_search.copy_search
    if copies and search is not None:
        first = copies[0]
        detail = (
            f"{len(copies)} pairs of frames across groups are copies after registration (correlation of "
            f"{search.threshold:.2f} or more), e.g. {first.left} and {first.right} ({first.correlation:.2f})"
            + _cleared_text(cleared, reviewed)
        )
        return Check(name=_NAME, status=CheckStatus.FAIL, detail=detail)
    none = "no other" if cleared else "none"
    detail = (
        f"{pair_search.frames} frames compared by hash, all {pair_search.compared} candidate pairs compared by pixels, "
        f"{none} the same"
    )
    if search is not None:
        detail += (
            f"; {search.frames} frames compared by descriptor, {search.registered} of {search.candidates} candidate "
            f"pairs registered, {none} a copy"
        )
    status = CheckStatus.WARN if cleared else CheckStatus.PASS
    return Check(name=_NAME, status=status, detail=detail + _cleared_text(cleared, reviewed))


def _cleared_text(cleared: Sequence[ClearedPair], reviewed: ReviewedPairs | None) -> str:
    """Return who cleared how many pairs and why."""
    if not cleared or reviewed is None:
        return ""
    reasons = Counter((review.reviewer, " ".join(review.reason.split())) for review in cleared)
    texts = [f'{count} by {reviewer}: "{reason}"' for (reviewer, reason), count in sorted(reasons.items())]
    return f"; {len(cleared)} suspected pairs cleared by review {reviewed.digest()[:16]} ({'; '.join(texts)})"
