"""Prediction-powered estimates against `ppi-python` 0.2.3 on independent rows, and their coverage by patient."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.few_labels import draw_audit
from benchmarks.simulated_cases import SKILLS, accuracy_of, simulate_cases
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.prediction_powered import FEWEST_PATIENTS, Audit, powered_estimates
from heart2heart.utils import random_stream

OBSERVED = np.array([1, 1, 0, 1, 0, 1, 1, 0.0])
PREDICTED = np.array([0.9, 0.8, 0.4, 0.7, 0.3, 0.95, 0.6, 0.5])
OTHERS = np.array([0.9, 0.85, 0.2, 0.6, 0.7, 0.75, 0.95, 0.5, 0.3, 0.8, 0.65, 0.9])


def _independent(observed: Floats, predicted: Floats, others: Floats) -> tuple[Audit, Floats, Floats]:
    """Return an audit where every row is a patient and every row had the same chance."""
    read, rows = len(observed), len(observed) + len(others)
    weight = np.where(np.arange(rows) < read, rows / read, 0.0)
    audit = Audit(np.arange(rows), weight, np.zeros(rows, np.int64))
    return audit, np.concatenate([observed, np.zeros(len(others))]), np.concatenate([predicted, others])


def _interval(audit: Audit, observed: Floats, predicted: Floats, weight: float) -> list[float]:
    linear = audit.estimate(observed[:, None], predicted[:, None], weight)
    half = 1.959963984540054 * float(np.sqrt((linear.influence**2).sum()))
    return [float(linear.value[0]), float(linear.value[0]) - half, float(linear.value[0]) + half]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.0, [0.625, 0.2895261, 0.9604739]),
        (0.5, [0.640625, 0.36012659, 0.92112341]),
        (1.0, [0.65625, 0.40154909, 0.91095091]),
    ],
)
def test_estimate_agrees_with_ppi_python_for_independent_rows(weight: float, expected: list[float]) -> None:
    assert _interval(*_independent(OBSERVED, PREDICTED, OTHERS), weight) == pytest.approx(expected, abs=1e-7)


def test_tuned_weight_agrees_with_ppi_python_for_many_rows() -> None:
    generator = np.random.default_rng(3)
    chance = generator.uniform(0.2, 1, 4400)
    observed = (generator.random(4400) < chance).astype(float)
    rows = _independent(observed[:400], chance[:400], chance[400:])
    weight = rows[0].tuned_weight(rows[1], rows[2])
    assert 0.8 < weight < 1  # the predictions are the true chances
    assert _interval(*rows, weight) == pytest.approx([0.56087758, 0.51686655, 0.60488861], abs=1e-3)


def test_tuned_weight_is_zero_for_predictions_without_information() -> None:
    audit, observed, predicted = _independent(OBSERVED, np.full(8, 0.7), np.full(12, 0.7))
    assert audit.tuned_weight(observed, predicted) == 0


def test_estimate_weighs_clips_by_their_probability_of_inclusion() -> None:
    patient = np.array([0, 0, 0, 1, 2])  # one clip of patient 0, who has three, and the clip of patient 1
    audit = Audit(patient, np.array([4.5, 0, 0, 1.5, 0]), np.zeros(5, np.int64))
    linear = audit.estimate(np.array([[1.0], [0], [0], [0], [0]]), np.zeros((5, 1)), 0.0)
    assert linear.value[0] == pytest.approx(0.75)
    assert linear.influence[:, 0] == pytest.approx([0.75 * 0.25, -0.25 * 0.75, 0])


@pytest.mark.parametrize("by_class", [False, True])
def test_powered_estimates_cover_the_truth(by_class: bool) -> None:
    skill, covered, shorter = SKILLS[0.85], 0, 0
    truth = accuracy_of(skill, clips=50_000)
    for study in range(60):
        generator = random_stream(7, "coverage", study)
        cases = simulate_cases(generator, 90, skill)
        audit = draw_audit(generator, cases, 40, by_class=by_class)
        estimate = powered_estimates(cases, cases.probabilities(cases.run_sets[0]), audit)[0]
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.audited_low is not None
        assert estimate.audited_high is not None
        covered += estimate.low <= truth <= estimate.high
        shorter += estimate.high - estimate.low <= estimate.audited_high - estimate.audited_low + 0.02
    assert covered >= 52  # 95 % of 60 are 57; the standard error is 1.7
    assert shorter >= 40


def test_powered_estimates_are_not_estimable_from_few_patients() -> None:
    generator = np.random.default_rng(0)
    cases = simulate_cases(generator, 50, 2.0)
    probabilities = cases.probabilities(cases.run_sets[0])
    few = powered_estimates(cases, probabilities, draw_audit(generator, cases, FEWEST_PATIENTS - 1))
    assert {each.value for each in few} == {None}
    assert few[0].reason == "4 audited patients; 5 are needed"
    some = {each.name: each for each in powered_estimates(cases, probabilities, draw_audit(generator, cases, 8))}
    assert some["accuracy"].value is not None
    assert some["balanced_accuracy"].value is None
    assert "is not estimable" in (some["balanced_accuracy"].reason or "")


def test_powered_estimates_without_an_error_have_the_interval_of_the_audited_patients() -> None:
    generator = np.random.default_rng(0)
    cases = simulate_cases(generator, 60, 30.0)
    estimate = powered_estimates(cases, cases.probabilities(cases.run_sets[0]), draw_audit(generator, cases, 20))[0]
    assert (estimate.value, estimate.weight) == (1.0, 0.0)
    assert estimate.low is not None
    assert 0.7 < estimate.low < 0.9


def test_estimate_refuses_a_stratum_without_an_audited_clip() -> None:
    audit = Audit(np.arange(4), np.array([2.0, 2.0, 0, 0]), np.array([0, 0, 1, 1]))
    with pytest.raises(EvaluationError, match="no audited clip"):
        audit.estimate(np.ones((4, 1)), np.ones((4, 1)), 0.5)
