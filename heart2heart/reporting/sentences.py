"""Writes the sentences of the report by fixed rules: loss at a hospital, difference of two methods, limitations.

The rules read only intervals and counts. A sentence states whether an interval excludes zero. If it includes zero, the
sentence never claims "no difference" but states how large a difference remains possible.
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
    """Conclusion about an estimate, from a fixed set.

    Attributes:
        kind: Relation of the interval to zero.
        mark: Symbol that is legible without colour.
        text: Short text for the reader.
    """

    kind: VerdictKind
    mark: str
    text: str


def judge_transfer(gap: Estimate) -> Verdict:
    """Return the verdict on the loss of accuracy from the source to a hospital; a positive gap is a loss."""
    if gap.low is None or gap.high is None:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if gap.low > 0:
        return Verdict(VerdictKind.WORSE, "▼", "Less accurate than at the source")
    if gap.high < 0:
        return Verdict(VerdictKind.BETTER, "▲", "More accurate than at the source")
    return Verdict(VerdictKind.OPEN, "●", "No loss shown")


def describe_gap(gap: Estimate) -> str:
    """Describe the difference in accuracy between the source and a hospital.

    Examples:
        >>> gap = Estimate(value=0.2, low=0.1, high=0.3, n=100, clusters=40, few_clusters=False)
        >>> describe_gap(gap).partition(": ")[2]
        'the interval excludes zero.'
    """
    if gap.value is None:
        return f"The difference from the source cannot be estimated: {gap.reason}."
    side = "below" if gap.value >= 0 else "above"
    size = f"{points(abs(gap.value))}{NBSP}points {side} the source"
    if gap.low is None or gap.high is None:
        return f"{size}; no interval can be computed: {gap.reason}."
    if gap.low > 0:
        return f"{size} (loss of {interval(gap)}): the interval excludes zero."
    if gap.high < 0:
        return f"{size} (loss of {interval(gap)}): the interval excludes zero, in favour of the hospital."
    return f"{size} (loss of {interval(gap)}): the interval includes zero and a loss of up to {points(gap.high)}."


def judge_difference(difference: Estimate) -> Verdict:
    """Return the verdict on a paired difference; a positive difference favours the candidate."""
    if difference.low is None or difference.high is None:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if difference.low > 0:
        return Verdict(VerdictKind.BETTER, "▲", "Better")
    if difference.high < 0:
        return Verdict(VerdictKind.WORSE, "▼", "Worse")
    return Verdict(VerdictKind.OPEN, "●", "No difference shown")


def describe_difference(difference: Estimate, p_holm: float | None, hospitals: int) -> str:
    """Describe the paired difference at one hospital, before and after Holm's correction."""
    if difference.value is None:
        return f"Not estimable: {difference.reason}."
    if difference.low is None or difference.high is None:
        return f"{signed(difference.value)} points; no interval can be computed: {difference.reason}."
    size = f"{signed(difference.value)} points ({interval(difference, sign=True)})"
    if difference.low <= 0 <= difference.high:
        return f"{size}: the interval includes zero."
    text = f"{size}: the interval excludes zero"
    if p_holm is None or hospitals < 2:
        return f"{text}."
    if p_holm < 0.05:
        return f"{text}, also after correction for {hospitals} hospitals."
    return f"{text}, but not after correction for {hospitals} hospitals."


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
    if estimate.few_clusters:
        below = metrics.few_clusters_below
        return f"Fewer than {below} {metrics.unit}s: the interval is probably too narrow."
    return f"Note: {estimate.reason}." if estimate.reason else None


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
    gaps = {gap.site: gap.gap for gap in method.generalisation.gaps}
    unscored = [site.site for site in metrics.sites if site.held_out and site.site not in gaps]
    if not gaps:
        return ["No held-out hospital has scored frames. The accuracy at other hospitals is unknown."]
    origin = f"trained at {join_words(source)}" if source else "trained elsewhere"
    exposure = (
        f"without labels in training. The training pool contained unlabeled frames of other patients of "
        f"{join_words(pooled)}. Results may differ at a hospital without frames in the training pool."
        if pooled
        else "without a part in training."
    )
    text = [f"“{method.method}”, {origin}, was tested at {plural(len(gaps), 'hospital')} {exposure}"]
    kinds: dict[str, str] = {name: judge_transfer(gap).kind for name, gap in gaps.items()}
    if chance_by_site:
        text.append(_describe_chance(chance_by_site, source))
        kinds |= {name: "at chance" for name in chance_by_site if kinds.get(name) != VerdictKind.WORSE}
    for kind, sentence in (
        (VerdictKind.WORSE, "At {}, it is less accurate than at the source, and the interval excludes zero."),
        (VerdictKind.OPEN, "At {}, no loss is shown, but a loss is not ruled out."),
        (VerdictKind.BETTER, "At {}, it is more accurate than at the source, and the interval excludes zero."),
        (VerdictKind.UNKNOWN, "At {}, the loss cannot be judged."),
    ):
        names = [name for name in gaps if kinds[name] == kind]
        if names:
            text.append(sentence.format(join_words(names)))
    if unscored:
        text.append(f"At {join_words(unscored)}, there is no labeled test frame of a scored view.")
    mean, worst = method.generalisation.mean, method.generalisation.worst_site
    if len(gaps) > 1:
        average = f"The unweighted mean over these hospitals is {percent(mean.value)} ({interval(mean)})"
        text.append(f"{average}; the lowest value is {percent(method.generalisation.lowest)}, at {worst}.")
    return text


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
        by_kind.setdefault(judge_difference(site.difference).kind, []).append(site.site)
    parts = []
    for kind, template in (
        (VerdictKind.BETTER, "more accurate at {} ({} excludes zero)"),
        (VerdictKind.WORSE, "less accurate at {} ({} excludes zero)"),
        (VerdictKind.OPEN, "not shown to differ at {} ({} includes zero)"),
        (VerdictKind.UNKNOWN, "not comparable at {}"),
    ):
        if kind in by_kind:
            sites = by_kind[kind]
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


def limitations(metrics: Metrics, provenance: Provenance) -> list[str]:
    """Return the limitations that follow from the data of an evaluation."""
    sentences = []
    synthetic = [site.site for site in metrics.sites if site.synthetic]
    if synthetic:
        sentences.append(
            f"The data of {join_words(synthetic)} are synthetic: simulated images, not patients. These results "
            "do not show how the model performs on real patients."
        )
    few = [site.site for site in metrics.sites if 0 < site.clusters < metrics.few_clusters_below]
    if few:
        sentences.append(
            f"Fewer than {metrics.few_clusters_below} {metrics.unit}s were scored at {join_words(few)}. The "
            "intervals are probably too narrow: in simulations with 15 patients, 95 % intervals contained the true "
            "value in about 91 % of the studies."
        )
    missing = {site.site: [v for v in metrics.classes if v not in site.views] for site in metrics.sites if site.frames}
    if any(missing.values()):
        missing_views = [f"{site} has no {join_words(views, last='or')}" for site, views in missing.items() if views]
        sentences.append(
            f"Not every hospital has every view: {'; '.join(missing_views)}. Balanced accuracy is averaged over the "
            "views that a hospital has, so values of different hospitals are not directly comparable. The difference "
            "from the source is computed over shared views."
        )
    unscored = [site.site for site in metrics.sites if not site.frames]
    if unscored:
        sentences.append(f"No frame could be scored at {join_words(unscored)}.")
    if any(site.outside for site in metrics.sites):
        frames = sum(sum(site.outside.values()) for site in metrics.sites)
        sentences.append(
            f"{plural(frames, 'test frame')} show views that are not classes of the model. They are excluded from "
            "accuracy. In use, the model would assign each of them to one of its classes."
        )
    raters = {site.site: len(site.raters) for site in provenance.sites}
    single = [site for site, number in raters.items() if number == 1]
    if single:
        sentences.append(
            f"The labels of {join_words(single)} come from a single source, so the agreement between raters is unknown."
        )
    if all(len(method.runs) == 1 for method in metrics.methods):
        sentences.append("Each model was trained once. The effect of another training seed on the results is unknown.")
    warned = [check.name.replace("_", " ") for check in provenance.split.checks if check.status == CheckStatus.WARN]
    if warned:
        sentences.append(f"The leakage certificate contains warnings: {join_words(warned)}.")
    sentences.append("The results apply to the hospitals named here. No conclusion is drawn about other hospitals.")
    return sentences
