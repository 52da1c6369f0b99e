"""Writes the sentences of the report by fixed rules: loss at a hospital, difference of two methods.

The rules read only intervals and counts. A sentence states whether an interval excludes zero. If it includes zero, the
sentence never claims "no difference" but states how large a difference remains possible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from heart2heart.reporting.numbers import NBSP, interval, join_words, percent, plural, points, signed
from heart2heart.reporting.verdicts import (
    ALONE,
    Verdict,
    describe_registration,
    excludes_zero,
    judge_difference,
    judge_transfer,
    margin_words,
    only_alone,
)
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.margin import MarginVerdict
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, SiteDifference, SiteGap, SiteSummary
from heart2heart.schema.metrics_files import FoldDifference, FoldMetrics
from heart2heart.schema.site_metrics import Estimate, SiteMetrics
from heart2heart.schema.validation import TrainingData


def describe_gap(gap: SiteGap, tests: int) -> str:
    """Describe the difference in accuracy between the source and a hospital.

    Args:
        gap: The loss, with its own interval and the one that a claim rests on.
        tests: Number of losses and differences of the report.

    Examples:
        >>> loss = Estimate(value=0.2, low=0.1, high=0.3, n=100, clusters=40, few_clusters=False)
        >>> describe_gap(SiteGap(site="B", views=("A2C",), gap=loss), tests=1).partition(": ")[2]
        'the interval excludes zero.'
    """
    own = gap.gap
    if own.value is None:
        return f"The difference from the source cannot be estimated: {own.reason}."
    side = "below" if own.value >= 0 else "above"
    size = f"{points(abs(own.value))}{NBSP}points {side} the source"
    if own.low is None or own.high is None:
        return f"{size}; no interval can be computed: {own.reason}."
    size = f"{size} (loss of {interval(own)})"
    if not excludes_zero(own):
        return f"{size}: the interval includes zero and a loss of up to {points(own.high)}."
    favour = ", in favour of the hospital" if own.high < 0 else ""
    return f"{size}: {_excludes(only_alone(gap), tests)}{favour}."


def describe_difference(row: SiteDifference | FoldDifference, tests: int) -> str:
    """Describe the paired difference at one hospital, on its own and for all comparisons of the report at once."""
    own = row.difference
    if own.value is None:
        return f"Not estimable: {own.reason}."
    if own.low is None or own.high is None:
        return f"{signed(own.value)} points; no interval can be computed: {own.reason}."
    size = f"{signed(own.value)} points ({interval(own, sign=True)})"
    if not excludes_zero(own):
        return f"{size}: the interval includes zero."
    return f"{size}: {_excludes(only_alone(row), tests)}."


def _excludes(alone: bool, tests: int) -> str:
    if tests < 2:
        return "the interval excludes zero"
    if alone:
        return f"the interval excludes zero on its own, but not for all {tests} comparisons of this report at once"
    return f"the interval excludes zero, also for all {tests} comparisons of this report at once"


def count_tests(metrics: Metrics | FoldMetrics) -> int:
    """Return the number of losses and differences that a report judges together; 1 in older files."""
    return metrics.simultaneous.tests if metrics.simultaneous else 1


def describe_failures(site: SiteMetrics, classes: tuple[str, ...]) -> str:
    """Describe the view with the lowest sensitivity and the view that it is most often mistaken for."""
    by_view = {view: sensitivity for view, sensitivity in site.sensitivity.items() if sensitivity.value is not None}
    if not by_view:
        return "No view could be scored at this hospital."
    view = min(by_view, key=lambda name: by_view[name].value or 0.0)
    sensitivity, row = by_view[view], site.confusion[classes.index(view)]
    text = f"Lowest sensitivity: {view}, {percent(sensitivity.value)} ({interval(sensitivity)})"
    wrong = {name: frames for name, frames in zip(classes, row, strict=True) if name != view and frames}
    if not wrong:
        return f"{text}."
    confused_with = max(wrong, key=wrong.__getitem__)
    return (
        f"{text}; most often mistaken for {confused_with} ({plural(wrong[confused_with], 'frame')} of {sensitivity.n})."
    )


def caution(estimate: Estimate, metrics: Metrics) -> str | None:
    """Return a warning about an interval from few clusters or without spread; None if there is none."""
    if estimate.value is None:
        return None
    if estimate.few_clusters and estimate.rarest is not None and estimate.low is not None:
        return f"The rarest class comes from {plural(estimate.rarest, metrics.unit)}: one or two others can move it."
    if estimate.few_clusters:
        below = metrics.few_clusters_below
        return f"Fewer than {below} {metrics.unit}s: the interval is probably too narrow."
    return f"Note: {estimate.reason}." if estimate.reason else None


EXPOSURES: dict[TrainingData | None, str] = {
    None: "without a part in training.",
    TrainingData.COMPARED: "without a part in training.",
    TrainingData.NAMES_COMPARED: "of whose patients none trained it, by pseudonym; pictures were not compared.",
    TrainingData.NOT_SEEN: "whose part in training was not checked: the training data were not seen.",
}
"""What is known of the part of the tested hospitals in training."""


def headline(
    method: MethodMetrics,
    metrics: Metrics,
    pooled: Sequence[str] = (),
    chance_by_site: Mapping[str, float] = MappingProxyType({}),
) -> list[str]:
    """Describe in a few sentences how accurate the model is at the held-out hospitals.

    Args:
        method: The method.
        metrics: Metrics of the evaluation.
        pooled: Held-out hospitals whose unlabeled frames were in the training pool.
        chance_by_site: From `at_chance`: hospitals where the accuracy is not shown to exceed chance.
    """
    source = [site.site for site in metrics.sites if not site.held_out]
    gaps = {gap.site: gap for gap in method.generalisation.gaps}
    unscored = [site.site for site in metrics.sites if site.held_out and site.site not in gaps]
    if not gaps:
        return ["No held-out hospital has scored frames. The accuracy at other hospitals is unknown."]
    origin = f"trained at {join_words(source)}" if source else "trained elsewhere"
    exposure = (
        f"without labels in training. The training pool contained unlabeled frames of other patients of "
        f"{join_words(pooled)}. Results may differ at a hospital without frames in the training pool."
        if pooled
        else EXPOSURES[metrics.training_data]
    )
    text = [f"“{method.method}”, {origin}, was tested at {plural(len(gaps), 'hospital')} {exposure}"]
    kinds: dict[str, str] = {name: judge_transfer(gap).kind for name, gap in gaps.items()}
    if chance_by_site:
        text.append(_describe_chance(chance_by_site, source))
        kinds |= {name: "at chance" for name in chance_by_site if kinds.get(name) != VerdictKind.WORSE}
    text += describe_margins(gaps, metrics, chance_by_site)
    for kind, sentence in (
        (VerdictKind.WORSE, "At {}, it is less accurate than at the source, and the interval excludes zero."),
        (VerdictKind.OPEN, "At {}, no loss is shown, but a loss is not ruled out."),
        (VerdictKind.BETTER, "At {}, it is more accurate than at the source, and the interval excludes zero."),
        (VerdictKind.UNKNOWN, "At {}, the loss cannot be judged."),
    ):
        names = [name for name in gaps if kinds[name] == kind]
        if names:
            text.append(sentence.format(join_words(names)))
    alone = [name for name, gap in gaps.items() if kinds[name] == VerdictKind.OPEN and only_alone(gap)]
    if alone:
        text.append(
            f"At {join_words(alone)}, {ALONE}."
            if len(alone) == 1
            else f"At {join_words(alone)}, each interval on its own excludes zero, but not for all comparisons at once."
        )
    if unscored:
        text.append(f"At {join_words(unscored)}, there is no labeled test frame of a scored view.")
    mean, worst = method.generalisation.mean, method.generalisation.worst_site
    if len(gaps) > 1:
        average = f"The unweighted mean over these hospitals is {percent(mean.value)} ({interval(mean)})"
        text.append(f"{average}; the lowest value is {percent(method.generalisation.lowest)}, at {worst}.")
    return text


def describe_margins(gaps: Mapping[str, SiteGap], metrics: Metrics, left_out: Collection[str] = ()) -> list[str]:
    """Describe at which hospitals the accuracy carries over within the registered margin; empty without a margin.

    Args:
        gaps: Losses by hospital.
        metrics: Metrics of the evaluation.
        left_out: Hospitals whose accuracy does not exceed chance: a small loss means nothing there.
    """
    if metrics.margin is None:
        return []
    words = margin_words(metrics.margin)
    sentences = []
    for verdict, sentence in (
        (MarginVerdict.CARRIES_OVER, f"At {{}}, it carries over within {words}."),
        (MarginVerdict.NOT_SHOWN, f"At {{}}, it is not shown to carry over within {words}, nor to lose more."),
        (MarginVerdict.LOSES_MORE, f"At {{}}, it loses more than {words}."),
    ):
        names = [name for name, gap in gaps.items() if gap.margin is verdict and name not in left_out]
        if names:
            sentences.append(sentence.format(join_words(names)))
    return [*sentences, describe_registration(metrics.margin)]


def _describe_chance(chance_by_site: Mapping[str, float], source: Sequence[str]) -> str:
    reached = join_words(sorted({percent(share) for share in chance_by_site.values()}))
    result = f"At {join_words([*chance_by_site])}, the accuracy is not shown to exceed chance"
    text = f"{result}: predicting the same view for every frame gives {reached}."
    source_sites = [name for name in source if name in chance_by_site]
    return (
        f"{text} This includes the source {join_words(source_sites)}, so a comparison with the source shows nothing."
        if source_sites
        else text
    )


def compare_headline(comparison: Comparison) -> str:
    """Describe in one sentence at which hospitals the candidate differs from the reference."""
    by_kind: dict[str, list[str]] = {}
    for site in comparison.sites:
        kind: str = "alone" if only_alone(site) else judge_difference(site).kind
        by_kind.setdefault(kind, []).append(site.site)
    parts = []
    for name, template in (
        (VerdictKind.BETTER, "more accurate at {} ({} excludes zero)"),
        (VerdictKind.WORSE, "less accurate at {} ({} excludes zero)"),
        (VerdictKind.OPEN, "not shown to differ at {} ({} includes zero)"),
        ("alone", "not shown to differ at {} ({} excludes zero on its own, but not for all comparisons at once)"),
        (VerdictKind.UNKNOWN, "not comparable at {}"),
    ):
        if name in by_kind:
            sites = by_kind[name]
            parts.append(template.format(join_words(sites), "the interval" if len(sites) == 1 else "each interval"))
    return f"Compared with “{comparison.reference}”, “{comparison.candidate}” is {'; '.join(parts)}."


NOT_ABOVE_CHANCE = Verdict(VerdictKind.WORSE, "▼", "Not shown to exceed chance")


def chance_baseline(site: SiteSummary, metrics: Metrics) -> float:
    """Return the balanced accuracy of predicting the same view for every frame.

    If the hospital has a single view, return the accuracy of a random guess among the classes instead, because a
    constant prediction could be correct for all frames.
    """
    return 1 / (len(site.views) if len(site.views) > 1 else len(metrics.classes))


def at_chance(method: MethodMetrics, metrics: Metrics) -> dict[str, float]:
    """Return the chance level of each hospital where the accuracy of a method is not shown to exceed it.

    The accuracy exceeds chance if the lower limit of its interval does, or the value if there is no interval.
    """
    chance_by_site = {}
    for site, row in zip(metrics.sites, method.sites, strict=True):
        value = row.balanced_accuracy
        lower_limit = value.value if value.low is None else value.low
        if lower_limit is not None and lower_limit <= chance_baseline(site, metrics) + 1e-9:
            chance_by_site[site.site] = chance_baseline(site, metrics)
    return chance_by_site
