"""The worst cell, and random effects against the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from heart2heart.evaluation.contrasts import contrast_estimate
from heart2heart.evaluation.cross_site import random_effects, worst_cell
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site
from tests.evaluation.small_studies import between_hospitals


def test_random_effects_needs_five_sites() -> None:
    effects = random_effects(np.full(4, 0.8), np.full(4, 0.01))
    assert effects.mean is effects.prediction_low is None
    assert effects.reason == "4 held-out hospitals with an interval; conclusions about other hospitals need 5"
    assert random_effects(np.full(5, 0.8), np.array([0.01] * 4 + [0.0])).mean is None


def test_random_effects_follows_the_formulas() -> None:
    y, v = np.array([0.61, 0.72, 0.70, 0.83, 0.55, 0.78]), np.array([2, 4, 1, 3, 2, 5]) / 1000
    w = 1 / v
    q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    tau2 = (q - 5) / (w.sum() - (w**2).sum() / w.sum())
    weight = 1 / (v + tau2)
    mean = (weight * y).sum() / weight.sum()
    error = np.sqrt((weight * (y - mean) ** 2).sum() / 5 / weight.sum())
    effects = random_effects(y, v)
    assert effects.mean == pytest.approx(mean)
    assert effects.between == pytest.approx(np.sqrt(tau2))
    scale = max(1.0, float((weight * (y - mean) ** 2).sum() / 5))
    error = np.sqrt(scale / weight.sum())
    assert effects.low == pytest.approx(mean - t.ppf(0.975, 5) * error)
    assert effects.prediction_high == pytest.approx(min(1, mean + t.ppf(0.975, 4) * np.sqrt(tau2 + error**2)))


def test_worst_cell_needs_enough_patients() -> None:
    rng = np.random.default_rng(0)
    logits, truth, cluster = draw_frames(rng, 60)
    logits[truth == 1, 1] -= 2  # B is hard
    rare = (truth == 2) & (cluster >= 20)  # C is never right, but seen in too few patients
    logits, truth, cluster = logits[~rare], truth[~rare], cluster[~rare]
    logits[truth == 2, 2] -= 50
    site = make_site(logits, truth, cluster)
    cell = worst_cell([0], [site], evaluation_context(3))
    assert cell is not None
    assert cell.view == "B"
    assert cell.sensitivity.value == pytest.approx((logits.argmax(1) == truth)[truth == 1].mean())
    assert cell.sensitivity.clusters >= 30
    assert cell.cells == 2  # C has too few patients
    plain = contrast_estimate(site.frames.mean_sensitivity([0], [1]), n=1, clusters=60)  # at 95 %, not 97.5 %
    assert (cell.sensitivity.low or 1.0) < (plain.low or 0.0) < (plain.high or 1.0) < (cell.sensitivity.high or 0.0)
    few = cluster < 20
    assert worst_cell([0], [make_site(logits[few], truth[few], cluster[few])], evaluation_context(3)) is None


@pytest.mark.slow
@pytest.mark.parametrize("hospitals", [5, 6, 10, 20])
def test_random_effects_prediction_interval_contains_a_new_hospital(hospitals: int) -> None:
    mean, prediction = between_hospitals(hospitals, 1000)
    assert 0.92 <= mean <= 0.99
    assert 0.87 <= prediction <= 0.98  # slightly too narrow, a known property; docs/metrics.md gives the numbers
