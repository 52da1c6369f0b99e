"""The table of scores on the terminal: a row for each hospital and method."""

from __future__ import annotations

from heart2heart.reporting.numbers import MINUS, NBSP, interval, points, signed
from heart2heart.schema.metrics import MethodMetrics, Metrics, SeedSpread
from heart2heart.schema.site_metrics import Estimate


def summary_table(metrics: Metrics) -> str:
    """Return a plain-text table: a row for each hospital and method, with the difference from the first method.

    Apart from names, the text is ASCII. It has no trailing newline.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.schema.metrics_files import read_metrics
        >>> summary_table(read_metrics(Path("evaluation/metrics.json"))).splitlines()[0].split()
        ['hospital', 'patients', 'method', 'balanced', 'accuracy']
    """
    compared = {comparison.candidate: comparison for comparison in metrics.comparisons}
    header = ["hospital", f"{metrics.unit}s", "method", "balanced accuracy"]
    rows = [[*header, "difference from the first"] if compared else header]
    for index, site in enumerate(metrics.sites):
        facts = [f"{site.site} ({'held out' if site.held_out else 'source'})", str(site.clusters)]
        for method in metrics.methods:
            score = method.sites[index]
            row = [
                *facts,
                _method_label(method),
                _cell(score.balanced_accuracy, metrics) + _seed_deviation(score.seeds),
            ]
            if compared:
                gain = compared[method.method].sites[index] if method.method in compared else None
                row.append(_cell(gain.difference, metrics, sign=True) + _seed_deviation(gain.seeds) if gain else "")
            rows.append(row)
            facts = ["", ""]  # named once for all methods
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append(f"Balanced accuracy in %, with {100 * metrics.confidence:.0f} % intervals over {metrics.unit}s.")
    if any(" SD " in cell for row in rows[1:] for cell in row[3:]):
        lines.append("SD: standard deviation over the seeds, in points.")
    if any("*" in cell for row in rows[1:] for cell in row[3:]):
        lines.append(f"* the rarest class comes from fewer than {metrics.few_clusters_below} {metrics.unit}s.")
    if metrics.synthetic:
        names = [site.site for site in metrics.sites if site.synthetic]
        lines.append(f"SYNTHETIC data: {', '.join(names)}. No patient was involved.")
    return "\n".join(lines)


def _method_label(method: MethodMetrics) -> str:
    return method.method if len(method.runs) == 1 else f"{method.method} ({len(method.runs)} seeds)"


def _seed_deviation(seeds: SeedSpread) -> str:
    return "" if seeds.standard_deviation is None else f" SD {100 * seeds.standard_deviation:.1f}"


def _cell(estimate: Estimate, metrics: Metrics, *, sign: bool = False) -> str:
    if estimate.value is None:
        return "not estimable"
    write = signed if sign else points
    text = write(estimate.value)
    if estimate.low is not None:
        text += f" ({interval(estimate, sign=sign)})"
    flag = "*" if estimate.few_clusters else ""
    return text.replace(NBSP, " ").replace(MINUS, "-") + flag
