"""Sentences of the comparison report; they follow from the numbers by rule, as in `words`."""

from __future__ import annotations

from heart2heart.reporting.numbers import NBSP, interval, join_words, percent, plural, signed
from heart2heart.reporting.sentences import Verdict, judge_difference
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.fold_metrics import FoldComparison, FoldMethod, FoldMetrics
from heart2heart.schema.site_metrics import Estimate

SYNTHETIC = (
    "The hospitals in this comparison are simulated. No patient was involved; the numbers show that the methods run, "
    "not how they perform in care."
)


def with_additions(metrics: FoldMetrics) -> list[FoldComparison]:
    """Return the comparisons of a method with the one that it extends: with and without Fix-A-Step."""
    extends = {method.method: method.extends for method in metrics.methods}
    return [each for each in metrics.comparisons if extends[each.candidate] == each.reference]


def ranked(metrics: FoldMetrics) -> list[FoldMethod]:
    """Return the methods with a mean over the held-out hospitals, highest first."""
    known = [method for method in metrics.methods if method.held_out.value is not None]
    return sorted(known, key=lambda method: -(method.held_out.value or 0.0))


def summarise(metrics: FoldMetrics) -> str:
    """Say which method carried over best, and whether its lead is shown."""
    order = ranked(metrics)
    if not order:
        return f"No method can be ranked over the held-out hospitals: {metrics.methods[0].held_out.reason}."
    best, sites = order[0], [site.site for site in order[0].sites if site.held_out]
    mean = f"{percent(best.held_out.value)} ({interval(best.held_out)})"
    where = f"on average over {join_words(sites)}" if len(sites) > 1 else f"at {join_words(sites)}"
    reached = f"{mean} balanced accuracy {where}, where nothing was trained"
    least = best.held_out.value if best.held_out.low is None else best.held_out.low
    if least is not None and least <= 1 / len(metrics.classes) + 1e-9:
        guess = percent(1 / len(metrics.classes))
        return f"No method is shown to beat blind guessing ({guess}). The highest, “{best.method}”, reaches {reached}."
    if len(order) < 2:
        return f"“{best.method}” reaches {reached}. No other method was run."
    second = order[1]
    lead = compared(metrics, second.method, best.method)
    ahead, folds = _ahead(best, second)
    times = f"; it leads in {ahead} of {folds} folds"
    if folds < 2:
        times = "; how that depends on the split and on training is not known"
    if lead is None or lead.low is None or lead.low <= 0 or ahead < folds:
        size = "" if lead is None else f". The difference is {shown(lead)}"
        text = f"No method is shown to carry over best. “{best.method}” has the highest mean, {reached}"
        return f"{text}; “{second.method}” is second with {percent(second.held_out.value)}{size}{times}."
    text = f"“{best.method}” carried over best: {reached}"
    return f"{text}. Its lead over the second, “{second.method}”, is {shown(lead)}{times}."


def _ahead(best: FoldMethod, second: FoldMethod) -> tuple[int, int]:
    """Return in how many folds the first is ahead, averaged over that fold's held-out hospitals, and of how many."""
    apart: dict[str, list[float]] = {}
    for ours, theirs in zip(best.sites, second.sites, strict=True):
        for fold in ours.by_fold if ours.held_out else ():
            apart.setdefault(fold, []).append(ours.by_fold[fold] - theirs.by_fold[fold])
    return sum(sum(each) > 0 for each in apart.values()), len(apart)


def findings(metrics: FoldMetrics) -> list[str]:
    """State the gain of the best method over the reference, and of each combined method over its base method."""
    found = []
    order, reference = ranked(metrics), metrics.methods[0].method
    if len(order) > 1 and reference not in (order[0].method, order[1].method):
        lead = compared(metrics, reference, order[0].method)
        if lead is not None:
            mean = percent(metrics.methods[0].held_out.value)
            found.append(f"Over “{reference}” ({mean}), the lead of “{order[0].method}” is {shown(lead)}.")
    by_name = {method.method: method for method in metrics.methods}
    for each in with_additions(metrics):
        ahead, folds = _ahead(by_name[each.candidate], by_name[each.reference])
        times = f" Ahead in {ahead} of {folds} folds." if folds > 1 else ""
        added = by_name[each.candidate].addition
        found.append(
            f"“{each.reference}” with {added}: {_mean(each.held_out)}{times} {describe(each)}".replace("  ", " ")
        )
    return found


def describe(comparison: FoldComparison) -> str:
    """Say at which hospitals the candidate is better or worse after Holm's correction, and where nothing is shown."""
    by_kind: dict[str, list[str]] = {}
    for site in comparison.sites:
        name = site.site if site.held_out else f"{site.site} (source)"
        by_kind.setdefault(judge_corrected(site.difference, site.p_holm).kind, []).append(name)
    parts = [
        words.format(join_words(by_kind[kind]))
        for kind, words in (
            (VerdictKind.BETTER, "better at {}"),
            (VerdictKind.WORSE, "worse at {}"),
            (VerdictKind.OPEN, "no difference shown at {}"),
            (VerdictKind.UNKNOWN, "not comparable at {}"),
        )
        if kind in by_kind
    ]
    text = "; ".join(parts)
    # Where each hospital is left out in turn, one may stand there twice: once as a source, once held out.
    twice = len({site.site for site in comparison.sites}) < len(comparison.sites)
    counted = plural(len(comparison.sites), "comparison" if twice else "hospital")
    return f"{text[:1].upper()}{text[1:]}, after correction for {counted}."


def judge_corrected(found: Estimate, p_holm: float | None) -> Verdict:
    """Judge a paired difference: shown only where it remains after Holm's correction."""
    judged = judge_difference(found)
    if judged.kind in (VerdictKind.BETTER, "worse") and (p_holm is None or p_holm >= 0.05):
        return Verdict(VerdictKind.OPEN, "●", "Not shown after correction")
    return judged


def highest(metrics: FoldMetrics) -> list[str]:
    """Return the method with the highest value at each hospital, then over the held-out ones; empty for none."""
    best = []
    for place in range(len(metrics.methods[0].sites)):
        values = {each.method: each.sites[place].balanced_accuracy.value for each in metrics.methods}
        best.append(_top(values))
    return [*best, _top({each.method: each.held_out.value for each in metrics.methods})]


def limits_of_comparison(metrics: FoldMetrics) -> list[str]:
    """Say what these numbers cannot tell."""
    unit, folds = metrics.unit, len(metrics.splits)
    sampling = (
        f"An interval says how much a result would move had other {unit}s of the same hospital come in, with folds and "
        "trained networks fixed. It says nothing about another training run, and nothing about hospitals not tested."
    )
    spread = "There is one fold: how much the result depends on the split and on training is not known."
    if folds > 1:
        spread = (
            f"The spread over {plural(folds, 'fold')} stands beside it: other labeled {unit}s, other {unit}s at the "
            "source, other settings where a fold has its own, and other random draws of training together."
        )
    picked = (
        "The best method and the second were picked by these same results, which makes the lead between them look "
        "larger than it is; its interval does not know of the picking."
    )
    holm = "Holm's correction is over the hospitals of one comparison, not over all comparisons on this page."
    found = [sampling, spread, picked, holm]
    few = [site.site for site in metrics.methods[0].sites if site.balanced_accuracy.few_clusters]
    if few:
        below = metrics.few_clusters_below
        found.append(f"Fewer than {below} {unit}s at {join_words(few)}: intervals there are probably too narrow.")
    if metrics.left_out:
        found.append(f"Not on every fold, and left out: {join_words(metrics.left_out)}.")
    return found


def compared(metrics: FoldMetrics, reference: str, candidate: str) -> Estimate | None:
    """Return the difference of two methods over the held-out hospitals; None where they were not compared."""
    pair = {reference, candidate}
    for each in metrics.comparisons:
        if {each.reference, each.candidate} == pair:
            return each.held_out if each.candidate == candidate else _turned(each.held_out)
    return None


def _turned(found: Estimate) -> Estimate:
    """Return the difference seen from the other side."""
    low, high = (None, None) if found.low is None or found.high is None else (-found.high, -found.low)
    value = None if found.value is None else -found.value
    return found.model_copy(update={"value": value, "low": low, "high": high})


def shown(found: Estimate) -> str:
    """Say how large a lead is, and whether its interval shows it."""
    if found.value is None:
        return f"not estimable: {found.reason}"
    if found.low is None or found.high is None:
        return f"{signed(found.value)} points, without an interval ({found.reason})"
    size = f"{signed(found.value)}{NBSP}points ({interval(found, sign=True)})"
    if found.low > 0:
        return f"{size}: the interval excludes zero"
    if found.high < 0:
        return f"{size}: a loss, the interval excludes zero"
    return f"{size}: the interval includes zero"


def _mean(found: Estimate) -> str:
    if found.value is None:
        return ""
    size = f"{signed(found.value)} points on average over the held-out hospitals"
    return f"{size} ({interval(found, sign=True)})." if found.low is not None else f"{size}."


def _top(values: dict[str, float | None]) -> str:
    known = {name: value for name, value in values.items() if value is not None}
    return max(known, key=known.__getitem__) if known else ""
