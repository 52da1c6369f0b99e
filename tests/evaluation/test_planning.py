"""The plan of a validation: the simulated patients are as designed, and the power behaves as theory says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.pilot import design_of, effective_rows, intra_cluster_correlation
from heart2heart.evaluation.planning import (
    Power,
    StudyDesign,
    accuracy_contrast,
    each_confidence,
    latent_correlation,
    patients_needed,
    power_at,
    simulate_hospital,
)
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import random_stream
from tests.evaluation.factory import HOSPITALS, make_predictions

DESIGN = StudyDesign((0.9, 0.8), (1.0, 0.4), 3.0, 0.3)


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return evaluate_predictions(make_predictions(hospitals=HOSPITALS[:2]), replicates=100)


@pytest.mark.parametrize(
    "changes",
    [{"accuracy": (1.0, 0.8)}, {"accuracy": (0.9,)}, {"accuracy": (), "prevalence": ()}, {"prevalence": (0.0, 0.4)},
     {"frames": 0.5}, {"frames": math.nan}, {"correlation": 1.0}, {"correlation": -0.1}],
)  # fmt: skip
def test_study_design_refuses_impossible_values(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(DESIGN, **changes)  # type: ignore[arg-type]


def test_latent_correlation_agrees_with_the_bivariate_normal() -> None:
    for accuracy, correlation in ((0.85, 0.25), (0.97, 0.1), (0.6, 0.5)):
        latent = latent_correlation(accuracy, correlation)
        both = multivariate_normal(cov=[[1, latent], [latent, 1]]).cdf([norm.ppf(accuracy)] * 2)
        assert (both - accuracy**2) / (accuracy * (1 - accuracy)) == pytest.approx(correlation, abs=1e-4)


def test_simulate_hospital_has_the_accuracy_the_frames_and_the_correlation_of_its_design() -> None:
    correct, rows = simulate_hospital(random_stream(0, "design"), DESIGN, 400, 50)
    np.testing.assert_allclose(correct.sum((0, 1)) / rows.sum((0, 1)), DESIGN.accuracy, atol=0.01)
    np.testing.assert_allclose((rows > 0).mean((0, 1)), DESIGN.prevalence, atol=0.01)
    assert rows[..., 0].mean() == pytest.approx(3, abs=0.05)
    right, total = correct[..., 0].ravel(), rows[..., 0].ravel()
    pairs = (total * (total - 1)).sum()
    both = (right * (right - 1)).sum() / pairs  # chance that two frames of a patient are both right
    assert (both - 0.81) / 0.09 == pytest.approx(0.3, abs=0.03)


def test_accuracy_contrast_of_a_class_with_one_patient_is_none() -> None:
    rows = np.ones((4, 2))
    rows[1:, 1] = 0
    assert accuracy_contrast(rows, rows, "north") is None


def test_power_at_a_true_loss_of_the_margin_is_the_error_rate() -> None:
    power = power_at(60, DESIGN.lowered(0.1), DESIGN, source_patients=60, margin=0.1, studies=400)
    assert power.power < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 400)


def test_power_at_agrees_with_the_normal_approximation_for_many_patients() -> None:
    design = StudyDesign((0.85,), (1.0,), 1.0, 0.0)
    power = power_at(400, design, design, source_patients=400, margin=0.05, studies=800)
    error = math.sqrt(2 * 0.85 * 0.15 / 400)
    assert power.power == pytest.approx(norm.cdf(0.05 / error - 1.96), abs=0.06)
    assert (power.patients, power.rarest) == (400, 400.0)
    again = power_at(400, design, design, source_patients=400, margin=0.05, studies=800)
    assert again == power


def test_power_at_more_patients_or_fewer_claims_is_higher() -> None:
    few, many = (power_at(n, DESIGN, DESIGN, source_patients=100, margin=0.1, studies=200).power for n in (20, 120))
    strict = power_at(
        120, DESIGN, DESIGN, source_patients=100, margin=0.1, studies=200, confidence=each_confidence(10)
    ).power
    assert few < many
    assert strict < many


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.99))
def test_patients_needed_is_between_two_simulated_numbers(shares: list[float], target: float) -> None:
    powers = [Power(10 * 2**index, 1.0, share, 0.0) for index, share in enumerate(shares)]
    needed = patients_needed(powers, target)
    assert (needed is None) == (max(shares) < target)
    if needed is not None:
        first = next(index for index, share in enumerate(shares) if share >= target)
        assert powers[max(first - 1, 0)].patients <= needed <= powers[first].patients


def test_design_of_a_pilot_recovers_its_patients(metrics: Metrics) -> None:
    design = design_of(metrics, "east")
    site = metrics.runs[0].sites[1]
    assert design.accuracy == pytest.approx([min(each.value or 0, 0.995) for each in site.sensitivity.values()])
    assert design.prevalence == (1.0,) * 4
    assert design.frames == pytest.approx(3)
    assert 0 <= design.correlation <= 0.95
    with pytest.raises(EvaluationError, match="not in the pilot: nowhere"):
        design_of(metrics, "nowhere")
    empty = metrics.runs[0].sites[1].model_copy(update={"sensitivity": {}})
    run = metrics.runs[0].model_copy(update={"sites": (metrics.runs[0].sites[0], empty)})
    with pytest.raises(EvaluationError, match="no class of this hospital has an interval"):
        design_of(metrics.model_copy(update={"runs": (run,)}), "east")


def test_intra_cluster_correlation_is_recovered_from_an_interval() -> None:
    design = StudyDesign((0.8,), (1.0,), 6.0, 0.3)
    correct, rows = simulate_hospital(random_stream(3, "pilot"), design, 400, 1)
    contrast = accuracy_contrast(correct[0], rows[0], "north")
    assert contrast is not None
    low, high = contrast.interval(0.95)
    n = int(rows.sum())
    estimate = Estimate(value=contrast.value, low=low, high=high, n=n, clusters=400, few_clusters=False)
    assert intra_cluster_correlation(estimate, 0.95) == pytest.approx(0.3, abs=0.1)
    shares = contrast.parts[0][0]
    assert effective_rows(estimate, 0.95) == pytest.approx(float(shares.effective[0]), rel=1e-3)
    single = estimate.model_copy(update={"n": 400})
    assert intra_cluster_correlation(single, 0.95) is None
    without = estimate.model_copy(update={"low": None, "high": None, "reason": "one patient"})
    assert effective_rows(without, 0.95) is None
