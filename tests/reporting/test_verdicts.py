"""Verdicts follow from intervals by rule; a margin that was registered after the look gives no positive verdict."""

from __future__ import annotations

import pytest

from heart2heart.evaluation.intervals import not_estimable
from heart2heart.reporting import verdicts
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.margin import MarginClaim, RegisteredMargin, judge_margin
from heart2heart.schema.metrics import SeedSpread, SiteDifference, SiteGap
from heart2heart.schema.site_metrics import Estimate

LOOK = "2026-02-01T10:00:00+00:00"


def estimate(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, n=100, clusters=40, few_clusters=False)


def loss(low: float, high: float, together: tuple[float, float] | None = None) -> SiteGap:
    judged = together or (low, high)
    return SiteGap(
        site="B",
        views=("A2C",),
        gap=estimate(low, high),
        simultaneous=estimate(*judged),
        margin=judge_margin(*judged, 0.05),
    )


def claim(registered: str = "2026-01-01T00:00:00+00:00") -> MarginClaim:
    margin = RegisteredMargin(margin=5, question="May it be used?", registered_by="AB", registered=registered)
    return MarginClaim(margin=margin, sha256="ab" * 32, first_look=LOOK, after_look=margin.registered_after(LOOK))


@pytest.mark.parametrize(
    ("gap", "kind", "text"),
    [
        (loss(0.02, 0.3), VerdictKind.WORSE, "Less accurate than at the source"),
        (loss(-0.3, -0.02), VerdictKind.BETTER, "More accurate than at the source"),
        (loss(-0.1, 0.2), VerdictKind.OPEN, "No loss shown"),
        (loss(0.02, 0.3, (-0.01, 0.35)), VerdictKind.OPEN, f"No loss shown: {verdicts.ALONE}"),
    ],
)
def test_judge_transfer_needs_the_interval_of_all_comparisons(gap: SiteGap, kind: VerdictKind, text: str) -> None:
    verdict = verdicts.judge_transfer(gap)
    assert (verdict.kind, verdict.text) == (kind, text)


def test_judge_difference_says_why_it_is_not_shown_in_the_same_line() -> None:
    seeds = SeedSpread(n=0, standard_deviation=None, low=None, high=None)
    row = SiteDifference(site="B", difference=estimate(0.01, 0.1), p=0.02, p_holm=0.04, seeds=seeds)
    assert verdicts.judge_difference(row).kind is VerdictKind.BETTER
    assert not verdicts.only_alone(row)
    row = row.model_copy(update={"simultaneous": estimate(-0.01, 0.12)})
    assert verdicts.only_alone(row)
    assert verdicts.judge_difference(row).text == f"No difference shown: {verdicts.ALONE}"


@pytest.mark.parametrize(
    ("gap", "kind", "text"),
    [
        (loss(-0.02, 0.04), VerdictKind.BETTER, "Carries over within 5 points"),
        (loss(0.06, 0.2), VerdictKind.WORSE, "Loses more than 5 points"),
        (loss(-0.02, 0.08), VerdictKind.OPEN,
         "Not shown to carry over within 5 points: a loss of up to 8.0 remains possible"),
        (loss(0.02, 0.08), VerdictKind.OPEN,
         "Less accurate; not shown to carry over within 5 points: a loss of up to 8.0 remains possible"),
    ],
)  # fmt: skip
def test_judge_by_margin_uses_the_three_words(gap: SiteGap, kind: VerdictKind, text: str) -> None:
    verdict = verdicts.judge_by_margin(gap, claim())
    assert (verdict.kind, verdict.text) == (kind, text)
    late = verdicts.judge_by_margin(gap, claim("2026-02-02T00:00:00+00:00"))
    assert late.kind is not VerdictKind.BETTER
    assert late.text.endswith("(margin registered after the look)")


def test_judge_by_margin_without_an_interval() -> None:
    gap = SiteGap(site="B", views=(), gap=not_estimable("no view in common"))
    assert verdicts.judge_by_margin(gap, claim()).kind is VerdictKind.UNKNOWN
    assert "cannot be judged: no view in common." in verdicts.describe_margin(gap, claim())


def test_describe_margin_tells_equivalence_from_no_loss() -> None:
    assert "better by more" not in verdicts.describe_margin(loss(-0.02, 0.04), claim())
    assert "better by more" in verdicts.describe_margin(loss(-0.2, 0.04), claim())
    assert verdicts.describe_margin(loss(0.06, 0.2), claim()).startswith("It loses more than 5 points: the loss is")


def test_describe_registration_says_when_it_came_after_the_look() -> None:
    assert "before the test frames were first predicted (2026-02-01)" in verdicts.describe_registration(claim())
    late = verdicts.describe_registration(claim(LOOK))
    assert "registered after the look" in late
    assert "confirms nothing" in late


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.02, 0.04, "Equivalent within 5 points."),
        (-0.02, 0.08, "At most 5 points worse."),
        (-0.3, -0.06, "More than 5 points worse."),
        (-0.07, 0.01, "Not shown to be at most 5 points worse: 7.0 remain possible."),
    ],
)
def test_describe_difference_by_margin(low: float, high: float, text: str) -> None:
    seeds = SeedSpread(n=0, standard_deviation=None, low=None, high=None)
    verdict = judge_margin(-high, -low, 0.05)
    row = SiteDifference(site="B", difference=estimate(low, high), p=None, p_holm=None, seeds=seeds, margin=verdict)
    assert verdicts.describe_difference_by_margin(row, claim()) == text
    assert "after the look" in verdicts.describe_difference_by_margin(row, claim(LOOK))
    assert "cannot be judged" in verdicts.describe_difference_by_margin(
        row.model_copy(update={"margin": None}), claim()
    )
