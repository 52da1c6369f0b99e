"""Estimates without labels: their formulas by hand, their errors, and what they do not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_cases import SKILLS, simulate_cases
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.label_free import (
    ESTIMATORS,
    calibrate_estimators,
    estimate_accuracy,
    label_free_estimates,
    pairwise_agreement,
)


def test_estimate_accuracy_gives_back_the_accuracy_of_the_reference() -> None:
    reference = simulate_cases(np.random.default_rng(0), 300, SKILLS[0.85], runs=2)
    fitted = calibrate_estimators(reference, reference.run_sets[0])
    values = estimate_accuracy(reference, reference.run_sets[0], fitted)
    assert values["atc"] == pytest.approx(fitted.accuracy, abs=0.01)
    assert values["average_confidence"] == pytest.approx(fitted.accuracy, abs=0.02)
    assert fitted.calibration_error < 0.05


def test_estimate_accuracy_is_that_of_the_formulas() -> None:
    reference = simulate_cases(np.random.default_rng(1), 50, 2.0)
    run_set = reference.run_sets[0]
    fitted = calibrate_estimators(reference, run_set)
    scaled = reference.log_p[0] / fitted.temperature[0]
    p = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    values = estimate_accuracy(reference, run_set, fitted)
    assert values["average_confidence"] == pytest.approx(p.max(1).mean())
    assert values["atc"] == pytest.approx(((p * np.log(p)).sum(1) > fitted.threshold[0]).mean())
    assert values["agreement"] is None


def test_pairwise_agreement_is_the_mean_over_pairs() -> None:
    predicted = np.array([[0, 1, 2, 0], [0, 1, 1, 0], [1, 1, 2, 0]])
    pairs = [3 / 4, 3 / 4, 2 / 4]
    assert pairwise_agreement(predicted) == pytest.approx(np.mean(pairs))


def test_label_free_estimates_raise_the_alarm_and_measure_their_error_by_simulation() -> None:
    generator = np.random.default_rng(0)
    reference = simulate_cases(generator, 200, SKILLS[0.85], site="A", runs=2)
    harder = simulate_cases(generator, 100, SKILLS[0.70], runs=2)
    unlabeled = replace(harder, truth=np.full(len(harder), -1))
    _, estimates = label_free_estimates(unlabeled, unlabeled.run_sets[0], reference=reference, simulated=40)
    assert [each.estimator for each in estimates] == list(ESTIMATORS)
    for each in estimates:
        assert each.alarm
        assert each.error is not None
        assert (each.error.hospitals, each.error.trials) == ((), 40)
        assert 0.05 < each.error.mean < each.error.largest < 0.6
        assert each.error.optimism > 0  # half of the simulated hospitals hide errors from the model


def test_label_free_estimates_measure_their_error_at_other_labeled_hospitals() -> None:
    generator = np.random.default_rng(0)
    reference = simulate_cases(generator, 200, SKILLS[0.85], site="A")
    there = simulate_cases(generator, 100, SKILLS[0.85], site="E", blindness=0.3)
    other = simulate_cases(generator, 100, SKILLS[0.85], site="F")
    joined = replace(
        there,
        site=np.concatenate([there.site, other.site]),
        patient=np.concatenate([there.patient, other.patient + 100]),
        case=np.concatenate([there.case, other.case]),
        truth=np.concatenate([there.truth, other.truth]),
        log_p=np.concatenate([there.log_p, other.log_p], axis=1),
        quality=np.concatenate([there.quality, other.quality]),
    )
    _, estimates = label_free_estimates(joined, joined.run_sets[0], reference=reference)
    by_site = {each.site: each for each in estimates if each.estimator == "average_confidence"}
    assert by_site["F"].error is not None
    assert by_site["F"].error.hospitals == ("E",)
    assert by_site["F"].error.largest > 0.15  # at E the model is wrong without being less confident
    assert not by_site["E"].alarm  # so the estimate there misses it


def test_label_free_estimates_refuse_what_cannot_be_compared() -> None:
    cases = simulate_cases(np.random.default_rng(0), 30, 2.0)
    run_set = cases.run_sets[0]
    with pytest.raises(EvaluationError, match="no hospital of the training"):
        label_free_estimates(cases, run_set)
    with pytest.raises(EvaluationError, match="other classes"):
        label_free_estimates(cases, run_set, reference=replace(cases, classes=("a", "b", "c", "d")))
    with pytest.raises(EvaluationError, match="0 labeled cases; 20 are needed"):
        label_free_estimates(cases, run_set, reference=replace(cases, truth=np.full(len(cases), -1)))
