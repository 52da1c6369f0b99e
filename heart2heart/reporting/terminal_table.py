"""The table that ends a run on the terminal."""

from __future__ import annotations

from heart2heart.reporting.numbers import MINUS, NBSP, interval, points, signed
from heart2heart.schema.metrics import MethodMetrics, Metrics
from heart2heart.schema.site_metrics import Estimate


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
