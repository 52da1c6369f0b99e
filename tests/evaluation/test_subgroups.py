"""Strata agree with a computation on the stratum alone; levels are comparable; a factor of one level is ignored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import balanced_accuracy_score

from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.samples import subgroup_factors
from heart2heart.evaluation.subgroups import factor_levels, score_strata
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site


def test_score_strata_uses_the_frames_of_each_level() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(2), 80)
    maker = np.array(["one", "two"], object)[cluster % 2]
    site = make_site(logits, truth, cluster, factors={"maker": maker, "mode": np.full(len(truth), "b_mode", object)})
    levels = factor_levels([site.sample])
    assert levels == {"maker": ["one", "two"]}
    strata = score_strata(site, log_probabilities(logits), levels, evaluation_context(3))
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
    common, rare = score_strata(site, log_probabilities(logits), {"maker": ["common", "rare"]}, evaluation_context(3))
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
