"""Verdicts of the report by fixed rules: on a loss at a hospital, on a difference of two methods, and on a margin.

A claim needs an interval that holds together with those of all other claims of the report. If a difference is not shown
although its own interval excludes zero, the verdict says so in the same line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from heart2heart.reporting.numbers import interval, points
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.margin import MarginClaim, MarginVerdict
from heart2heart.schema.metrics import SiteDifference, SiteGap
from heart2heart.schema.metrics_files import FoldComparison, FoldDifference
from heart2heart.schema.site_metrics import Estimate


@dataclass(frozen=True)
class Verdict:
    """Conclusion about an estimate, from a fixed set.

    Attributes:
        kind: Relation of the interval to zero or to the margin.
        mark: Symbol that is legible without colour.
        text: Short text for the reader.
    """

    kind: VerdictKind
    mark: str
    text: str


CANNOT_BE_JUDGED = Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
ALONE = "its own interval excludes zero, but not the one for all comparisons at once"
ALONE_AMONG_SUBGROUPS = "its own interval excludes zero, but not the one for all subgroups at once"


def judge_transfer(gap: SiteGap) -> Verdict:
    """Return the verdict on the loss of accuracy from the source to a hospital; a positive gap is a loss."""
    less = Verdict(VerdictKind.WORSE, "▼", "Less accurate than at the source")
    more = Verdict(VerdictKind.BETTER, "▲", "More accurate than at the source")
    return _judge(gap.gap, gap.judged, above=less, below=more, neither="No loss shown")


def judge_difference(row: SiteDifference | FoldDifference) -> Verdict:
    """Return the verdict on a paired difference; a positive difference favours the candidate."""
    better = Verdict(VerdictKind.BETTER, "▲", "Better")
    worse = Verdict(VerdictKind.WORSE, "▼", "Worse")
    return _judge(row.difference, row.judged, above=better, below=worse, neither="No difference shown")


def _judge(own: Estimate, judged: Estimate, *, above: Verdict, below: Verdict, neither: str) -> Verdict:
    if judged.low is None or judged.high is None:
        return CANNOT_BE_JUDGED
    if judged.low > 0:
        return above
    if judged.high < 0:
        return below
    return Verdict(VerdictKind.OPEN, "●", f"{neither}: {ALONE}" if excludes_zero(own) else neither)


def excludes_zero(estimate: Estimate) -> bool:
    """Return whether there is an interval, and it excludes zero."""
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


def only_alone(row: SiteGap | SiteDifference | FoldDifference) -> bool:
    """Return whether the own interval excludes zero, and the one for all comparisons at once does not."""
    own = row.gap if isinstance(row, SiteGap) else row.difference
    return excludes_zero(own) and not excludes_zero(row.judged)


def judged_mean(comparison: FoldComparison) -> Estimate:
    """Return the difference over the held-out hospitals with the interval that a claim rests on."""
    return comparison.simultaneous or comparison.held_out


def margin_words(claim: MarginClaim) -> str:
    """Write a margin: `5 points`."""
    return f"{claim.margin.margin:g} {'point' if claim.margin.margin == 1 else 'points'}"


def judge_by_margin(gap: SiteGap, claim: MarginClaim) -> Verdict:
    """Return the verdict on the loss at a hospital by the registered margin.

    A margin that was registered after the look gives no positive verdict.
    """
    words = margin_words(claim)
    if gap.margin is None:
        return CANNOT_BE_JUDGED
    if gap.margin is MarginVerdict.CARRIES_OVER:
        verdict = Verdict(VerdictKind.BETTER, "✓", f"Carries over within {words}")
    elif gap.margin is MarginVerdict.LOSES_MORE:
        verdict = Verdict(VerdictKind.WORSE, "▼", f"Loses more than {words}")
    else:
        worse = "Less accurate; " if judge_transfer(gap).kind is VerdictKind.WORSE else ""
        high = points(gap.judged.high or 0.0)
        why = f"a loss of up to {high} remains possible"
        start = "not" if worse else "Not"
        verdict = Verdict(VerdictKind.OPEN, "●", f"{worse}{start} shown to carry over within {words}: {why}")
    if not claim.after_look:
        return verdict
    kind = VerdictKind.OPEN if verdict.kind is VerdictKind.BETTER else verdict.kind
    return replace(verdict, kind=kind, mark="!", text=f"{verdict.text} (margin registered after the look)")


def describe_margin(gap: SiteGap, claim: MarginClaim) -> str:
    """Describe in one sentence what the interval of the loss shows about the registered margin.

    Examples:
        >>> from heart2heart.schema.margin import RegisteredMargin
        >>> loss = Estimate(value=0.01, low=0.002, high=0.04, n=100, clusters=40, few_clusters=False)
        >>> gap = SiteGap(site="B", views=("A2C",), gap=loss, margin=MarginVerdict.CARRIES_OVER)
        >>> margin = RegisteredMargin(margin=5, question="?", registered_by="AB", registered="2026-01-01T00:00:00Z")
        >>> claim = MarginClaim(margin=margin, sha256="0", first_look="2026-02-01T00:00:00Z", after_look=False)
        >>> describe_margin(gap, claim).replace(chr(160), " ")
        'It carries over within 5 points: the loss is between 0.2 and 4.0 points.'
    """
    words = margin_words(claim)
    if gap.margin is None:
        return f"Whether it carries over within {words} cannot be judged: {gap.judged.reason}."
    ends = f"the loss is between {interval(gap.judged)} points".replace("\N{NO-BREAK SPACE}to", " and")
    equal = gap.judged.low is not None and gap.judged.low > -claim.fraction
    return {
        MarginVerdict.CARRIES_OVER: f"It carries over within {words}: {ends}."
        + ("" if equal else " The hospital may be better by more than the margin."),
        MarginVerdict.NOT_SHOWN: f"It is not shown to carry over within {words}, nor to lose more: {ends}.",
        MarginVerdict.LOSES_MORE: f"It loses more than {words}: {ends}.",
    }[gap.margin]


def describe_difference_by_margin(row: SiteDifference | FoldDifference, claim: MarginClaim) -> str:
    """Describe in one sentence whether the candidate loses no more than the margin against the reference.

    Both methods are equivalent within the margin if the whole interval lies between minus the margin and the margin.
    """
    words, judged = margin_words(claim), row.judged
    if row.margin is None or judged.low is None or judged.high is None:
        return f"Whether it is at most {words} worse cannot be judged."
    if row.margin is MarginVerdict.CARRIES_OVER and judged.high < claim.fraction:
        text = f"Equivalent within {words}"
    else:
        text = {
            MarginVerdict.CARRIES_OVER: f"At most {words} worse",
            MarginVerdict.NOT_SHOWN: f"Not shown to be at most {words} worse: {points(-judged.low)} remain possible",
            MarginVerdict.LOSES_MORE: f"More than {words} worse",
        }[row.margin]
    return f"{text}{' (margin registered after the look)' if claim.after_look else ''}."


def describe_registration(claim: MarginClaim) -> str:
    """Describe who registered the margin, when, and whether that was before the test frames were first predicted."""
    margin = claim.margin
    text = (
        f"Margin: a loss of at most {margin_words(claim)}, registered by {margin.registered_by} on "
        f"{margin.registered[:10]} ({claim.sha256[:8]}) for the question “{margin.question}”"
    )
    if not claim.after_look:
        return f"{text}, before the test frames were first predicted ({claim.first_look[:10]})."
    return (
        f"{text}. It was registered after the look: the test frames were first predicted on {claim.first_look[:10]}. "
        "A margin that is chosen after the results confirms nothing."
    )
