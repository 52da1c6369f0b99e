"""Counts that leave a hospital: nothing of rows, no small cell, and the same scores as the rows give."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.pooling import pool_counts
from heart2heart.evaluation.release import release_counts
from heart2heart.schema.counts import SMALLEST_CELL, Hidden, HospitalCounts
from heart2heart.schema.margin import RegisteredMargin
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.views import SCORED_VIEWS
from tests.evaluation.factory import HOSPITALS, Hospital, make_predictions, with_rows

OPEN = (
    Hospital("north", False, 60, SCORED_VIEWS, (), (1.2, 1.5), ("Maker",)),
    Hospital("east", True, 40, SCORED_VIEWS, (), (0.9, 1.3), ("Maker",)),
    Hospital("west", True, 30, ("A4C", "A2C"), (), (0.8, 1.0), ("Maker",)),
)
"""Hospitals where every class has many right and many wrong patients: nothing is hidden."""

MARGIN = RegisteredMargin(margin=12, question="?", registered_by="AB", registered="2031-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def open_predictions() -> Predictions:
    return make_predictions(hospitals=OPEN, seeds=(0, 1))


@pytest.fixture(scope="module")
def evaluated(open_predictions: Predictions) -> Metrics:
    return evaluate_predictions(open_predictions, replicates=100)


def differences(one: Any, other: Any, path: str = "") -> dict[str, float]:
    """Return how far numbers are apart, by place; raise where anything else differs."""
    if isinstance(one, dict):
        return {k: v for name in one for k, v in differences(one[name], other[name], f"{path}.{name}").items()}
    if isinstance(one, list):
        assert len(one) == len(other), path
        pairs = enumerate(zip(one, other, strict=True))
        return {k: v for index, (a, b) in pairs for k, v in differences(a, b, f"{path}[{index}]").items()}
    if isinstance(one, float) and isinstance(other, float):
        return {path: abs(one - other)}
    assert one == other, path
    return {}


def test_release_counts_give_the_scores_of_the_rows(open_predictions: Predictions, evaluated: Metrics) -> None:
    counts = release_counts(open_predictions)
    assert not [each for level in counts for each in level.frames.classes if each.hidden]
    pooled = pool_counts(counts).metrics
    for part in ("methods", "comparisons", "sites", "common_views", "simultaneous"):
        one, other = (metrics.model_dump(mode="json")[part] for metrics in (evaluated, pooled))
        far = differences(one, other)
        values = [value for key, value in far.items() if key.endswith(".value")]
        assert max(values, default=0.0) < 1e-12, part  # the shares themselves are exact
        # Standard errors have six digits. The adjusted p-value counts one of 100,000 draws more or less.
        far = {key: value for key, value in far.items() if not key.endswith("p_joint") or value > 5e-5}
        assert max(far.values(), default=0.0) < 2e-6, {key: value for key, value in far.items() if value > 2e-6}


def test_release_counts_give_the_sensitivities_and_clip_votes_of_the_rows() -> None:
    predictions = make_predictions(hospitals=OPEN)
    evaluated, pooled = evaluate_predictions(predictions, replicates=100), pool_counts(release_counts(predictions))
    for index, hospital in enumerate(pooled.hospitals):
        for run, method in zip(evaluated.runs, hospital.methods, strict=True):
            for name, estimate in method.sensitivity.items():
                expected = run.sites[index].sensitivity[name]
                far = differences(estimate.model_dump(), expected.model_dump())
                assert max(far.values(), default=0.0) < 1e-6
            clip = run.sites[index].clip_balanced_accuracy
            if method.clip_balanced_accuracy.value is not None:
                assert method.clip_balanced_accuracy.value == pytest.approx(clip.value, abs=1e-12)
                assert method.clip_balanced_accuracy.low == pytest.approx(clip.low, abs=1e-6)


def test_release_counts_give_the_confusion_matrix_and_the_reliability_of_the_rows(
    open_predictions: Predictions, evaluated: Metrics
) -> None:
    counts = release_counts(open_predictions)
    for index, hospital in enumerate(counts):
        for run, released in zip(evaluated.runs, hospital.frames.runs, strict=True):
            scores = run.sites[index]
            hidden = sum(cell is None for row in released.confusion for cell in row)
            shown = [
                (cell, expected)
                for row, line in zip(released.confusion, scores.confusion, strict=True)
                for cell, expected in zip(row, line, strict=True)
                if cell is not None
            ]
            assert all(cell == expected for cell, expected in shown)
            assert len(shown) + hidden == len(SCORED_VIEWS) ** 2
            assert scores.calibration is not None
            assert released.nll == pytest.approx(scores.calibration.nll.value, abs=1e-4)
            assert sum(each.n for each in released.reliability) == evaluated.sites[index].frames
            if len(released.reliability) == len(scores.reliability):
                assert differences(
                    [each.model_dump() for each in released.reliability],
                    [each.model_dump() for each in scores.reliability],
                )


def test_release_counts_judge_the_margin_as_the_rows_do(open_predictions: Predictions) -> None:
    provenance = open_predictions.provenance.model_copy(update={"margin": MARGIN})
    registered = Predictions(open_predictions.table, provenance)
    pooled = pool_counts(release_counts(registered)).metrics
    expected = evaluate_predictions(registered, replicates=100)
    assert pooled.margin == expected.margin
    verdicts = [[gap.margin for gap in metrics.methods[1].generalisation.gaps] for metrics in (pooled, expected)]
    assert verdicts[0] == verdicts[1]
    assert None not in verdicts[0]


def small_cells(counts: HospitalCounts, predictions: Predictions) -> list[str]:
    """Return the shown cells of one to four patients, by an independent count of the rows."""
    rows = [row for row in predictions.table.to_pylist() if row["site"] == counts.site and row["role"] == "test"]
    shown = []
    for index, run in enumerate(counts.runs):
        of_run = [row for row in rows if row["run"] == run.run and row["truth"] in counts.classes]
        for label, truth in enumerate(counts.classes):
            for column in range(len(counts.classes)):
                cell = counts.frames.runs[index].confusion[label][column]
                patients = {
                    row["patient"]
                    for row in of_run
                    if row["truth"] == truth and int(np.argmax(row["logits"])) == column
                }
                if cell is not None and 0 < len(patients) < SMALLEST_CELL:
                    shown.append(f"{run.run} {truth} {column}")
    return shown


def test_release_counts_show_no_small_cell_and_nothing_of_a_row() -> None:
    predictions = make_predictions(hospitals=HOSPITALS)
    rows = [row for row in predictions.table.to_pylist() if row["site"] != "west" or int(row["patient"][-1]) < 4]
    few = with_rows(predictions, rows)
    # West now has four patients: nothing of it may leave.
    with pytest.raises(EvaluationError, match="nothing can leave: every class comes from fewer than 5 patients"):
        release_counts(few)
    released = release_counts(predictions)
    assert not [cell for each in released for cell in small_cells(each, predictions)]
    outcomes = [outcome for each in released for run in each.frames.runs for outcome in run.outcomes]
    assert Hidden.FEW_WRONG in {outcome.hidden for outcome in outcomes}
    text = json.dumps([each.model_dump(mode="json") for each in released])
    names = {row[name] for row in predictions.table.to_pylist() for name in ("patient", "study", "clip", "frame")}
    assert not [name for name in names if name in text]
    for word in ("logits", "image", "detail", "rater-1", "Maker"):
        assert word not in text


def test_release_counts_hide_a_class_of_few_patients_and_the_totals_that_give_it_away() -> None:
    predictions = make_predictions(hospitals=OPEN[:2])
    rows = [
        row
        for row in predictions.table.to_pylist()
        if row["site"] != "east" or row["truth"] != "PLAX" or row["patient"] in ("east-p000", "east-p001")
    ]
    counts = next(each for each in release_counts(with_rows(predictions, rows)) if each.site == "east")
    plax = counts.classes.index("PLAX")
    assert counts.frames.classes[plax].hidden is Hidden.FEW_PATIENTS
    assert (counts.frames.rows, counts.frames.patients) == (None, None)
    assert counts.clips.classes[plax].hidden is Hidden.FEW_PATIENTS
    assert all(cell is None for run in counts.frames.runs for cell in run.confusion[plax])
    assert all(run.reliability == () and run.nll is None for run in counts.frames.runs)
    pooled = pool_counts([counts])
    (method, _) = pooled.hospitals[0].methods
    assert method.sensitivity["PLAX"].reason == "PLAX is hidden: it comes from fewer than 5 patients"
    assert pooled.metrics.sites[0].reason == "PLAX is hidden: it comes from fewer than 5 patients"
    assert "PLAX" not in pooled.metrics.sites[0].views
    assert pooled.hospitals[0].shares is None
    accuracy = pooled.metrics.methods[0].sites[0].balanced_accuracy.value
    shown = [estimate.value for name, estimate in method.sensitivity.items() if name != "PLAX"]
    assert accuracy == pytest.approx(np.mean([value for value in shown if value is not None]))


def test_release_counts_bound_an_accuracy_that_few_wrong_patients_hide() -> None:
    predictions = make_predictions(hospitals=HOSPITALS)
    evaluated = evaluate_predictions(predictions, replicates=100)
    pooled = pool_counts(release_counts(predictions))
    bounded = 0
    for counts in pooled.counts:
        index = [site.site for site in evaluated.sites].index(counts.site)
        for run, released in zip(evaluated.runs, counts.frames.runs, strict=True):
            for name, outcome in zip(counts.classes, released.outcomes, strict=True):
                value = run.sites[index].sensitivity[name].value
                if outcome.at_least is not None and value is not None:
                    bounded += 1
                    assert outcome.at_least <= value
    assert bounded
    west = [site.site for site in pooled.metrics.sites].index("west")
    hidden = pooled.metrics.methods[1].sites[west].balanced_accuracy
    assert hidden.value is None
    assert (hidden.reason or "").startswith("hidden: fewer than 5 of 9 patients have a wrong frame of PLAX; at least")
    # The other method at the same hospital has no small cell, and keeps its accuracy.
    assert pooled.metrics.methods[0].sites[west].balanced_accuracy.value is not None
