"""Agreement of readers and model against scikit-learn; only blind readings of whole clips count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from heart2heart.api.readers import blind_readings, compare_readers, model_clips
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.samples import digest
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.reader_agreement import MODEL, PairKind, read_readers
from tests.evaluation.factory import HOSPITALS, make_predictions


def label(clip: str, view: str, rater: str, at: str = "2026-01-01T00:00:00Z") -> LabelEvent:
    return LabelEvent(clip, "", view, rater, at, "page")


def test_blind_readings_leave_out_what_was_not_read_blind() -> None:
    unsure = replace(label("c3", "", "two"), answer=LabelAnswer.UNSURE)
    events = [
        label("c1", "A4C", "one"), label("c1", "A2C", "two"),
        label("c1", "PLAX", "one", "2026-01-02T00:00:00Z"),  # the last answer of a reader counts
        label("c2", "A4C", "one"), replace(label("c2", "A4C", "two"), suggestion_shown=True),
        label("c3", "A4C", "one"), unsure,
        label("c4", "A4C", "one"),
        label("c5", "A4C", "one"), replace(label("c5", "A4C", "two"), kind=EventKind.ADJUDICATION),
        label("c6", "A4C", "one"), replace(label("c6", "A4C", "two"), frame="c6:0001"),
    ]  # fmt: skip
    assert blind_readings(events) == {"c1": {"one": "PLAX", "two": "A2C"}}


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions(hospitals=HOSPITALS[:2])


@pytest.fixture(scope="module")
def book(predictions: Predictions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two readers of every clip of `east`: the first is always right, the second in four of five clips."""
    rng = np.random.default_rng(4)
    rows = predictions.table.select(["site", "clip", "truth"]).to_pylist()
    truth = {row["clip"]: row["truth"] for row in rows if row["site"] == "east"}
    events = []
    for clip, view in sorted(truth.items()):
        other = view if rng.random() < 0.8 else "PLAX"
        events += [label(clip, view, "one"), label(clip, other, "two")]
    store = LabelStore(tmp_path_factory.mktemp("labels") / "labels.db")
    store.append(events)
    return store.path


def test_compare_readers_agrees_with_sklearn(predictions: Predictions, book: Path, tmp_path: Path) -> None:
    agreement = compare_readers(predictions, book, replicates=200)
    assert [(row.site, row.kind, row.first, row.second) for row in agreement.rows] == [
        ("east", PairKind.READERS, "one", "two"),
        ("east", PairKind.MODEL, MODEL, "one"),
        ("east", PairKind.MODEL, MODEL, "two"),
    ]
    clips = model_clips(predictions, agreement.run)
    readings = blind_readings(LabelStore(book).events())
    names = [clip for clip in clips if clips[clip].site == "east"]
    answers = {reader: [readings[clip][reader] for clip in names] for reader in ("one", "two")}
    answers[MODEL] = [clips[clip].predicted for clip in names]
    for row in agreement.rows:
        first, second = answers[row.first], answers[row.second]
        share = np.mean(np.array(first) == np.array(second))
        assert row.agreement.value == pytest.approx(share)
        assert row.kappa.value == pytest.approx(cohen_kappa_score(first, second))
        assert row.agreement.low is not None
        assert row.kappa.low is not None
        assert row.agreement.low < share < (row.agreement.high or 0)
        assert row.kappa.low < (row.kappa.value or 0) < (row.kappa.high or 0)
        assert (row.agreement.n, row.agreement.clusters) == (len(names), HOSPITALS[1].patients)
    agreement.write(tmp_path)
    assert read_readers(tmp_path, digest(predictions)) == agreement
    assert read_readers(tmp_path, "0" * 64) is None
    (tmp_path / "readers.json").write_text('{"schema_version": 1}', encoding="utf-8")
    with pytest.raises(EvaluationError, match="damaged"):
        read_readers(tmp_path, "0" * 64)


def test_compare_readers_says_that_no_clip_was_read_twice(predictions: Predictions, tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.db")
    store.append([label("elsewhere", "A4C", "one"), label("elsewhere", "A4C", "two")])
    agreement = compare_readers(predictions, store.path)
    assert agreement.rows == ()
    assert agreement.reason == "no test clip was read blind by two readers"


def test_compare_readers_of_one_patient_gives_no_interval(predictions: Predictions, tmp_path: Path) -> None:
    rows = predictions.table.select(["site", "patient", "clip", "truth"]).to_pylist()
    patient = next(row["patient"] for row in rows if row["site"] == "east")
    truth = {row["clip"]: row["truth"] for row in rows if row["patient"] == patient}
    store = LabelStore(tmp_path / "labels.db")
    store.append([label(clip, view, reader) for clip, view in truth.items() for reader in ("one", "two")])
    first, *_ = compare_readers(predictions, store.path, replicates=100).rows
    assert (first.agreement.value, first.agreement.low) == (1.0, None)
    assert "only one patient" in str(first.agreement.reason)
