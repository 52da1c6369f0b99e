"""Sentences of the comparison report; each follows from the numbers by a fixed rule, as in `sentences`."""

from __future__ import annotations

from heart2heart.reporting.numbers import NBSP, interval, join_words, percent, plural, signed
from heart2heart.reporting.sentences import count_tests
from heart2heart.reporting.verdicts import ALONE, describe_registration, judge_difference, judged_mean, only_alone
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.metrics_files import FoldComparison, FoldMethod, FoldMetrics
from heart2heart.schema.site_metrics import Estimate

SYNTHETIC = (
    "The hospitals in this comparison are simulated. No patient was involved. The numbers show that the methods run, "
    "not how accurate they are in clinical care."
)


def with_additions(metrics: FoldMetrics) -> list[FoldComparison]:
    """Return the comparisons of an extended method with its base method, such as with and without Fix-A-Step."""
    extends = {method.method: method.extends for method in metrics.methods}
    return [each for each in metrics.comparisons if extends[each.candidate] == each.reference]


def ranked(metrics: FoldMetrics) -> list[FoldMethod]:
    """Return the methods that have a mean over the held-out hospitals, highest first."""
    known = [method for method in metrics.methods if method.held_out.value is not None]
    return sorted(known, key=lambda method: -(method.held_out.value or 0.0))


def comparison_headline(metrics: FoldMetrics) -> str:
    """Describe which method is most accurate at the held-out hospitals, and whether its interval shows the lead."""
    order = ranked(metrics)
    if not order:
        return f"No method can be ranked over the held-out hospitals: {metrics.methods[0].held_out.reason}."
    best, sites = order[0], [site.site for site in order[0].sites if site.held_out]
    mean = f"{percent(best.held_out.value)} ({interval(best.held_out)})"
    where = f"on average over {join_words(sites)}" if len(sites) > 1 else f"at {join_words(sites)}"
    reached = f"{mean} balanced accuracy {where}, without training there"
    least = best.held_out.value if best.held_out.low is None else best.held_out.low
    if least is not None and least <= 1 / len(metrics.classes) + 1e-9:
        guess = percent(1 / len(metrics.classes))
        return f"No method is shown to exceed chance ({guess}). The highest, “{best.method}”, reaches {reached}."
    if len(order) < 2:
        return f"“{best.method}” reaches {reached}. No other method was evaluated."
    second = order[1]
    lead = compared(metrics, second.method, best.method)
    ahead, folds = _ahead(best, second)
    times = f"; it is ahead in {ahead} of {folds} folds"
    if folds < 2:
        times = "; the variation between splits and training runs is unknown"
    if lead is None or lead.low is None or lead.low <= 0 or ahead < folds:
        size = "" if lead is None else f". The difference is {shown(lead)}"
        text = f"No method is shown to be the best. “{best.method}” has the highest mean, {reached}"
        return f"{text}; “{second.method}” is second with {percent(second.held_out.value)}{size}{times}."
    text = f"“{best.method}” is the best method: {reached}"
    return f"{text}. Its lead over the second, “{second.method}”, is {shown(lead)}{times}."


def _ahead(best: FoldMethod, second: FoldMethod) -> tuple[int, int]:
    """Return the number of folds in which the first method is ahead at the held-out hospitals, and of all folds."""
    leads: dict[str, list[float]] = {}
    for best_site, second_site in zip(best.sites, second.sites, strict=True):
        for fold in best_site.by_fold if best_site.held_out else ():
            leads.setdefault(fold, []).append(best_site.by_fold[fold] - second_site.by_fold[fold])
    return sum(sum(each) > 0 for each in leads.values()), len(leads)


def findings(metrics: FoldMetrics) -> list[str]:
    """Describe the gain of the best method over the reference, and of each extended method over its base method."""
    sentences = []
    order, reference = ranked(metrics), metrics.methods[0].method
    if len(order) > 1 and reference not in (order[0].method, order[1].method):
        lead = compared(metrics, reference, order[0].method)
        if lead is not None:
            mean = percent(metrics.methods[0].held_out.value)
            sentences.append(f"Compared with “{reference}” ({mean}), the gain of “{order[0].method}” is {shown(lead)}.")
    by_name = {method.method: method for method in metrics.methods}
    for each in with_additions(metrics):
        ahead, folds = _ahead(by_name[each.candidate], by_name[each.reference])
        times = f" Ahead in {ahead} of {folds} folds." if folds > 1 else ""
        added = by_name[each.candidate].addition
        gain = f"{_mean(judged_mean(each))}{times} {describe(each, count_tests(metrics))}"
        sentences.append(f"“{each.reference}” with {added}: {gain}".replace("  ", " "))
    if metrics.margin:
        sentences.append(describe_registration(metrics.margin))
    return sentences


def describe(comparison: FoldComparison, tests: int) -> str:
    """Describe at which hospitals the candidate is better or worse, with intervals for all comparisons at once."""
    by_kind: dict[str, list[str]] = {}
    for site in comparison.sites:
        name = site.site if site.held_out else f"{site.site} (source)"
        by_kind.setdefault(judge_difference(site).kind, []).append(name)
    parts = [
        template.format(join_words(by_kind[kind]))
        for kind, template in (
            (VerdictKind.BETTER, "better at {}"),
            (VerdictKind.WORSE, "worse at {}"),
            (VerdictKind.OPEN, "no difference shown at {}"),
            (VerdictKind.UNKNOWN, "not comparable at {}"),
        )
        if kind in by_kind
    ]
    text = "; ".join(parts)
    alone = [name for site in comparison.sites if only_alone(site) for name in [site.site]]
    if alone:
        text += f" (at {join_words(alone)}, {ALONE})"
    together = f", for all {tests} comparisons of this page at once" if tests > 1 else ""
    return f"{text[:1].upper()}{text[1:]}{together}."


def highest(metrics: FoldMetrics) -> list[str]:
    """Return the method with the highest value at each hospital, and over the held-out hospitals; empty if none."""
    best = []
    for index in range(len(metrics.methods[0].sites)):
        values = {each.method: each.sites[index].balanced_accuracy.value for each in metrics.methods}
        best.append(_top(values))
    return [*best, _top({each.method: each.held_out.value for each in metrics.methods})]


def limits_of_comparison(metrics: FoldMetrics) -> list[str]:
    """Return the limitations of the comparison."""
    unit, folds = metrics.unit, len(metrics.splits)
    sampling = (
        f"An interval describes the variation of a result over other {unit}s of the same hospital, with fixed folds "
        "and trained networks. It does not describe other training runs or other hospitals."
    )
    spread = "There is one fold: the variation between splits and training runs is unknown."
    if folds > 1:
        spread = (
            f"The range over {plural(folds, 'fold')} is given beside the interval. It combines the effects of other "
            f"labeled {unit}s, other test {unit}s at the source, settings that differ between folds, and the "
            "randomness of training."
        )
    selected = (
        "The best and the second method were selected by these same results. Their difference therefore appears larger "
        "than it is, and its interval does not account for the selection."
    )
    tests = count_tests(metrics)
    together = (
        f"A difference is claimed only if its interval excludes zero together with those of all {tests} differences on "
        "this page: if no method differed, at most one page in twenty would claim a difference."
    )
    sentences = [sampling, spread, selected, *([together] if tests > 1 else [])]
    few = [site.site for site in metrics.methods[0].sites if site.balanced_accuracy.few_clusters]
    if few:
        below = metrics.few_clusters_below
        sentences.append(f"The rarest class comes from fewer than {below} {unit}s at {join_words(few)}.")
    if metrics.left_out:
        sentences.append(f"Excluded, because they were not run on every fold: {join_words(metrics.left_out)}.")
    return sentences


def compared(metrics: FoldMetrics, reference: str, candidate: str) -> Estimate | None:
    """Return the difference of two methods over the held-out hospitals; None if they were not compared."""
    pair = {reference, candidate}
    for each in metrics.comparisons:
        if {each.reference, each.candidate} == pair:
            return judged_mean(each) if each.candidate == candidate else _negate(judged_mean(each))
    return None


def _negate(difference: Estimate) -> Estimate:
    """Return the difference with candidate and reference exchanged."""
    low, high = (
        (None, None) if difference.low is None or difference.high is None else (-difference.high, -difference.low)
    )
    value = None if difference.value is None else -difference.value
    return difference.model_copy(update={"value": value, "low": low, "high": high})


def shown(difference: Estimate) -> str:
    """Describe a difference and whether its interval excludes zero."""
    if difference.value is None:
        return f"not estimable: {difference.reason}"
    if difference.low is None or difference.high is None:
        return f"{signed(difference.value)} points, without an interval ({difference.reason})"
    size = f"{signed(difference.value)}{NBSP}points ({interval(difference, sign=True)})"
    if difference.low > 0:
        return f"{size}: the interval excludes zero"
    if difference.high < 0:
        return f"{size}: a loss; the interval excludes zero"
    return f"{size}: the interval includes zero"


def _mean(difference: Estimate) -> str:
    if difference.value is None:
        return ""
    size = f"{signed(difference.value)} points on average over the held-out hospitals"
    return f"{size} ({interval(difference, sign=True)})." if difference.low is not None else f"{size}."


def _top(values: dict[str, float | None]) -> str:
    known = {name: value for name, value in values.items() if value is not None}
    return max(known, key=known.__getitem__) if known else ""
