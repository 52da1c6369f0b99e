"""Writes the sentences of the report by rule: what an estimate shows, what beats guessing, what limits a study.

The rules read intervals only. A sentence says whether the interval excludes zero. An interval that includes zero is
never called "no difference": the sentence says how large a difference is still possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from heart2heart.reporting.numbers import NBSP, interval, join_words, percent, plural, points, signed
from heart2heart.schema.enums import CheckStatus, VerdictKind
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, SiteSummary
from heart2heart.schema.predictions import Provenance
from heart2heart.schema.site_metrics import Estimate, SiteMetrics


@dataclass(frozen=True)
class Verdict:
    """One of a fixed set of findings about an estimate.

    Attributes:
        kind: What the interval shows.
        mark: A sign that is read without its colour.
        text: What it is called.
    """

    kind: VerdictKind
    mark: str
    text: str


def judge_transfer(gap: Estimate) -> Verdict:
    """Judge the loss from the source to a hospital (positive: a loss) by its interval."""
    if gap.low is None or gap.high is None:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if gap.low > 0:
        return Verdict(VerdictKind.WORSE, "▼", "Loses accuracy")
    if gap.high < 0:
        return Verdict(VerdictKind.BETTER, "▲", "Higher than at the source")
    return Verdict(VerdictKind.OPEN, "●", "No loss shown")


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


def judge_difference(found: Estimate) -> Verdict:
    """Judge a paired difference (positive: in favour of the candidate) by its interval."""
    if found.low is None or found.high is None:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if found.low > 0:
        return Verdict(VerdictKind.BETTER, "▲", "Better")
    if found.high < 0:
        return Verdict(VerdictKind.WORSE, "▼", "Worse")
    return Verdict(VerdictKind.OPEN, "●", "No difference shown")


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
        return f"{text}, and it remains after correction for {hospitals} hospitals."
    return f"{text}, but not after correction for {hospitals} hospitals."


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
        return ["No held-out hospital has scored frames, so the report cannot say how the model performs elsewhere."]
    origin = f"trained at {join_words(source)}" if source else "trained elsewhere"
    seen = (
        f"that gave it no label. Its training pool held unlabeled frames of other patients of {join_words(pooled)}. "
        "Results may differ at a hospital that gives it no frames."
        if pooled
        else "that it had never seen."
    )
    text = [f"“{method.method}”, {origin}, was tested at {plural(len(gaps), 'hospital')} {seen}"]
    kinds: dict[str, str] = {name: judge_transfer(gap).kind for name, gap in gaps.items()}
    if weak:
        text.append(_no_better_than_guessing(weak, source))
        kinds |= {name: "guessing" for name in weak if kinds.get(name) != VerdictKind.WORSE}
    for kind, sentence in (
        (VerdictKind.WORSE, "At {} it is less accurate than at the source, and the interval excludes zero."),
        (VerdictKind.OPEN, "At {} no loss is shown, and none is ruled out."),
        (VerdictKind.BETTER, "At {} it is more accurate than at the source, and the interval excludes zero."),
        (VerdictKind.UNKNOWN, "At {} the loss cannot be judged."),
    ):
        names = [name for name in gaps if kinds[name] == kind]
        if names:
            text.append(sentence.format(join_words(names)))
    if unscored:
        text.append(f"At {join_words(unscored)} there is no labeled test frame of a scored view.")
    mean, worst = method.generalisation.mean, method.generalisation.worst_site
    if len(gaps) > 1:
        average = f"Unweighted mean over these hospitals: {percent(mean.value)} ({interval(mean)})"
        text.append(f"{average}; lowest at {worst}: {percent(method.generalisation.lowest)}.")
    return text


def _no_better_than_guessing(weak: Mapping[str, float], source: Sequence[str]) -> str:
    reached = join_words(sorted({percent(share) for share in weak.values()}))
    said = f"At {join_words([*weak])} it is not shown to beat guessing: calling every frame one view reaches {reached}."
    own = [name for name in source if name in weak]
    return (
        f"{said} That holds for its source {join_words(own)} too, so there is nothing to carry over." if own else said
    )


def compare_headline(comparison: Comparison) -> str:
    """Say in one sentence where the candidate differs from the reference, and where it does not."""
    by_kind: dict[str, list[str]] = {}
    for site in comparison.sites:
        by_kind.setdefault(judge_difference(site.difference).kind, []).append(site.site)
    parts = []
    for kind, words in (
        (VerdictKind.BETTER, "more accurate at {} ({} excludes zero)"),
        (VerdictKind.WORSE, "less accurate at {} ({} excludes zero)"),
        (VerdictKind.OPEN, "not shown to differ at {} ({} includes zero)"),
        (VerdictKind.UNKNOWN, "not comparable at {}"),
    ):
        if kind in by_kind:
            sites = by_kind[kind]
            parts.append(words.format(join_words(sites), "the interval" if len(sites) == 1 else "each interval"))
    return f"Against “{comparison.reference}”, “{comparison.candidate}” is {'; '.join(parts)}."


NOT_ABOVE_CHANCE = Verdict(VerdictKind.WORSE, "▼", "Not shown to beat guessing")


def chance_baseline(site: SiteSummary, metrics: Metrics) -> float:
    """Return the balanced accuracy of calling every frame the same, one of the views that are there.

    Where only one view is there, that of drawing one of the model's views by lot: the constant answer would be right.
    """
    return 1 / (len(site.views) if len(site.views) > 1 else len(metrics.classes))


def at_chance(method: MethodMetrics, metrics: Metrics) -> dict[str, float]:
    """Return, by hospital where the method is not shown to beat it, the accuracy that needs no picture.

    Not shown: the interval reaches down to it, or without an interval the value does.
    """
    found = {}
    for site, row in zip(metrics.sites, method.sites, strict=True):
        value = row.balanced_accuracy
        least = value.value if value.low is None else value.low
        if least is not None and least <= chance_baseline(site, metrics) + 1e-9:
            found[site.site] = chance_baseline(site, metrics)
    return found


def limitations(metrics: Metrics, about: Provenance) -> list[str]:
    """List what limits these results."""
    found = []
    synthetic = [site.site for site in metrics.sites if site.synthetic]
    if synthetic:
        found.append(
            f"The data of {join_words(synthetic)} are synthetic: simulated pictures, not patients. These numbers "
            "do not show how a model performs on real patients."
        )
    few = [site.site for site in metrics.sites if 0 < site.clusters < metrics.few_clusters_below]
    if few:
        found.append(
            f"Fewer than {metrics.few_clusters_below} {metrics.unit}s were scored at {join_words(few)}. Their "
            "intervals are probably too narrow: "
            "in simulation, 95 % intervals over 15 held the truth in about 89 % of trials."
        )
    missing = {site.site: [v for v in metrics.classes if v not in site.views] for site in metrics.sites if site.frames}
    if any(missing.values()):
        gone = [f"{site} has no {join_words(views, last='or')}" for site, views in missing.items() if views]
        found.append(
            f"Not every hospital has every view: {'; '.join(gone)}. Its balanced accuracy is over the views it has, so "
            "hospitals are not scored on the same task; the gap to the source is taken over shared views."
        )
    unscored = [site.site for site in metrics.sites if not site.frames]
    if unscored:
        found.append(f"Nothing could be scored at {join_words(unscored)}.")
    if any(site.outside for site in metrics.sites):
        frames = sum(sum(site.outside.values()) for site in metrics.sites)
        found.append(
            f"{plural(frames, 'test frame')} show views that the model cannot name. They are left out of accuracy; in "
            "use the model would call each of them one of its views."
        )
    raters = {site.site: len(site.raters) for site in about.sites}
    single = [site for site, number in raters.items() if number == 1]
    if single:
        found.append(
            f"The labels of {join_words(single)} come from one source, so agreement between raters is unknown."
        )
    if all(len(method.runs) == 1 for method in metrics.methods):
        found.append("Each model was trained once. How much another training seed would change the results is unknown.")
    warned = [check.name.replace("_", " ") for check in about.split.checks if check.status == CheckStatus.WARN]
    if warned:
        found.append(f"The leakage certificate carries warnings: {join_words(warned)}.")
    found.append("The results are about the hospitals named here. Nothing is inferred about hospitals in general.")
    return found
