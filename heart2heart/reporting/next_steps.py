"""What a reader can do about the results, by fixed rules over intervals and counts."""

from __future__ import annotations

from heart2heart.reporting.fairness_sentences import SUBGROUP_WORSE, describe_subgroups, judge_subgroup
from heart2heart.reporting.limitations import few_patients
from heart2heart.reporting.numbers import join_words, percent, plural, points
from heart2heart.reporting.sentences import at_chance
from heart2heart.reporting.verdicts import judge_transfer
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.metrics import MethodMetrics, Metrics, RunMetrics

LOW_SENSITIVITY, HIGH_AUROC = 0.5, 0.9
"""A view whose sensitivity is below the first and whose AUROC exceeds the second is ranked well but called wrongly."""
_MOST_VIEWS = 4


def next_steps(method: MethodMetrics, run: RunMetrics, metrics: Metrics) -> tuple[str, ...]:
    """Return what to do, the most urgent first; each sentence follows from an interval or a count.

    Args:
        method: The method.
        run: The run of the method whose details the report shows.
        metrics: Metrics of the evaluation.
    """
    gaps = method.generalisation.gaps
    kinds = {gap.site: judge_transfer(gap).kind for gap in gaps}
    kinds |= dict.fromkeys(set(at_chance(method, metrics)) & set(kinds), VerdictKind.WORSE)
    steps = []
    if metrics.synthetic:
        steps.append("Decide nothing about care: the data are synthetic. Repeat the evaluation with patients.")
    ranked = ranked_well(run, metrics)
    if ranked:
        listed = [f"{view} at {site} ({percent(auroc)})" for site, view, auroc in ranked[:_MOST_VIEWS]]
        steps.append(
            f"Recalibrate or adapt with a few local labels: {join_words(listed)} is ranked well (AUROC), but most of "
            "its frames are called something else. `heart2heart adapt` adapts a model."
        )
    worse = [site for site, kind in kinds.items() if kind is VerdictKind.WORSE]
    if worse:
        steps.append(
            f"Do not use it as it is at {join_words(worse)}. The sample frames and the differences between hospitals "
            "help to find the cause."
        )
    steps += _label_more(method, metrics, kinds)
    if any(judge_subgroup(stratum) == SUBGROUP_WORSE for site in run.sites for stratum in site.strata):
        steps.append(f"Do not rely on it in every subgroup. {describe_subgroups(run)}")
    if any(site.outside for site in metrics.sites):
        steps.append("Let a person check uncertain frames: the model gives a known view to frames of unknown views.")
    if len(method.runs) == 1 and not metrics.training_data:
        steps.append("Train with two more seeds, to learn how much another training run changes the result.")
    steps.append("Write down what is acceptable and get a decision: `heart2heart report --accept criteria.yaml`.")
    return tuple(steps)


def ranked_well(run: RunMetrics, metrics: Metrics) -> list[tuple[str, str, float]]:
    """Return hospital, view and AUROC where a view is ranked well but called wrongly, highest AUROC first.

    The upper limit of the sensitivity is below `LOW_SENSITIVITY`, and the lower limit of the AUROC above `HIGH_AUROC`.
    """
    found_views = []
    for site, summary in zip(run.sites, metrics.sites, strict=True):
        for view in metrics.classes:
            sensitivity, auroc = site.sensitivity[view], site.auroc[view]
            low = sensitivity.high is not None and sensitivity.high < LOW_SENSITIVITY
            if summary.held_out and low and auroc.value is not None and (auroc.low or 0.0) > HIGH_AUROC:
                found_views.append((site.site, view, auroc.value))
    return sorted(found_views, key=lambda item: -item[2])


def _label_more(method: MethodMetrics, metrics: Metrics, kinds: dict[str, VerdictKind]) -> list[str]:
    losses = {gap.site: gap.judged.high for gap in method.generalisation.gaps}
    open_sites = [
        f"{site} (a loss of up to {points(high)} points is not ruled out)"
        for site, high in losses.items()
        if kinds[site] is VerdictKind.OPEN and high is not None and high > 0
    ]
    steps = []
    if open_sites:
        steps.append(f"Label more {metrics.unit}s at {join_words(open_sites)}: `heart2heart plan` computes how many.")
    few = {site: view for site, view in few_patients(metrics).items() if site in losses}
    if few:
        counts = [f"{view} at {site} ({plural(number, metrics.unit)})" for site, (view, number) in few.items()]
        steps.append(f"Choose {metrics.unit}s with the rarest views: {join_words(counts)}.")
    return steps
