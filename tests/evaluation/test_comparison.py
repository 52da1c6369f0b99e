"""Runs grouped over seeds, and the comparison of methods over sites."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.evaluation.comparison import seed_spread
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.metrics import Metrics
from tests.evaluation.factory import METHODS, make_predictions


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return evaluate_predictions(make_predictions(seeds=(0, 1)), replicates=400)


def values(metrics: Metrics, run: int) -> dict[str, float]:
    by_site = {}
    for site in metrics.runs[run].sites:
        assert site.balanced_accuracy.value is not None
        by_site[site.site] = site.balanced_accuracy.value
    return by_site


def test_seed_spread_is_apart_from_sampling() -> None:
    spread = seed_spread([0.5, 0.7])
    assert spread.standard_deviation == pytest.approx(((0.1**2 + 0.1**2) / 1) ** 0.5)
    assert (spread.low, spread.high, spread.n) == (0.5, 0.7, 2)
    assert seed_spread([0.5]).standard_deviation is None
    assert seed_spread([]).low is None


def test_summarise_averages_seeds(metrics: Metrics) -> None:
    for index, method in enumerate(metrics.methods):
        first, second = values(metrics, 2 * index), values(metrics, 2 * index + 1)
        assert method.runs == tuple(run.run for run in metrics.runs[2 * index : 2 * index + 2])
        for site in method.sites:
            pair = (first[site.site], second[site.site])
            assert site.balanced_accuracy.value == pytest.approx(np.mean(pair))
            assert (site.seeds.low, site.seeds.high) == pytest.approx((min(pair), max(pair)))


def test_summarise_generalises_over_held_out_sites(metrics: Metrics) -> None:
    for method in metrics.methods:
        by_site = {site.site: site.balanced_accuracy.value or 0 for site in method.sites}
        held_out = {name: by_site[name] for name in ("east", "south", "west")}
        generalisation = method.generalisation
        assert generalisation.mean.value == pytest.approx(np.mean(list(held_out.values())))
        assert generalisation.lowest == pytest.approx(min(held_out.values()))
        assert generalisation.highest == pytest.approx(max(held_out.values()))
        assert generalisation.worst_site == min(held_out, key=held_out.__getitem__)
        gaps = {gap.site: gap for gap in generalisation.gaps}
        assert gaps["east"].gap.value == pytest.approx(by_site["north"] - by_site["east"])


def test_summarise_counts_no_missing_view_as_a_gap(metrics: Metrics) -> None:
    # south has only A4C and A2C: the source is scored over these two as well
    gap = metrics.methods[0].generalisation.gaps[1]
    assert (gap.site, gap.views) == ("south", ("A4C", "A2C"))
    runs = metrics.runs[:2]
    source = np.mean([[run.sites[0].sensitivity[view].value or 0 for view in gap.views] for run in runs])
    there = np.mean([run.sites[2].balanced_accuracy.value or 0 for run in runs])
    assert gap.gap.value == pytest.approx(source - there)


def test_compare_pairs_the_resamples(metrics: Metrics) -> None:
    (comparison,) = metrics.comparisons
    assert (comparison.reference, comparison.candidate) == METHODS
    for index, row in enumerate(comparison.sites):
        candidate, reference = (method.sites[index].balanced_accuracy for method in reversed(metrics.methods))
        assert candidate.value is not None
        assert reference.value is not None
        assert row.difference.value == pytest.approx(candidate.value - reference.value)
        assert row.difference.low is not None
        assert row.difference.high is not None
        assert candidate.low is not None
        assert candidate.high is not None
        assert reference.low is not None
        assert reference.high is not None
        independent = np.hypot(candidate.high - candidate.low, reference.high - reference.low)
        assert row.difference.high - row.difference.low < independent
        assert row.p is not None
        assert row.p_holm is not None
        assert row.p_holm >= row.p
        assert row.seeds.n == 2
