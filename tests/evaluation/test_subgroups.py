"""Accuracy in subgroups, on altered frames and in the stress test."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from heart2heart.evaluation.samples import AlteredFrames, subgroup_factors
from heart2heart.evaluation.subgroups import factor_levels, score_strata, score_stress, trapezoid_weights
from heart2heart.schema.site_metrics import Estimate
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site


def test_score_strata_uses_the_frames_of_each_level() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(2), 80)
    maker = np.array(["one", "two"], object)[cluster % 2]
    site = make_site(logits, truth, cluster, factors={"maker": maker, "mode": np.full(len(truth), "b_mode", object)})
    levels = factor_levels([site.sample])
    assert levels == {"maker": ["one", "two"]}
    strata = score_strata(site, 0, levels, evaluation_context(3))
    assert [(s.factor, s.level) for s in strata] == [("maker", "one"), ("maker", "two")]
    for stratum in strata:
        in_level = maker == stratum.level
        expected = balanced_accuracy_score(truth[in_level], logits[in_level].argmax(1))
        assert stratum.balanced_accuracy.value == pytest.approx(expected)
        assert stratum.balanced_accuracy.clusters == 40
        assert stratum.balanced_accuracy.low is not None
        assert stratum.views == ("A", "B", "C")


def test_score_strata_gives_one_patient_no_interval_and_flags_few() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(2), 20)
    maker = np.where(cluster == 0, "rare", "common").astype(object)
    site = make_site(logits, truth, cluster, factors={"maker": maker})
    common, rare = score_strata(site, 0, {"maker": ["common", "rare"]}, evaluation_context(3))
    assert common.balanced_accuracy.few_clusters
    assert rare.balanced_accuracy.low is None
    assert rare.balanced_accuracy.reason is not None
    assert "only one patient" in rare.balanced_accuracy.reason


def test_subgroup_factors_of_a_table() -> None:
    table = pa.table({
        "maker": pa.array(["M", None, "M", "M"]), "mode": ["b_mode"] * 4, "role": ["test"] * 3 + ["validation"],
        "quality": pa.array([0.1, 0.5, 0.9, 0.95], pa.float32()), "age": pa.array([39, 40, None, 85], pa.int16()),
    })  # fmt: skip
    factors = {name: levels.tolist() for name, levels in subgroup_factors(table).items()}
    assert factors == {
        "maker": ["M", "unknown", "M", "M"],
        "mode": ["b_mode"] * 4,
        "quality": ["lowest third", "middle third", "highest third", "highest third"],
        "age": ["under 40", "40 to 59", "unknown", "80 and over"],
    }


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
    unchanged = curves["gain"].loss
    assert unchanged.value == 0
    assert number(unchanged) - 0.1 < (unchanged.low or 0.0) < 0 < (unchanged.high or 0.0) < 0.1
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
