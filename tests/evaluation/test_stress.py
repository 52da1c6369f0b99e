"""The stress test agrees with balanced accuracy level by level, and its loss with the trapezoidal rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from heart2heart.evaluation.samples import AlteredFrames
from heart2heart.evaluation.stress import score_stress, trapezoid_weights
from heart2heart.schema.site_metrics import Estimate
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site

LEVELS = (0.25, 0.5, 1.0)


def number(estimate: Estimate) -> float:
    assert estimate.value is not None
    return estimate.value


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8, unique=True), st.integers(0, 1000))
def test_trapezoid_weights_agree_with_numpy(percents: list[int], seed: int) -> None:
    levels = [percent / 100 for percent in sorted(percents)]
    values = np.random.default_rng(seed).normal(size=len(levels))
    xs, ys = [0.0, *levels], [0.0, *values]
    if levels[-1] < 1:  # constant from there on
        xs, ys = [*xs, 1.0], [*ys, ys[-1]]
    assert np.dot(trapezoid_weights(levels), values) == pytest.approx(np.trapezoid(ys, xs))


def test_score_stress_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(4)
    logits, truth, cluster = draw_frames(rng, 60)
    rows = np.sort(rng.choice(len(truth), 150, replace=False))
    perturbed = {
        (kind, level): AlteredFrames(rows, (logits[rows] + strength * level * rng.normal(0, 1, (150, 3)))[None])
        for kind, strength in (("gain", 0.0), ("shadow", 3.0))
        for level in LEVELS
    }
    site = make_site(logits, truth, cluster, perturbed=perturbed, replicates=500)
    curves = {curve.perturbation: curve for curve in score_stress(site, 0, evaluation_context(3, replicates=500))}
    assert list(curves) == ["gain", "shadow", "all"]
    clean = balanced_accuracy_score(truth[rows], logits[rows].argmax(1))
    changes = {}
    for kind in ("gain", "shadow"):
        assert [point.level for point in curves[kind].points] == list(LEVELS)
        for point in curves[kind].points:
            scores = perturbed[kind, point.level].logits[0]
            assert point.balanced_accuracy.value == pytest.approx(
                balanced_accuracy_score(truth[rows], scores.argmax(1))
            )
            assert number(point.change) == pytest.approx(number(point.balanced_accuracy) - clean)
        changes[kind] = [0.0, *(number(point.change) for point in curves[kind].points)]
        assert curves[kind].loss.value == pytest.approx(-np.trapezoid(changes[kind], [0.0, *LEVELS]))
    assert curves["gain"].loss.value == curves["gain"].loss.low == curves["gain"].loss.high == 0
    shadow = curves["shadow"].loss
    assert shadow.low is not None
    assert shadow.high is not None
    assert 0 < shadow.low < number(shadow) < shadow.high
    assert curves["all"].points == ()
    assert curves["all"].loss.value == pytest.approx(number(shadow) / 2)
    assert curves["all"].loss.low == pytest.approx(shadow.low / 2)
    assert (shadow.n, shadow.clusters) == (150, len(np.unique(cluster[rows])))


def test_score_stress_gives_one_patient_no_interval() -> None:
    logits, truth, _ = draw_frames(np.random.default_rng(0), 10)
    cluster = np.zeros(len(truth), np.int64)
    frames = AlteredFrames(np.arange(len(truth)), -logits[None])
    site = make_site(logits, truth, cluster, perturbed={("gain", 1.0): frames})
    curves = score_stress(site, 0, evaluation_context(3))
    assert [curve.loss.low for curve in curves] == [None, None]
    assert all("only one patient" in str(curve.loss.reason) for curve in curves)


def test_score_stress_is_empty_without_perturbed_frames() -> None:
    site = make_site(*draw_frames(np.random.default_rng(0), 10))
    assert score_stress(site, 0, evaluation_context(3)) == ()
