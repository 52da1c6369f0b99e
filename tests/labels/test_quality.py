"""Image quality: agreement by weighted kappa, and the tables of quality, marked frames and notes."""

import pytest

from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.quality import SCALE, quality_agreement
from heart2heart.schema.enums import ClipEventKind

AT = "2026-11-28T12:00:00.000Z"


def _quality(clip: str, rater: str, value: str) -> ClipEvent:
    return ClipEvent(clip, ClipEventKind.QUALITY, rater, AT, value)


def test_quality_agreement_is_a_weighted_kappa_of_clips_that_both_rated() -> None:
    pairs = [("good", "good"), ("good", "fair"), ("poor", "poor"), ("fair", "unusable"), ("unusable", "unusable")]
    events = [event for index, (first, second) in enumerate(pairs)
              for event in (_quality(f"c{index}", "a", first), _quality(f"c{index}", "b", second))]  # fmt: skip
    (agreement,) = quality_agreement([*events, _quality("alone", "a", "good")])
    assert (agreement.raters, agreement.clips, agreement.same) == (("a", "b"), 5, 3)
    steps = [(SCALE.index(first), SCALE.index(second)) for first, second in pairs]
    observed = sum((first - second) ** 2 for first, second in steps) / 5
    expected = sum((first - second) ** 2 for first, _ in steps for _, second in steps) / 25
    assert agreement.kappa == pytest.approx(1 - observed / expected)
    assert quality_agreement([_quality("c", "a", "good"), _quality("c", "b", "good")])[0].kappa is None
