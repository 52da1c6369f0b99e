"""Pooling of counts: only files of different hospitals, of one model and one question."""

from __future__ import annotations

from typing import Any

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.pooling import pool_counts
from heart2heart.evaluation.release import release_counts
from heart2heart.schema.counts import HospitalCounts
from heart2heart.schema.validation import TrainingData
from heart2heart.schema.views import SCORED_VIEWS
from tests.evaluation.factory import Hospital, make_predictions, with_rows
from tests.evaluation.test_release import MARGIN, OPEN


@pytest.fixture(scope="module")
def counts() -> tuple[HospitalCounts, ...]:
    return release_counts(make_predictions(hospitals=OPEN))


def changed(counts: HospitalCounts, **update: Any) -> HospitalCounts:
    return counts.model_copy(update=update)


def test_pool_counts_does_not_depend_on_the_order_of_files_and_runs(counts: tuple[HospitalCounts, ...]) -> None:
    expected = pool_counts(counts).metrics
    assert pool_counts(counts[::-1]).metrics == expected
    other = release_counts(make_predictions(hospitals=OPEN[1:2]))[0]
    order = [1, 0]
    size = len(other.classes)
    columns = [run * size + label for run in order for label in range(size)]

    def swapped(level: Any) -> Any:
        lines = tuple(tuple(level.correlation[i][j] for j in columns) for i in columns)
        return level.model_copy(update={"runs": tuple(level.runs[run] for run in order), "correlation": lines})

    east = changed(
        counts[1],
        runs=tuple(counts[1].runs[run] for run in order),
        frames=swapped(counts[1].frames),
        clips=swapped(counts[1].clips),
    )
    pooled = pool_counts([counts[0], east, counts[2]]).metrics
    assert pooled.model_copy(update={"predictions_sha256": expected.predictions_sha256}) == expected


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"classes": ("a", "b", "c", "d")}, "other classes"),
        ({"task": "severity"}, "another task"),
        ({"unit": "study"}, "another kind of cluster"),
        ({"margin": MARGIN}, "another margin"),
        ({"manifest_sha256": "0" * 64}, "another training split"),
        ({"site": "north"}, "two files of one hospital"),
    ],
)
def test_pool_counts_refuses_files_that_do_not_belong_together(
    counts: tuple[HospitalCounts, ...], update: dict[str, Any], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        pool_counts([counts[0], changed(counts[1], **update)])


def test_pool_counts_refuses_another_model_and_a_file_under_two_names(counts: tuple[HospitalCounts, ...]) -> None:
    run = changed(counts[1], runs=(counts[1].runs[0].model_copy(update={"model_sha256": "1" * 64}), counts[1].runs[1]))
    with pytest.raises(EvaluationError, match="another model"):
        pool_counts([counts[0], run])
    with pytest.raises(EvaluationError, match="two hospitals with the same counts"):
        pool_counts([counts[0], changed(counts[0], site="elsewhere")])
    with pytest.raises(EvaluationError, match="no file of counts"):
        pool_counts([])


def test_pool_counts_says_the_least_that_was_compared_with_the_training(counts: tuple[HospitalCounts, ...]) -> None:
    seen = changed(counts[0], training_data=TrainingData.COMPARED, training_data_note="All were compared.")
    unseen = changed(counts[1], training_data=TrainingData.NOT_SEEN, training_data_note="Training data not seen.")
    metrics = pool_counts([seen, unseen]).metrics
    assert metrics.training_data is TrainingData.NOT_SEEN
    assert metrics.training_data_note == "north: All were compared. east: Training data not seen."


def test_pool_counts_gives_the_distance_of_the_shares_from_the_source(counts: tuple[HospitalCounts, ...]) -> None:
    pooled = pool_counts(counts)
    assert [hospital.site for hospital in pooled.hospitals] == ["north", "east", "west"]
    assert pooled.hospitals[0].shift == 0
    # West has two of the four views in equal numbers, the source all four.
    assert pooled.hospitals[2].shares == {"PLAX": 0.0, "PSAX": 0.0, "A4C": 0.5, "A2C": 0.5}
    assert pooled.hospitals[2].shift == pytest.approx(0.5)
    alone = pool_counts(counts[1:2])
    assert alone.hospitals[0].shift is None
    assert alone.metrics.methods[0].generalisation.gaps[0].gap.value is None


def test_pool_counts_leaves_a_hidden_accuracy_out_of_the_range() -> None:
    # One patient errs at the only held-out hospital: its accuracy is hidden, and so are lowest, highest and mean.
    perfect = Hospital("far", True, 30, SCORED_VIEWS, (), (9.0, 9.0), ("Maker",))
    predictions = make_predictions(hospitals=(OPEN[0], perfect))
    rows = predictions.table.to_pylist()
    for row in rows:
        if row["site"] == "far" and row["truth"] == "PLAX" and row["patient"] == "far-p000":
            row["logits"] = row["logits"][::-1]
    summary = pool_counts(release_counts(with_rows(predictions, rows))).metrics.methods[0].generalisation
    assert (summary.lowest, summary.highest, summary.mean.value, summary.worst_site) == (None, None, None, None)
    assert (summary.gaps[0].gap.reason or "").startswith("hidden: fewer than 5 of 30 patients have a wrong frame")
