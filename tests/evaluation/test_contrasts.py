"""Small-sample intervals: an independent computation, properties, and coverage in simulated studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t

from benchmarks.claims import paired_coverage
from heart2heart.evaluation.contrasts import (
    Contrast,
    combine_contrasts,
    contrast_estimate,
    correlations,
    mean_share,
    shares_by_cluster,
    wilson,
)
from heart2heart.evaluation.planning import StudyDesign, accuracy_contrast, simulate_hospital
from heart2heart.utils import random_stream

DESIGN = StudyDesign((0.85,) * 4, (0.95, 0.8, 0.7, 0.35), 4.0, 0.25)


def study(patients: int = 25, seed: int = 0, accuracy: float = 0.85) -> tuple[np.ndarray, np.ndarray]:
    """Simulate right frames and all frames `(patients, 4)` of one study."""
    design = StudyDesign((accuracy,) * 4, DESIGN.prevalence, DESIGN.frames, DESIGN.correlation)
    correct, rows = simulate_hospital(random_stream(seed, "test"), design, patients, 1)
    return correct[0], rows[0]


def wilson_by_root(p: float, n: float, z: float) -> tuple[float, float]:
    """Solve (p - x)^2 = z^2 x (1 - x) / n for x below and above p."""

    def equation(x: float) -> float:
        return (p - x) ** 2 - z**2 * x * (1 - x) / n

    inside = min(max(p, 1e-12), 1 - 1e-12)  # the equation also has a root at 0 or 1 if p is 0 or 1
    low = 0.0 if p == 0 else float(brentq(equation, 0.0, inside))
    return low, 1.0 if p == 1 else float(brentq(equation, inside, 1.0))


def reference_interval(correct: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Compute the interval of a balanced accuracy in plain Python, by patient and class."""
    classes = range(rows.shape[1])
    values, lows, highs, columns = [], [], [], []
    for c in classes:
        holders = [k for k in range(len(rows)) if rows[k, c] > 0]
        total = sum(rows[k, c] for k in holders)
        p = sum(correct[k, c] for k in holders) / total
        errors = {k: (correct[k, c] - p * rows[k, c]) / total for k in holders}
        variance = len(holders) / (len(holders) - 1) * sum(error**2 for error in errors.values())
        alike = total**2 / sum(rows[k, c] ** 2 for k in holders)
        effective = min(p * (1 - p) / variance, total) if variance > 0 else alike
        low, high = wilson_by_root(p, effective, t.ppf(0.975, len(holders) - 1))
        factor = math.sqrt(len(holders) / (len(holders) - 1))
        values.append(p)
        lows.append(low)
        highs.append(high)
        columns.append([factor * errors.get(k, 0.0) for k in range(len(rows))])

    def product(i: int, j: int) -> float:
        return float(np.dot(columns[i], columns[j]))

    below = above = 0.0
    for i in classes:
        for j in classes:
            scale = math.sqrt(product(i, i) * product(j, j))
            r = 1.0 if i == j else product(i, j) / scale if scale > 0 else 0.0
            below += r * (values[i] - lows[i]) * (values[j] - lows[j]) / len(classes) ** 2
            above += r * (highs[i] - values[i]) * (highs[j] - values[j]) / len(classes) ** 2
    mean = sum(values) / len(classes)
    return mean - math.sqrt(below), mean + math.sqrt(above)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("accuracy", [0.85, 0.97])
def test_contrast_interval_agrees_with_an_independent_computation(seed: int, accuracy: float) -> None:
    correct, rows = study(seed=seed, accuracy=accuracy)
    contrast = mean_share(shares_by_cluster(correct, rows, "north"), range(4))
    assert contrast.interval(0.95) == pytest.approx(reference_interval(correct, rows), abs=1e-9)


def test_wilson_agrees_with_the_root_of_its_equation() -> None:
    for p, n, z in ((0.5, 10.0, 1.96), (0.97, 3.7, 4.3), (0.0, 8.0, 2.0), (1.0, 8.0, 2.0)):
        low, high = wilson(np.array(p), np.array(n), np.array(z))
        assert (float(low), float(high)) == pytest.approx(wilson_by_root(p, n, z), abs=1e-9)


def test_shares_by_cluster_has_the_variance_of_the_jackknife() -> None:
    correct, rows = study(patients=200)
    shares = shares_by_cluster(correct, rows, "north")
    without = (correct.sum(0) - correct) / (rows.sum(0) - rows)
    jackknife = 199 / 200 * ((without - without.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose((shares.influence**2).sum(0), jackknife, rtol=0.05)
    np.testing.assert_allclose(shares.influence.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(shares.exposure.sum(0), 1)


def test_contrast_of_independent_rows_is_wilsons_interval() -> None:
    """With one row a patient, all right but two, the effective number is nearly that of the patients."""
    correct = np.ones((60, 1))
    correct[:2] = 0
    low, high = mean_share(shares_by_cluster(correct, np.ones((60, 1)), "north"), [0]).interval(0.95)
    assert (low, high) == pytest.approx(wilson_by_root(58 / 60, 59, t.ppf(0.975, 59)), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), patients=st.integers(8, 40), accuracy=st.sampled_from([0.5, 0.85, 0.99]))
def test_contrast_interval_properties(seed: int, patients: int, accuracy: float) -> None:
    correct, rows = study(patients, seed, accuracy)
    contrast = accuracy_contrast(correct, rows, "north")
    if contrast is None:
        return
    low, high = contrast.interval(0.95)
    assert -1e-9 <= low <= contrast.value <= high <= 1 + 1e-9
    wide = contrast.interval(0.99)
    assert wide[0] <= low
    assert wide[1] >= high
    order = random_stream(seed, "order").permutation(patients)
    moved = accuracy_contrast(correct[order], rows[order], "north")
    assert moved is not None
    assert moved.interval(0.95) == pytest.approx((low, high))
    other = accuracy_contrast(*study(patients, seed + 1, accuracy), "south")
    if other is not None:
        forth = combine_contrasts([contrast, other], [1.0, -1.0]).interval(0.95)
        back = combine_contrasts([other, contrast], [1.0, -1.0]).interval(0.95)
        assert forth == pytest.approx((-back[1], -back[0]))
        p = combine_contrasts([contrast, other], [1.0, -1.0]).p_value()
        assert (p < 0.05) == (forth[0] > 0 or forth[1] < 0) or p == pytest.approx(0.05, abs=1e-6)


def test_contrast_of_a_pair_is_a_t_interval_and_narrower_than_without_pairing() -> None:
    rng = np.random.default_rng(3)
    rows = np.full((40, 1), 5.0)
    first = rng.binomial(5, rng.beta(4, 1, (40, 1))).astype(float)
    second = np.maximum(first - (rng.random((40, 1)) < 0.6), 0)
    paired = combine_contrasts(
        [mean_share(shares_by_cluster(each, rows, "north"), [0]) for each in (first, second)], [1.0, -1.0]
    )
    differences = ((first - second) / 5).ravel()
    half = t.ppf(0.975, 39) * differences.std(ddof=1) / math.sqrt(40)
    assert paired.interval(0.95) == pytest.approx((differences.mean() - half, differences.mean() + half))
    apart = combine_contrasts(
        [mean_share(shares_by_cluster(each, rows, name), [0]) for each, name in ((first, "a"), (second, "b"))],
        [1.0, -1.0],
    )
    assert np.diff(apart.interval(0.95)) > 2 * np.diff(paired.interval(0.95))


def test_contrast_of_two_equal_models_keeps_an_interval() -> None:
    correct, rows = study()
    same = [mean_share(shares_by_cluster(correct, rows, "north"), range(4)) for _ in range(2)]
    difference = combine_contrasts(same, [1.0, -1.0])
    low, high = difference.interval(0.95)
    assert difference.value == 0
    assert low == -high < 0
    accuracy_low, accuracy_high = same[0].interval(0.95)
    assert high - low < accuracy_high - accuracy_low  # pairing counts
    share = shares_by_cluster(correct, rows, "north")
    clusters = 1 / (share.exposure**2).sum(0)
    right = (share.value @ clusters + 1) / (clusters.sum() + 2)
    least = math.sqrt((2 * right * (1 - right) / (clusters + 2) ** 2).sum()) / 4
    assert high == pytest.approx(t.ppf(0.975, 24) * least)
    assert difference.p_value() == 1.0


def test_contrast_of_one_patient_has_no_interval() -> None:
    contrast = mean_share(shares_by_cluster(np.array([[3.0]]), np.array([[4.0]]), "north"), [0])
    assert all(math.isnan(limit) for limit in contrast.interval(0.95))
    estimate = contrast_estimate(contrast, n=4, clusters=1, rarest=1, why_not_estimable="only one patient")
    assert (estimate.value, estimate.low, estimate.high) == (0.75, None, None)
    empty = mean_share(shares_by_cluster(np.zeros((3, 1)), np.zeros((3, 1)), "north"), [0])
    assert contrast_estimate(empty, n=0, clusters=0, why_not_estimable="no frame").value is None


def test_contrast_estimate_is_flagged_by_the_rarest_class() -> None:
    contrast = mean_share(shares_by_cluster(*study(60), "north"), range(4))
    assert not contrast_estimate(contrast, n=900, clusters=60, rarest=31).few_clusters
    assert contrast_estimate(contrast, n=900, clusters=60, rarest=5).few_clusters
    assert not contrast_estimate(contrast, n=900, clusters=60).few_clusters


def test_correlations_of_columns_without_spread_are_zero() -> None:
    matrix = correlations(np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]))
    np.testing.assert_allclose(matrix, [[1, 0, -1], [0, 1, 0], [-1, 0, 1]])


@pytest.mark.parametrize(("accuracy", "patients"), [(0.85, 10), (0.85, 30), (0.97, 30)])
def test_contrast_interval_covers_the_accuracy(accuracy: float, patients: int) -> None:
    design = StudyDesign((accuracy,) * 4, DESIGN.prevalence, DESIGN.frames, DESIGN.correlation)
    correct, rows = simulate_hospital(random_stream(1, "coverage"), design, patients, 300)
    contrasts: list[Contrast] = []
    for each, total in zip(correct, rows, strict=True):
        contrast = accuracy_contrast(each, total, "north")
        contrasts += [contrast] if contrast else []
    covered = [low <= accuracy <= high for low, high in (contrast.interval(0.95) for contrast in contrasts)]
    assert np.mean(covered) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / len(covered))


@pytest.mark.parametrize(("agreement", "loss"), [(0.98, 0.15), (0.9, 0.15), (0.98, 0.0)])
def test_contrast_interval_covers_a_difference_that_few_patients_show(agreement: float, loss: float) -> None:
    covered, _, alone, _ = paired_coverage(0.85, loss, agreement, 15, 150, 1)
    assert covered > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 150)
    if loss:
        assert alone < 0.9
