"""Summary of an evaluation: the questions on the first screen of the report.

Each sentence and each verdict follows by a fixed rule from an interval or a count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from heart2heart.evaluation.cross_site import FEWEST_SITES
from heart2heart.reporting.limitations import few_patients
from heart2heart.reporting.numbers import interval, join_words, percent, plural, points
from heart2heart.reporting.sentences import (
    NOT_ABOVE_CHANCE,
    at_chance,
    compare_headline,
    describe_failures,
    headline,
)
from heart2heart.reporting.verdicts import (
    ALONE,
    Verdict,
    judge_by_margin,
    judge_difference,
    judge_transfer,
    margin_words,
    only_alone,
)
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.margin import MarginClaim, MarginVerdict
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.site_metrics import SiteMetrics

_MOST_HOSPITALS = 4
"""Maximum number of hospitals whose results are listed in one sentence."""


@dataclass(frozen=True)
class SummarySection:
    """One question of the summary with its verdict and sentences."""

    question: str
    verdict: Verdict
    sentences: tuple[str, ...]


def summary(
    method: MethodMetrics, run: RunMetrics, final: Comparison | None, metrics: Metrics
) -> tuple[SummarySection, ...]:
    """Answer the main questions of a reader: transfer to other hospitals, certainty, failures, gain over a reference.

    Args:
        method: The method.
        run: The run of the method whose details the report shows.
        final: Comparison of the method with the first method, if there is one.
        metrics: Metrics of the evaluation.
    """
    sections = [
        SummarySection(
            "Is it accurate at other hospitals?", _overall(method, metrics), tuple(_transfer_sentences(method, metrics))
        ),
        SummarySection(
            "How certain are the results?", _certainty(method, metrics), tuple(_certainty_sentences(method, metrics))
        ),
        SummarySection(
            "Where does it fail?",
            Verdict(VerdictKind.UNKNOWN, "✗", "Main errors"),
            tuple(_failure_sentences(method, run, metrics)),
        ),
    ]
    if final:
        sections.append(
            SummarySection(f"Is it better than “{final.reference}”?", _better(final), (compare_headline(final),))
        )
    return tuple(sections)


def _better(final: Comparison) -> Verdict:
    kinds = [judge_difference(site).kind for site in final.sites]
    better, worse, of = kinds.count(VerdictKind.BETTER), kinds.count(VerdictKind.WORSE), plural(len(kinds), "hospital")
    if better and worse:
        return Verdict(VerdictKind.OPEN, "●", f"Better at {better}, worse at {worse} of {of}")
    if better:
        return Verdict(VerdictKind.BETTER, "▲", f"Better at {better} of {of}")
    if worse:
        return Verdict(VerdictKind.WORSE, "▼", f"No: worse at {worse} of {of}")
    alone = [site.site for site in final.sites if only_alone(site)]
    return Verdict(VerdictKind.OPEN, "●", f"Not shown: at {join_words(alone)}, {ALONE}" if alone else "Not shown")


def _transfer_sentences(method: MethodMetrics, metrics: Metrics) -> list[str]:
    """List the result of each hospital if there are few, then the sentences of the headline."""
    gaps = {gap.site: gap.gap for gap in method.generalisation.gaps}
    text = headline(method, metrics, chance_by_site=at_chance(method, metrics))
    sentences = text[1:] or text
    if not 0 < len(gaps) <= _MOST_HOSPITALS:
        return sentences
    numbers = [
        f"{site.site}: {percent(site.balanced_accuracy.value)} ({interval(site.balanced_accuracy)})"
        for site in method.sites
        if site.site in gaps
    ]
    return [f"Balanced accuracy at {'; at '.join(numbers)}.", *sentences]


def _overall(method: MethodMetrics, metrics: Metrics) -> Verdict:
    gaps = method.generalisation.gaps
    kinds = [judge_transfer(gap).kind for gap in gaps]
    chance_by_site = at_chance(method, metrics)
    chance = sum(gap.site in chance_by_site for gap in method.generalisation.gaps)
    if chance:
        return (
            NOT_ABOVE_CHANCE
            if chance == len(kinds)
            else replace(NOT_ABOVE_CHANCE, text=f"{NOT_ABOVE_CHANCE.text} at {chance} of {len(kinds)}")
        )
    worse = kinds.count(VerdictKind.WORSE)
    if metrics.margin and any(gap.margin for gap in gaps):
        return _overall_by_margin(method, metrics.margin)
    if not kinds or set(kinds) == {VerdictKind.UNKNOWN}:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if worse == len(kinds):
        return Verdict(VerdictKind.WORSE, "▼", "Less accurate at every hospital" if worse > 1 else "Less accurate")
    if worse:
        return Verdict(VerdictKind.WORSE, "▼", f"Less accurate at {worse} of {len(kinds)}")
    alone = [gap.site for gap in gaps if only_alone(gap)]
    return Verdict(
        VerdictKind.OPEN, "●", f"No loss shown: at {join_words(alone)}, {ALONE}" if alone else "No loss shown"
    )


def _overall_by_margin(method: MethodMetrics, claim: MarginClaim) -> Verdict:
    """Return the verdict over the held-out hospitals by the registered margin: the worst of them first."""
    gaps, words = method.generalisation.gaps, margin_words(claim)
    if len(gaps) == 1:
        return judge_by_margin(gaps[0], claim)
    over, more = (
        sum(gap.margin is verdict for gap in gaps) for verdict in (MarginVerdict.CARRIES_OVER, MarginVerdict.LOSES_MORE)
    )
    if more:
        verdict = Verdict(VerdictKind.WORSE, "▼", f"Loses more than {words} at {more} of {len(gaps)}")
    elif over == len(gaps):
        verdict = Verdict(VerdictKind.BETTER, "✓", f"Carries over within {words} at every hospital")
    else:
        count = f" at {over} of {len(gaps)}, not shown at the others" if over else ": not shown"
        verdict = Verdict(VerdictKind.OPEN, "●", f"Carries over within {words}{count}")
    if not claim.after_look:
        return verdict
    kind = VerdictKind.OPEN if verdict.kind is VerdictKind.BETTER else verdict.kind
    return replace(verdict, kind=kind, mark="!", text=f"{verdict.text} (margin registered after the look)")


def _certainty(method: MethodMetrics, metrics: Metrics) -> Verdict:
    if metrics.synthetic:
        return Verdict(VerdictKind.WORSE, "!", "Synthetic data")
    few = few_patients(metrics)
    if any(site.held_out and site.site in few for site in metrics.sites):
        return Verdict(VerdictKind.OPEN, "!", f"Few {metrics.unit}s")
    if len(method.runs) == 1:
        return Verdict(VerdictKind.OPEN, "!", "Trained once")
    return Verdict(VerdictKind.BETTER, "✓", "Intervals apply")


def _certainty_sentences(method: MethodMetrics, metrics: Metrics) -> list[str]:
    sentences = []
    if metrics.synthetic:
        sentences.append(
            "Synthetic data, not patients: the intervals do not describe the accuracy of the model in clinical care."
        )
    held_out = {site.site: site for site in metrics.sites if site.held_out and site.frames}
    if held_out:
        numbers = [f"{plural(site.clusters, metrics.unit)} at {name}" for name, site in held_out.items()]
        sentences.append(f"The model was tested on {join_words(numbers)}.")
    few = {name: rarest for name, rarest in few_patients(metrics).items() if name in held_out}
    if few:
        counts = [f"{plural(number, metrics.unit)} at {name} ({view})" for name, (view, number) in few.items()]
        sentences.append(
            f"The rarest class comes from {join_words(counts)}, fewer than {metrics.few_clusters_below}: one or two "
            "others can move the result."
        )
    widths = {
        site_row.site: site_row.balanced_accuracy.high - site_row.balanced_accuracy.low
        for site_row in method.sites
        if site_row.site in held_out
        and site_row.balanced_accuracy.low is not None
        and site_row.balanced_accuracy.high is not None
    }
    if widths:
        widest = max(widths, key=widths.__getitem__)
        sentences.append(f"The widest interval, at {widest}, spans {points(widths[widest])} points.")
    trained_once = len(method.runs) == 1
    sentences.append(
        "The model was trained once, so the variation between training runs is unknown."
        if trained_once
        else f"The model was trained {len(method.runs)} times."
    )
    effects = method.generalisation.random_effects
    if effects.prediction_low is not None and effects.prediction_high is not None:
        ends = f"{points(effects.prediction_low)} to {points(effects.prediction_high)} %"
        sentences.append(
            f"At one more hospital like these {effects.sites}, a balanced accuracy from {ends} is plausible. The range "
            "is too narrow: in simulations, one hospital in ten had a value outside it, instead of one in twenty."
        )
    elif effects.sites < FEWEST_SITES:
        sentences.append("Too few hospitals were tested for a statement about other hospitals.")
    else:
        sentences.append(f"The accuracy at another hospital is not estimable: {effects.reason}.")
    return sentences


def _failure_sentences(method: MethodMetrics, run: RunMetrics, metrics: Metrics) -> list[str]:
    generalisation, sentences = method.generalisation, []
    if generalisation.worst_cell:
        cell = generalisation.worst_cell
        value = f"{percent(cell.sensitivity.value)} ({interval(cell.sensitivity)})"
        candidates = f"among views with {metrics.few_clusters_below} {metrics.unit}s or more"
        sentences.append(f"Lowest sensitivity {candidates}: {cell.view} at {cell.site}, {value}.")
    elif generalisation.worst_site:
        index = [site.site for site in metrics.sites].index(generalisation.worst_site)
        sentences.append(
            f"Lowest accuracy: {generalisation.worst_site}. {describe_failures(run.sites[index], metrics.classes)}"
        )
    held_out = [site for site, site_summary in zip(run.sites, metrics.sites, strict=True) if site_summary.held_out]
    sentences += [text for text in (_held_back(held_out, metrics), _shortcut(held_out), _outside(metrics)) if text]
    return sentences or ["No frame was scored at a held-out hospital."]


def _held_back(sites: list[SiteMetrics], metrics: Metrics) -> str | None:
    risks = [
        (site.selective.risk.value, site.site, site.selective.coverage.value)
        for site in sites
        if site.selective and site.selective.risk.value is not None and site.selective.coverage.value is not None
    ]
    if not risks:
        return None
    risk, site, coverage = max(risks)
    return (
        f"If uncertain frames are withheld (by the threshold that keeps {percent(metrics.kept_on_validation)} at the "
        f"source), {percent(risk)} of the kept frames are still wrong at {site}, the worst hospital, where "
        f"{percent(coverage)} are kept."
    )


def _shortcut(sites: list[SiteMetrics]) -> str | None:
    above_chance = [
        site.site
        for site in sites
        for probe in site.probes
        if probe.alteration == "sector_masked"
        and probe.balanced_accuracy.low is not None
        and probe.balanced_accuracy.low > probe.chance
    ]
    affected = [
        site.site
        for site in sites
        for probe in site.probes
        if probe.alteration == "background_swapped" and probe.change.high is not None and probe.change.high < 0
    ]
    parts = []
    if above_chance:
        parts.append(f"without the scan (blacked out), the accuracy exceeds chance at {join_words(above_chance)}")
    if affected:
        parts.append(f"with another background, the accuracy decreases at {join_words(affected)}")
    return f"The model uses the image outside the scan: {'; '.join(parts)}." if parts else None


def _outside(metrics: Metrics) -> str | None:
    frames = sum(sum(site.outside.values()) for site in metrics.sites)
    if not frames:
        return None
    text = f"{plural(frames, 'test frame')} show views that the model does not know."
    return f"{text} It assigns each of them to one of its classes."
