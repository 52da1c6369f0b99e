"""A cleared pair no longer fails the certificate, other pairs do, and a review of other pixels is refused."""

from __future__ import annotations

import pytest

from heart2heart.errors import SplitError
from heart2heart.schema.reviewed_pairs import ClearedPair, ReviewedPairs, SuspectedPair
from heart2heart.splits.copy_check import CopySearch
from heart2heart.splits.near_duplicate_check import (
    MAX_CONFIRMED_PAIRS,
    PairSearch,
    check_near_duplicates,
    cleared_pairs,
)

SEARCH = CopySearch((), (), 10, 5, 5, 0.87, 50, 0, {"flip": 1.0}, 5)


def pair(left: str, right: str, *, registered: bool = True) -> SuspectedPair:
    """Return a pair of frames `a`, `b` and so on, whose pixels have the hashes `aaa...` and so on."""
    return SuspectedPair(
        left=f"{left}:0000", right=f"{right}:0000", correlation=0.9, registered=registered,
        left_sha256=left * 64, right_sha256=right * 64,
    )  # fmt: skip


def search(*copies: SuspectedPair, equal: tuple[SuspectedPair, ...] = ()) -> PairSearch:
    return PairSearch(frames=100, compared=7, equal=equal, copies=copies, copy_search=SEARCH)


def review(*pairs: SuspectedPair, reason: str = "other valve") -> ReviewedPairs:
    fields = {"reviewer": "Reader 1", "reason": reason, "reviewed": "2026-11-27T12:00:00+00:00"}
    return ReviewedPairs(pairs=tuple(ClearedPair(**(each.model_dump() | fields)) for each in pairs))


def test_check_near_duplicates_warns_where_all_pairs_were_cleared_and_names_the_reviewer() -> None:
    reviewed = review(pair("a", "b"), pair("c", "d"), pair("e", "f"))
    check = check_near_duplicates(search(pair("b", "a"), equal=(pair("c", "d", registered=False),)), reviewed)
    assert check.status == "warn"
    assert (
        f'2 suspected pairs cleared by review {reviewed.digest()[:16]} (2 by Reader 1: "other valve")' in check.detail
    )
    assert "no other a copy" in check.detail


def test_check_near_duplicates_fails_for_a_pair_that_nobody_cleared() -> None:
    check = check_near_duplicates(search(pair("a", "b"), pair("c", "d")), review(pair("a", "b")))
    assert check.status == "fail"
    assert check.detail.startswith("1 pairs of frames across groups are copies after registration")
    assert "c:0000 and d:0000 (0.90)" in check.detail
    assert "1 suspected pairs cleared" in check.detail
    equal = check_near_duplicates(search(equal=(pair("a", "b", registered=False),)))
    assert (equal.status, equal.detail[:25]) == ("fail", "1 pairs of frames across ")


def test_check_near_duplicates_fails_where_the_search_stopped_early() -> None:
    equal = (pair("a", "b", registered=False),) * MAX_CONFIRMED_PAIRS
    check = check_near_duplicates(search(equal=equal), review(pair("a", "b")))
    assert check.status == "fail"
    assert check.detail.startswith(f"at least {MAX_CONFIRMED_PAIRS} pairs")


def test_check_near_duplicates_passes_without_a_pair() -> None:
    check = check_near_duplicates(search(), review(pair("a", "b")))
    assert check.status == "pass"
    assert "cleared" not in check.detail


def test_cleared_pairs_refuses_a_review_of_other_pixels() -> None:
    other = pair("a", "b").model_copy(update={"right_sha256": "c" * 64})
    with pytest.raises(SplitError, match="of other pixels"):
        cleared_pairs([other], review(pair("a", "b")))


def test_cleared_pairs_refuses_equal_pixels() -> None:
    same = pair("a", "b").model_copy(update={"right_sha256": "a" * 64})
    with pytest.raises(SplitError, match="equal pixels"):
        cleared_pairs([same], review(same))
