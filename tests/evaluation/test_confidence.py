"""Calibration, selective prediction and open set at one site."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.evaluation.confidence import (
    calibrate,
    frozen_threshold,
    mean_of_rows,
    reliability_diagram,
    risk_coverage,
    rms_debiased,
    score_selective,
)
from heart2heart.evaluation.probabilities import log_probabilities
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site


def calibrated(seed: int, clusters: int = 150, each: int = 10, temper: float = 1.0) -> tuple[float, float]:
    """Return ECE and debiased error of a model whose probabilities are right, up to a temperature."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0, 1.5, (clusters, 1, 3)), each, axis=1).reshape(-1, 3)
    logits += rng.normal(0, 0.5, logits.shape)
    p = np.exp(log_probabilities(logits))
    truth = (rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(0, 2)
    site = make_site(logits * temper, truth, np.repeat(np.arange(clusters), each))
    calibration = calibrate(site, log_probabilities(logits * temper), evaluation_context(3))
    assert calibration.ece is not None
    assert calibration.rms_debiased is not None
    return calibration.ece, calibration.rms_debiased


def test_rms_debiased_is_near_zero_for_a_calibrated_model() -> None:
    errors = np.array([calibrated(seed) for seed in range(8)])
    assert errors[:, 0].min() > 0.02
    assert errors[:, 1].mean() < errors[:, 0].mean() / 2
    assert (errors[:, 1] < 0.02).mean() >= 0.75


def test_rms_debiased_keeps_the_error_of_an_overconfident_model() -> None:
    errors = np.array([calibrated(seed, temper=3.0) for seed in range(4)])
    # What is wrong with the probabilities themselves, from very many frames.
    _, true = calibrated(99, clusters=4000, temper=3.0)
    assert true > 0.1
    np.testing.assert_allclose(errors[:, 1], true, atol=0.03)


def test_rms_debiased_of_one_cluster_is_none() -> None:
    rng = np.random.default_rng(0)
    site = make_site(rng.normal(size=(40, 3)), rng.integers(0, 3, 40), np.zeros(40, int))
    assert rms_debiased(site, log_probabilities(site.sample.logits[0])) is None
    estimate = mean_of_rows(site, np.arange(40.0), evaluation_context(3))
    assert (estimate.value, estimate.low) == (19.5, None)


@pytest.mark.parametrize("bca", [False, True])
def test_mean_of_rows_resamples_clusters(bca: bool) -> None:
    site = make_site(np.zeros((60, 2)), np.arange(60) % 2, np.arange(60) // 2, replicates=2000)
    estimate = mean_of_rows(site, (np.arange(60) // 2 % 2).astype(float), evaluation_context(2, bca=bca))
    assert estimate.value == 0.5
    assert estimate.low is not None
    assert estimate.high is not None
    # Thirty clusters of two equal rows: the standard error is that of thirty, not sixty, coin tosses.
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(30), abs=0.03)


def test_reliability_diagram_of_an_overconfident_model() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 2000)
    logits = rng.normal(0, 3, (2000, 2))  # knows nothing, and is sure
    points = reliability_diagram(make_site(logits, truth, np.arange(2000) // 10), log_probabilities(logits))
    assert len(points) == 15
    assert sum(point.n for point in points) == 2000
    assert all(point.accuracy < 0.6 for point in points)
    assert [p.confidence for p in points] == sorted(p.confidence for p in points)


def test_frozen_threshold_keeps_nine_tenths_of_validation() -> None:
    log_p = log_probabilities(np.random.default_rng(0).normal(0, 2, (1000, 3)))
    threshold = frozen_threshold(log_p)
    assert threshold is not None
    assert (np.exp(log_p.max(1)) >= threshold).mean() == pytest.approx(0.9, abs=0.002)
    assert frozen_threshold(log_p[:0]) is None


def test_risk_coverage_by_hand() -> None:
    # Most confident first: right, wrong, right, wrong; risk of the first 1 to 4 is 0, 1/2, 1/3, 1/2.
    points = risk_coverage(np.array([0.6, 0.9, 0.7, 0.8]), np.array([0, 1, 1, 0]))
    by_coverage = {round(point.coverage, 2): point.risk for point in points}
    assert [by_coverage[c] for c in (0.25, 0.5, 0.75, 1.0)] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert by_coverage[0.35] == pytest.approx((0.35 - 0.25) / 0.35)


def test_score_selective_at_the_threshold() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(3), 40)
    log_p = log_probabilities(logits)
    selective = score_selective(make_site(logits, truth, cluster), log_p, 0.7, evaluation_context(3))
    kept = np.exp(log_p.max(1)) >= 0.7
    wrong = log_p.argmax(1) != truth
    assert selective.coverage.value == pytest.approx(kept.mean())
    assert selective.risk.value == pytest.approx(wrong[kept].mean())
    assert selective.risk.n == kept.sum()
    assert selective.risk.clusters == len(np.unique(cluster[kept]))
    for item in (selective.augrc, selective.aurc, selective.coverage, selective.risk):
        assert item.low is not None
        assert item.value is not None
        assert item.high is not None
        assert item.low < item.value < item.high


def test_score_selective_gives_reasons() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(3), 5)
    site, log_p = make_site(logits, truth, cluster), log_probabilities(logits)
    none = score_selective(site, log_p, None, evaluation_context(3))
    assert none.coverage.reason == "no source validation frame to set a threshold"
    strict = score_selective(site, log_p, 1.1, evaluation_context(3))
    assert strict.coverage.value == 0
    assert strict.risk.reason == "the threshold keeps no frame at this hospital"
