"""Conformal sets: formulas by hand, the guarantee by simulation, and its loss under shift."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.few_labels import conformal_coverage
from benchmarks.simulated_cases import simulate_cases
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.conformal import (
    SetScore,
    calibrate_sets,
    class_scores,
    measure_coverage,
    patient_quantile,
    patients_needed,
    recalibrated_coverage,
)


def test_class_scores_of_aps_are_those_of_the_paper() -> None:
    p = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])
    uniform = np.array([0.2, 1.0])
    expected = [[0.9 + 0.2 * 0.1, 0.2 * 0.6, 0.6 + 0.2 * 0.3], [0.5, 0.75, 1.0]]
    assert class_scores(p, SetScore.APS, uniform) == pytest.approx(np.array(expected))
    assert class_scores(p, SetScore.LAC, uniform) == pytest.approx(1 - p)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20)), min_size=1, max_size=40), st.integers(1, 19))
def test_patient_quantile_is_the_weighted_quantile(rows: list[tuple[int, int]], twentieths: int) -> None:
    patient, scores = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    counts = {name: int((patient == name).sum()) for name in set(patient.tolist())}

    def weight_up_to(value: float) -> Fraction:
        return sum(
            (Fraction(1, counts[who] * (len(counts) + 1)) for who, score in zip(patient.tolist(), scores, strict=True)
             if score <= value), Fraction(0),
        )  # fmt: skip

    enough = [value for value in sorted(set(scores.tolist())) if weight_up_to(value) >= 1 - Fraction(twentieths, 20)]
    assert patient_quantile(scores, patient, twentieths / 20) == (enough[0] if enough else float("inf"))


def test_patient_quantile_of_one_clip_a_patient_is_that_of_split_conformal() -> None:
    scores = np.random.default_rng(0).random(50)
    assert patient_quantile(scores, np.arange(50), 0.1) == np.sort(scores)[int(np.ceil(0.9 * 51)) - 1]


@pytest.mark.parametrize("score", list(SetScore))
def test_conformal_model_holds_its_guarantee_for_new_patients_and_not_under_shift(score: SetScore) -> None:
    lines = {name: coverage for name, coverage, _ in conformal_coverage(score, 0.1, 40, 0)}
    assert lines["same hospital"] >= 0.89
    assert lines["harder hospital"] < lines["same hospital"] - 0.03
    assert lines["harder hospital, recalibrated on 20 patients"] >= 0.89


def test_calibrate_sets_names_the_patients_that_are_needed() -> None:
    cases = simulate_cases(np.random.default_rng(0), 8, 2.0)
    with pytest.raises(EvaluationError, match=r"8 labeled patients; sets with 10 % errors need 9"):
        calibrate_sets(cases, cases.probabilities(cases.run_sets[0]), alpha=0.1)
    with pytest.raises(EvaluationError, match="impossible"):
        calibrate_sets(cases, cases.probabilities(cases.run_sets[0]), alpha=1.0)
    assert patients_needed(0.1) == 9


def test_sets_are_the_same_for_the_same_seed_and_never_empty() -> None:
    cases = simulate_cases(np.random.default_rng(0), 30, 2.0)
    probabilities = cases.probabilities(cases.run_sets[0])
    model = calibrate_sets(cases, probabilities, alpha=0.5, score=SetScore.LAC)
    assert model.sets(cases, probabilities).any(1).all()
    random = calibrate_sets(cases, probabilities, alpha=0.2)
    assert (random.sets(cases, probabilities) == random.sets(cases, probabilities)).all()
    again = replace(random, seed=1)
    assert (random.sets(cases, probabilities) != again.sets(cases, probabilities)).any()


def test_measure_coverage_and_recalibrated_coverage_say_why_nothing_is_measured() -> None:
    cases = simulate_cases(np.random.default_rng(0), 30, 2.0)
    probabilities = cases.probabilities(cases.run_sets[0])
    model = calibrate_sets(cases, probabilities, alpha=0.2)
    none = replace(cases, truth=np.full(len(cases), -1))
    line = measure_coverage(model, none, probabilities, site="E", calibrated_on="A")
    assert (line.coverage, line.reason) == (None, "0 labeled patients; two are needed")
    lines = recalibrated_coverage(
        cases, probabilities, alpha=0.2, score=SetScore.LAC, numbers=(2, 10, 29), draws=5, seed=0
    )
    assert [each.reason for each in lines] == [
        "4 patients are needed", None, "30 labeled patients; too few are left to measure",
    ]  # fmt: skip
