"""Selective prediction: the frozen threshold, the curve by hand, and the reasons for missing values."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.evaluation.confidence import frozen_threshold, risk_coverage, score_selective
from heart2heart.evaluation.probabilities import log_probabilities
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site


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
