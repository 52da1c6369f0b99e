"""Drift over weeks: statistics by patient, alarms after a change, and none before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.few_labels import simulate_year
from benchmarks.simulated_cases import SKILLS, simulate_cases
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import Cases
from heart2heart.evaluation.drift import ACCURACY, assess_journal, kind_of, patient_accuracy, patient_statistics


def _weekly(skill: float, change: int = 99) -> Callable[[np.random.Generator, int], Cases]:
    def clips(generator: np.random.Generator, week: int) -> Cases:
        return simulate_cases(generator, 15, skill if week >= change else SKILLS[0.85])

    return clips


def test_patient_statistics_are_means_over_the_clips_of_a_patient() -> None:
    cases = simulate_cases(np.random.default_rng(0), 12, 2.0)
    probabilities = cases.probabilities(cases.run_sets[0])
    pictures = {"median": np.where(cases.patient == 0, np.nan, 5.0)}
    statistics = patient_statistics(cases, probabilities, pictures)
    expected = sorted(probabilities[cases.patient == patient].max(1).mean() for patient in range(12))
    assert statistics["confidence"] == pytest.approx(expected, abs=1e-6)
    assert sum(statistics[f"share:{name}"].mean() for name in cases.classes) == pytest.approx(1, abs=1e-5)
    assert statistics["picture:median"].tolist() == [5.0] * 11
    assert "quality" not in statistics
    assert {kind_of(name) for name in statistics} == {"confidence", "class shares", "pictures"}
    with pytest.raises(EvaluationError, match="name no patients"):
        patient_statistics(replace(cases, patients_known=False), probabilities)


def test_patient_accuracy_leaves_clips_without_a_class_out() -> None:
    cases = simulate_cases(np.random.default_rng(0), 12, 2.0)
    probabilities = cases.probabilities(cases.run_sets[0])
    labeled = replace(cases, truth=np.where(cases.patient == 3, probabilities.argmax(1), -2))
    assert patient_accuracy(labeled, probabilities).tolist() == [1.0]


def test_assess_journal_raises_the_alarm_after_a_change_alone() -> None:
    quiet = simulate_year(np.random.default_rng(1), _weekly(0.0), weeks=12)
    assert quiet.alarms == []
    assert [test.kind for test in quiet.tests] == ["confidence", "class shares", ACCURACY]
    changed = simulate_year(np.random.default_rng(1), _weekly(SKILLS[0.70], 6), weeks=12)
    confidence = changed.tests[0]
    assert confidence.alarm is not None
    assert "2026-W06" <= confidence.alarm <= "2026-W10"
    assert confidence.threshold == pytest.approx(3 / 0.05)
    assert confidence.leading in ("confidence", "entropy")


def test_assess_journal_never_changes_what_it_said_of_earlier_weeks() -> None:
    state = simulate_year(np.random.default_rng(2), _weekly(SKILLS[0.70], 3), weeks=8)
    for weeks in (0, 3, 7):
        earlier = assess_journal(state.journal.model_copy(update={"records": state.journal.records[:weeks]}))
        for before, after in zip(earlier.tests, state.tests, strict=True):
            assert before.capital == pytest.approx(after.capital[:weeks])


def test_assess_journal_bounds_the_accuracy_so_far() -> None:
    state = simulate_year(np.random.default_rng(3), _weekly(0.0), weeks=10)
    audited = state.tests[-1]
    assert len(audited.running) == 10
    low, high = audited.running[-1]
    assert 0.5 < low < 0.86 < high < 1
    assert audited.reference == {ACCURACY: 0.8}
