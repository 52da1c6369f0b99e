"""Sentences that follow from the numbers by rule; nothing here is an opinion.

The rules look at intervals only. An interval that excludes zero is said to; one that includes zero is never called
"no difference": the sentence says how large a difference it still allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from heart2heart.evaluate.schema import Comparison, Estimate, MethodMetrics, Metrics, SiteMetrics
from heart2heart.report.numbers import NBSP, interval, listed, percent, plural, points, signed


@dataclass(frozen=True)
class Verdict:
    """One of a fixed set of findings about an estimate.

    Attributes:
        kind: `worse`, `open`, `better` or `unknown`.
        mark: A sign that is read without its colour.
        text: What it is called.
    """

    kind: str
    mark: str
    text: str


def carry_over(gap: Estimate) -> Verdict:
    """Judge the loss from the source to a hospital (positive: a loss) by its interval."""
    if gap.low is None or gap.high is None:
        return Verdict("unknown", "?", "Cannot be judged")
    if gap.low > 0:
        return Verdict("worse", "▼", "Loses accuracy")
    if gap.high < 0:
        return Verdict("better", "▲", "Higher than at the source")
    return Verdict("open", "●", "No loss shown")


def describe_gap(gap: Estimate) -> str:
    """Say how far a hospital lies below the source."""
    if gap.value is None:
        return f"Its distance from the source cannot be estimated: {gap.reason}."
    side = "below" if gap.value >= 0 else "above"
    size = f"{points(abs(gap.value))}{NBSP}points {side} the source hospital"
    if gap.low is None or gap.high is None:
        return f"{size}; no interval can be given: {gap.reason}."
    if gap.low > 0:
        return f"{size} (loss of {interval(gap)}): the interval excludes zero."
    if gap.high < 0:
        return f"{size} (loss of {interval(gap)}): the interval excludes zero, in its favour."
    return (
        f"{size} (loss of {interval(gap)}): the interval includes zero and allows a loss of up to {points(gap.high)}."
    )


def difference_verdict(found: Estimate) -> Verdict:
    """Judge a paired difference (positive: in favour of the candidate) by its interval."""
    if found.low is None or found.high is None:
        return Verdict("unknown", "?", "Cannot be judged")
    if found.low > 0:
        return Verdict("better", "▲", "Better")
    if found.high < 0:
        return Verdict("worse", "▼", "Worse")
    return Verdict("open", "●", "No difference shown")


def describe_difference(found: Estimate, p_holm: float | None, hospitals: int) -> str:
    """Say what the paired difference at one hospital shows, after Holm's correction as well."""
    if found.value is None:
        return f"Not estimable: {found.reason}."
    if found.low is None or found.high is None:
        return f"{signed(found.value)} points; no interval can be given: {found.reason}."
    size = f"{signed(found.value)} points ({interval(found, sign=True)})"
    if found.low <= 0 <= found.high:
        allows = f"allows anything from {signed(found.low)} to {signed(found.high)} points"
        return f"{size}: the interval includes zero; it {allows}."
    text = f"{size}: the interval excludes zero"
    if p_holm is None or hospitals < 2:
        return f"{text}."
    if p_holm < 0.05:
        return f"{text}, and it still stands after correction for {hospitals} hospitals."
    return f"{text}, but it does not stand after correction for {hospitals} hospitals."


def describe_failures(site: SiteMetrics, classes: tuple[str, ...]) -> str:
    """Name the view that is recognised worst, and what it is mostly taken for."""
    by_view = {view: found for view, found in site.sensitivity.items() if found.value is not None}
    if not by_view:
        return "No view can be judged here."
    view = min(by_view, key=lambda name: by_view[name].value or 0.0)
    found, row = by_view[view], site.confusion[classes.index(view)]
    text = f"Weakest view: {view}, {percent(found.value)} of its frames recognised ({interval(found)})"
    wrong = {name: frames for name, frames in zip(classes, row, strict=True) if name != view and frames}
    if not wrong:
        return f"{text}."
    taken = max(wrong, key=wrong.__getitem__)
    return f"{text}; most often mistaken for {taken} ({plural(wrong[taken], 'frame')} of {found.n})."


def caution(found: Estimate, metrics: Metrics) -> str | None:
    """Warn of an interval that rests on few clusters or shows no spread."""
    if found.value is None:
        return None
    if found.few_clusters:
        below = metrics.few_clusters_below
        return f"Fewer than {below} {metrics.unit}s on one side: the interval is probably too narrow."
    return f"Note: {found.reason}." if found.reason else None


def headline(
    method: MethodMetrics,
    metrics: Metrics,
    pooled: Sequence[str] = (),
    weak: Mapping[str, float] = MappingProxyType({}),
) -> list[str]:
    """Answer in a few sentences whether the model carries over.

    Args:
        method: The method that is judged.
        metrics: Everything.
        pooled: Held-out hospitals whose unlabeled frames it was trained with.
        weak: Hospitals where it is not shown to beat an answer without a picture (`guessing.at_chance`).
    """
    source = [site.site for site in metrics.sites if not site.held_out]
    gaps = {gap.site: gap.gap for gap in method.generalisation.gaps}
    unscored = [site.site for site in metrics.sites if site.held_out and site.site not in gaps]
    if not gaps:
        return ["No held-out hospital has scored frames, so nothing can be said about carrying over."]
    origin = f"trained at {listed(source)}" if source else "trained elsewhere"
    seen = (
        f"that gave it no label. Unlabeled frames of other patients of {listed(pooled)} were in its training pool, so "
        "a hospital that gives it none may fare otherwise."
        if pooled
        else "that it had never seen."
    )
    text = [f"“{method.method}”, {origin}, was tested at {plural(len(gaps), 'hospital')} {seen}"]
    kinds = {name: carry_over(gap).kind for name, gap in gaps.items()}
    if weak:
        text.append(_no_better_than_guessing(weak, source))
        kinds |= {name: "guessing" for name in weak if kinds.get(name) != "worse"}
    for kind, sentence in (
        ("worse", "At {} it is less accurate than at the source, and the interval excludes zero."),
        ("open", "At {} no loss is shown, and none is ruled out."),
        ("better", "At {} it is more accurate than at the source, and the interval excludes zero."),
        ("unknown", "At {} the loss cannot be judged."),
    ):
        names = [name for name in gaps if kinds[name] == kind]
        if names:
            text.append(sentence.format(listed(names)))
    if unscored:
        text.append(f"At {listed(unscored)} there is no labeled test frame of a scored view.")
    mean, worst = method.generalisation.mean, method.generalisation.worst_site
    if len(gaps) > 1:
        average = f"Unweighted mean over these hospitals: {percent(mean.value)} ({interval(mean)})"
        text.append(f"{average}; lowest at {worst}: {percent(method.generalisation.lowest)}.")
    return text


def _no_better_than_guessing(weak: Mapping[str, float], source: Sequence[str]) -> str:
    reached = listed(sorted({percent(share) for share in weak.values()}))
    said = f"At {listed([*weak])} it is not shown to beat guessing: calling every frame one view reaches {reached}."
    own = [name for name in source if name in weak]
    return f"{said} That holds for its source {listed(own)} too, so there is nothing to carry over." if own else said


def compare_headline(comparison: Comparison) -> str:
    """Say in one sentence where the candidate differs from the reference, and where it does not."""
    by_kind: dict[str, list[str]] = {}
    for site in comparison.sites:
        by_kind.setdefault(difference_verdict(site.difference).kind, []).append(site.site)
    parts = []
    for kind, words in (
        ("better", "more accurate at {} ({} excludes zero)"),
        ("worse", "less accurate at {} ({} excludes zero)"),
        ("open", "not shown to differ at {} ({} includes zero)"),
        ("unknown", "not comparable at {}"),
    ):
        if kind in by_kind:
            sites = by_kind[kind]
            parts.append(words.format(listed(sites), "the interval" if len(sites) == 1 else "each interval"))
    return f"Against “{comparison.reference}”, “{comparison.candidate}” is {'; '.join(parts)}."
