"""Does a model beat an answer that looks at no picture? Where it does not, "no loss shown" would mislead."""

from __future__ import annotations

from heart2heart.evaluate.schema import MethodMetrics, Metrics, SiteSummary
from heart2heart.report.words import Verdict

GUESSING = Verdict("worse", "▼", "Not shown to beat guessing")


def blind_accuracy(site: SiteSummary, metrics: Metrics) -> float:
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
        if least is not None and least <= blind_accuracy(site, metrics) + 1e-9:
            found[site.site] = blind_accuracy(site, metrics)
    return found
