"""Summaries of an evaluation: the questions on the first screen of the report, and the table on the terminal.

Each sentence and each verdict follows by a fixed rule from an interval or a count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from heart2heart.evaluation.cross_site import FEWEST_SITES
from heart2heart.reporting.numbers import MINUS, NBSP, interval, join_words, percent, plural, points, signed
from heart2heart.reporting.sentences import (
    NOT_ABOVE_CHANCE,
    Verdict,
    at_chance,
    compare_headline,
    describe_failures,
    headline,
    judge_difference,
    judge_transfer,
)
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.site_metrics import Estimate, SiteMetrics

_NAMED = 4
"""Up to so many hospitals are named with their numbers in one sentence."""


@dataclass(frozen=True)
class SummarySection:
    """One question of the first screen and what is said to it."""

    question: str
    verdict: Verdict
    sentences: tuple[str, ...]


def summary(
    method: MethodMetrics, run: RunMetrics, final: Comparison | None, metrics: Metrics
) -> tuple[SummarySection, ...]:
    """Answer the questions of a reader who must decide.

    Args:
        method: The method that is judged.
        run: Its run that is looked at closely.
        final: Its comparison with the first method, if there is one.
        metrics: Everything.
    """
    found = [
        SummarySection("Does it carry over?", _overall(method, metrics), tuple(_transfer_sentences(method, metrics))),
        SummarySection("How sure are we?", _certainty(method, metrics), tuple(_certainty_sentences(method, metrics))),
        SummarySection(
            "Where does it fail?",
            Verdict(VerdictKind.UNKNOWN, "✗", "Look here first"),
            tuple(_failure_sentences(method, run, metrics)),
        ),
    ]
    if final:
        found.append(
            SummarySection(f"Is it better than “{final.reference}”?", _better(final), (compare_headline(final),))
        )
    return tuple(found)


def _better(final: Comparison) -> Verdict:
    kinds = [judge_difference(site.difference).kind for site in final.sites]
    better, worse, of = kinds.count(VerdictKind.BETTER), kinds.count(VerdictKind.WORSE), plural(len(kinds), "hospital")
    if better and worse:
        return Verdict(VerdictKind.OPEN, "●", f"Better at {better}, worse at {worse} of {of}")
    if better:
        return Verdict(VerdictKind.BETTER, "▲", f"At {better} of {of}")
    return (
        Verdict(VerdictKind.WORSE, "▼", f"No: worse at {worse} of {of}")
        if worse
        else Verdict(VerdictKind.OPEN, "●", "Not shown")
    )


def _transfer_sentences(method: MethodMetrics, metrics: Metrics) -> list[str]:
    """Say the number of each hospital while they are few; then the sentences of the headline."""
    gaps = {gap.site: gap.gap for gap in method.generalisation.gaps}
    text = headline(method, metrics, weak=at_chance(method, metrics))
    said = text[1:] or text
    if not 0 < len(gaps) <= _NAMED:
        return said
    numbers = [
        f"{site.site}: {percent(site.balanced_accuracy.value)} ({interval(site.balanced_accuracy)})"
        for site in method.sites
        if site.site in gaps
    ]
    return [f"Balanced accuracy at {'; at '.join(numbers)}.", *said]


def _overall(method: MethodMetrics, metrics: Metrics) -> Verdict:
    kinds = [judge_transfer(gap.gap).kind for gap in method.generalisation.gaps]
    weak = at_chance(method, metrics)
    chance = sum(gap.site in weak for gap in method.generalisation.gaps)
    if chance:
        return (
            NOT_ABOVE_CHANCE
            if chance == len(kinds)
            else replace(NOT_ABOVE_CHANCE, text=f"{NOT_ABOVE_CHANCE.text} at {chance} of {len(kinds)}")
        )
    worse = kinds.count(VerdictKind.WORSE)
    if not kinds or set(kinds) == {VerdictKind.UNKNOWN}:
        return Verdict(VerdictKind.UNKNOWN, "?", "Cannot be judged")
    if worse == len(kinds):
        return Verdict(VerdictKind.WORSE, "▼", "Loses accuracy everywhere" if worse > 1 else "Loses accuracy")
    if worse:
        return Verdict(VerdictKind.WORSE, "▼", f"Loses accuracy at {worse} of {len(kinds)}")
    return Verdict(VerdictKind.OPEN, "●", "No loss shown")


def _certainty(method: MethodMetrics, metrics: Metrics) -> Verdict:
    if metrics.synthetic:
        return Verdict(VerdictKind.WORSE, "!", "Synthetic data")
    scored = [site for site in metrics.sites if site.held_out and site.frames]
    if any(site.clusters < metrics.few_clusters_below for site in scored):
        return Verdict(VerdictKind.OPEN, "!", f"Few {metrics.unit}s")
    if len(method.runs) == 1:
        return Verdict(VerdictKind.OPEN, "!", "Trained once")
    return Verdict(VerdictKind.BETTER, "✓", "As sure as the intervals say")


def _certainty_sentences(method: MethodMetrics, metrics: Metrics) -> list[str]:
    said = []
    if metrics.synthetic:
        said.append(
            "Synthetic data, not patients: whatever the intervals say, it is not known how the model does in care."
        )
    held = {site.site: site for site in metrics.sites if site.held_out and site.frames}
    if held:
        numbers = [f"{plural(site.clusters, metrics.unit)} at {name}" for name, site in held.items()]
        said.append(f"It was scored on {join_words(numbers)}.")
    few = [name for name, site in held.items() if site.clusters < metrics.few_clusters_below]
    if few:
        said.append(
            f"That is few at {join_words(few)} (below {metrics.few_clusters_below}): "
            "those intervals are probably too narrow."
        )
    widths = {
        found.site: found.balanced_accuracy.high - found.balanced_accuracy.low
        for found in method.sites
        if found.site in held and found.balanced_accuracy.low is not None and found.balanced_accuracy.high is not None
    }
    if widths:
        widest = max(widths, key=widths.__getitem__)
        said.append(f"The widest interval, at {widest}, spans {points(widths[widest])} points.")
    once = len(method.runs) == 1
    said.append(
        "The model was trained once, so luck in training is not known."
        if once
        else f"It was trained {len(method.runs)} times."
    )
    effects = method.generalisation.random_effects
    if effects.prediction_low is not None and effects.prediction_high is not None:
        ends = f"{points(effects.prediction_low)} to {points(effects.prediction_high)} %"
        said.append(
            f"For one more hospital like these {effects.sites}, balanced accuracy from {ends} is plausible; in "
            "simulations one hospital in ten lay outside such a range, not one in twenty."
        )
    elif effects.sites < FEWEST_SITES:
        said.append("Too few hospitals were tested to say anything about a hospital that is not named here.")
    else:
        said.append(f"What a hospital not named here would do is not estimable: {effects.reason}.")
    return said


def _failure_sentences(method: MethodMetrics, run: RunMetrics, metrics: Metrics) -> list[str]:
    general, said = method.generalisation, []
    if general.worst_cell:
        cell = general.worst_cell
        seen = f"{percent(cell.sensitivity.value)} of its frames recognised ({interval(cell.sensitivity)})"
        among = f"of all views with {metrics.few_clusters_below} {metrics.unit}s or more"
        said.append(f"Weakest {among}: {cell.view} at {cell.site}, {seen}.")
    elif general.worst_site:
        place = [site.site for site in metrics.sites].index(general.worst_site)
        said.append(f"Lowest at {general.worst_site}. {describe_failures(run.sites[place], metrics.classes)}")
    held = [site for site, about in zip(run.sites, metrics.sites, strict=True) if about.held_out]
    said += [text for text in (_held_back(held, metrics), _shortcut(held), _outside(metrics)) if text]
    return said or ["Nothing was scored at a held-out hospital."]


def _held_back(held: list[SiteMetrics], metrics: Metrics) -> str | None:
    found = [
        (site.selective.risk.value, site.site, site.selective.coverage.value)
        for site in held
        if site.selective and site.selective.risk.value is not None and site.selective.coverage.value is not None
    ]
    if not found:
        return None
    risk, site, coverage = max(found)
    return (
        f"With unsure frames held back (the threshold that keeps {percent(metrics.kept_on_validation)} at the source), "
        f"{percent(risk)} of the kept frames are still wrong at {site}, the worst hospital, where {percent(coverage)} "
        "are kept."
    )


def _shortcut(held: list[SiteMetrics]) -> str | None:
    reads = [
        site.site
        for site in held
        for probe in site.probes
        if probe.alteration == "sector_masked"
        and probe.balanced_accuracy.low is not None
        and probe.balanced_accuracy.low > probe.chance
    ]
    leans = [
        site.site
        for site in held
        for probe in site.probes
        if probe.alteration == "background_swapped" and probe.change.high is not None and probe.change.high < 0
    ]
    parts = []
    if reads:
        parts.append(f"with the scan blacked out it still beats guessing at {join_words(reads)}")
    if leans:
        parts.append(f"with the surroundings exchanged it loses accuracy at {join_words(leans)}")
    return f"It reads what surrounds the heart: {'; '.join(parts)}." if parts else None


def _outside(metrics: Metrics) -> str | None:
    frames = sum(sum(site.outside.values()) for site in metrics.sites)
    if not frames:
        return None
    return (
        f"{plural(frames, 'test frame')} show views that it does not know; it must call each by one of its own names."
    )


def summary_table(metrics: Metrics) -> str:
    """Return a plain-text table: for each hospital its patients, balanced accuracy of each method, and differences.

    The text is ASCII apart from the names, has no trailing newline, and fits a terminal as far as the names do.
    """
    header = ["hospital", "", f"{metrics.unit}s", *(_method_label(method) for method in metrics.methods)]
    header += ["difference" if len(metrics.comparisons) == 1 else f"{c.candidate} - first" for c in metrics.comparisons]
    rows = [header]
    for place, site in enumerate(metrics.sites):
        row = [site.site, "held out" if site.held_out else "source", str(site.clusters)]
        row += [_cell(method.sites[place].balanced_accuracy, metrics) for method in metrics.methods]
        row += [_cell(comparison.sites[place].difference, metrics, sign=True) for comparison in metrics.comparisons]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append(f"Balanced accuracy in %, with {100 * metrics.confidence:.0f} % intervals over {metrics.unit}s.")
    if any(0 < site.clusters < metrics.few_clusters_below for site in metrics.sites):
        lines.append(f"* fewer than {metrics.few_clusters_below} {metrics.unit}s: the interval is probably too narrow.")
    if metrics.synthetic:
        names = [site.site for site in metrics.sites if site.synthetic]
        lines.append(f"SYNTHETIC data: {', '.join(names)}. No patient was involved.")
    return "\n".join(lines)


def _method_label(method: MethodMetrics) -> str:
    return method.method if len(method.runs) == 1 else f"{method.method} (mean of {len(method.runs)} seeds)"


def _cell(found: Estimate, metrics: Metrics, *, sign: bool = False) -> str:
    if found.value is None:
        return "not estimable"
    write = signed if sign else points
    text = write(found.value)
    if found.low is not None:
        text += f" ({interval(found, sign=sign)})"
    flag = "*" if found.clusters < metrics.few_clusters_below else ""
    return text.replace(NBSP, " ").replace(MINUS, "-") + flag
