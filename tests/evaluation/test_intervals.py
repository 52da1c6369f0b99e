"""The cluster bootstrap against explicit resampling, its invariants, and its coverage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from heart2heart.evaluation.classification import Floats, balanced_accuracy, clustered_confusion
from heart2heart.evaluation.intervals import (
    Resamples,
    bootstrap_p,
    cluster_weights,
    combine_resamples,
    holm,
    percentile_interval,
    replicate,
    resample,
)
from tests.evaluation.small_studies import by_patients


def test_cluster_weights_are_multinomial_seeded_and_named() -> None:
    weights = cluster_weights(12, 4000, 3, "east")
    assert (weights.sum(1) == 12).all()
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.08)
    np.testing.assert_allclose(weights.var(0), 1 - 1 / 12, atol=0.1)
    np.testing.assert_array_equal(weights, cluster_weights(12, 4000, 3, "east"))
    assert not np.array_equal(weights, cluster_weights(12, 4000, 3, "west"))
    assert not np.array_equal(weights, cluster_weights(12, 4000, 4, "east"))


def test_replicate_equals_the_statistic_of_repeated_clusters() -> None:
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 3, 80), rng.integers(0, 3, 80)
    cluster = np.arange(80) % 9
    statistics = clustered_confusion(truth, predicted, cluster, 9, 3)
    weights = cluster_weights(9, 20, 0)
    replicates = replicate(weights, statistics, lambda sums: balanced_accuracy(sums, [0, 1, 2]))
    for counts, value in zip(weights, replicates, strict=True):
        rows = np.concatenate([np.flatnonzero(cluster == c) for c, k in enumerate(counts) for _ in range(int(k))])
        by_class = [(predicted[rows] == label)[truth[rows] == label].mean() for label in range(3)]
        assert value == pytest.approx(np.mean(by_class))


@given(st.integers(2, 40), st.integers(0, 1000))
@settings(max_examples=25)
def test_percentile_interval_of_identical_clusters_has_no_width(clusters: int, seed: int) -> None:
    statistics = np.repeat(np.array([[3.0, 4.0]]), clusters, axis=0)
    replicates = replicate(cluster_weights(clusters, 50, seed), statistics, lambda sums: sums[:, 0] / sums[:, 1])
    low, high = percentile_interval(replicates)
    assert low == pytest.approx(0.75)
    assert high == pytest.approx(0.75)


def test_percentile_interval_ignores_undefined_replicates() -> None:
    values = np.concatenate([np.linspace(0, 1, 1001), [np.nan] * 50])
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))


def test_bootstrap_p_by_hand() -> None:
    assert bootstrap_p(np.array([0.1] * 97 + [-0.1] * 2)) == pytest.approx(2 * (1 + 2) / 100)
    assert bootstrap_p(np.array([0.1] * 99)) == pytest.approx(2 / 100)
    assert bootstrap_p(np.zeros(99)) == 1.0


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then made monotone
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(new >= old for old, new in zip(values, adjusted, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(order))


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "least"), [(9, 0.81), (15, 0.84), (30, 0.89), (150, 0.91)])
def test_percentile_interval_coverage_is_near_nominal(clusters: int, least: float) -> None:
    by_cluster, by_frame = by_patients(clusters, 500)
    assert least <= by_cluster <= 0.98
    assert by_frame < 0.65


@pytest.mark.parametrize("skew", [False, True])
def test_bca_interval_agrees_with_scipy(skew: bool) -> None:
    rng = np.random.default_rng(3)
    x = rng.exponential(1, 40) if skew else rng.normal(0, 1, 40)
    sums = np.stack([x, np.ones(40)], axis=1)
    draws = resample(cluster_weights(40, 20_000, 0), sums, lambda total: total[..., 0] / total[..., 1], bca=True)
    low, high = draws.interval(float(x.mean()))
    expected = bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.02)
    plain = percentile_interval(draws.replicates)
    assert (high > plain[1] + 0.02) == skew  # it follows the longer tail


def test_resample_computes_jackknife_values() -> None:
    rng = np.random.default_rng(1)
    sums = rng.integers(1, 9, (7, 2)).astype(float)
    draws = resample(cluster_weights(7, 20, 0), sums, lambda total: total[..., 0] / total[..., 1], bca=True)
    expected = [np.delete(sums, k, 0)[:, 0].sum() / np.delete(sums, k, 0)[:, 1].sum() for k in range(7)]
    np.testing.assert_allclose(draws.jackknife[0], expected)


def test_combine_resamples_of_paired_and_independent_samples() -> None:
    a = Resamples(np.array([1.0, 2.0]), (np.array([1.0, 3.0]),))
    b = Resamples(np.array([5.0, 7.0]), (np.array([2.0, 2.0]),))
    paired = combine_resamples([a, b], [1, -1], paired=True)
    assert paired.replicates.tolist() == [-4, -5]
    assert [values.tolist() for values in paired.jackknife] == [[-1, 1]]
    apart = combine_resamples([a, b], [1, -1], paired=False)
    assert apart.replicates.tolist() == [-4, -5]
    assert [values.tolist() for values in apart.jackknife] == [[1, 3], [-2, -2]]


def test_bca_interval_of_two_samples_agrees_with_scipy() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.exponential(1, 25), rng.normal(0, 1, 60)
    one, two = (
        resample(
            cluster_weights(len(z), 20_000, 0, name), np.stack([z, np.ones(len(z))], axis=1),
            lambda total: total[..., 0] / total[..., 1], bca=True,
        )
        for name, z in (("x", x), ("y", y))
    )  # fmt: skip
    low, high = combine_resamples([one, two], [1, -1], paired=False).interval(float(x.mean() - y.mean()))

    def gap(a: Floats, b: Floats, axis: int) -> Floats:
        difference: Floats = a.mean(axis) - b.mean(axis)
        return difference

    expected = bootstrap((x, y), gap, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.025)
