"""The table on the terminal."""

from __future__ import annotations

from heart2heart.reporting.terminal_table import summary_table
from heart2heart.schema.metrics import Metrics


def test_summary_table_holds_the_main_numbers(metrics: Metrics) -> None:
    text = summary_table(metrics)
    assert text.isascii()
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["hospital", "patients"]
    for index, site in enumerate(metrics.sites):
        line = next(line for line in lines if line.startswith(site.site))
        assert f" {site.clusters} " in line
        for method in metrics.methods:
            assert f"{100 * (method.sites[index].balanced_accuracy.value or 0):.1f} (" in line
        assert f"{100 * (metrics.comparisons[0].sites[index].difference.value or 0):+.1f} (" in line
    assert "* fewer than 30 patients" in text
    assert "SYNTHETIC data: north, east, south, west" in text
    assert max(len(line) for line in lines) <= 120


def test_nothing_synthetic_is_not_called_so(metrics: Metrics) -> None:
    assert "SYNTHETIC" not in summary_table(metrics.model_copy(update={"synthetic": False}))


def test_a_mean_over_seeds_is_called_so(metrics: Metrics) -> None:
    first = metrics.methods[0]
    several = metrics.model_copy(
        update={"methods": (first.model_copy(update={"runs": ("a", "b")}), *metrics.methods[1:])}
    )
    assert f"{first.method} (mean of 2 seeds)" in summary_table(several).splitlines()[0]
    assert "seeds" not in summary_table(metrics)
