"""Suspect labels: confident learning against the paper's formulas written out, on labels whose faults are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.annotate.suggestions import read_queue, read_required_readings
from heart2heart.errors import EvaluationError, LabelError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_errors import (
    Floats,
    Integers,
    calibrated_joint,
    confident_classes,
    find_label_errors,
    write_review_queue,
)
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.testing.stores import random_store
from tests.schema.test_predictions import make

CLASSES = ("PLAX", "A4C")


def _predictions(rows: Sequence[tuple[str, int, str, Sequence[float]]], run: str = "r") -> Predictions:
    """Return predictions of frames: clip, index, role, probabilities."""
    listed = [
        {"run": run, "site": "A", "patient": "p", "study": "s", "clip": clip, "frame": f"{clip}:{index:04d}",
         "index": index, "mode": "b_mode", "quality": 0.5, "role": role, "truth": None,
         "logits": [float(np.log(share)) for share in shares], "image": None}
        for clip, index, role, shares in rows
    ]  # fmt: skip
    return Predictions(pa.Table.from_pylist(listed, schema=PREDICTIONS), make().provenance)


def _label_event(clip: str, view: str, rater: str = "a", kind: str = "label") -> LabelEvent:
    return LabelEvent(clip, "", view, rater, "", "test", kind=EventKind(kind))


def _reference(labels: Integers, shares: Floats) -> tuple[Floats, list[int]]:
    """Equations 1 to 3, example by example."""
    classes = shares.shape[1]
    thresholds = []
    for j in range(classes):
        own = [shares[i, j] for i in range(len(labels)) if labels[i] == j]
        thresholds.append(sum(own) / len(own) if own else float("inf"))
    counts = np.zeros((classes, classes))
    confident = []
    for i, label in enumerate(labels):
        reached = [j for j in range(classes) if shares[i, j] >= thresholds[j] - 1e-9]
        best = max(reached, key=lambda j: (shares[i, j], -j)) if reached else -1
        confident.append(best)
        if reached:
            counts[label, best] += 1
    for j in range(classes):
        if counts[j].sum() == 0:
            counts[j, j] = 1
    label_counts = np.array([(labels == j).sum() for j in range(classes)])
    return counts / counts.sum(1, keepdims=True) * label_counts[:, None], confident


@given(st.data())
@settings(max_examples=50)
def test_calibrated_joint_is_the_papers(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    number, classes = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 4))
    labels, shares = rng.integers(classes, size=number), rng.dirichlet(np.ones(classes), size=number)
    expected, confident_reference = _reference(labels, shares)
    confident = confident_classes(labels, shares)
    assert confident.tolist() == confident_reference
    np.testing.assert_allclose(calibrated_joint(labels, confident, classes), expected)
    np.testing.assert_allclose(expected.sum(), number)


def test_find_label_errors_ranks_planted_errors_first() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(2, size=400)
    faulty = rng.random(400) < 0.1
    shares = np.where((np.arange(2) == truth[:, None]), 0.8, 0.2) + rng.normal(0, 0.05, (400, 1)) * np.array([1, -1])
    rows = [(f"c{clip:03d}", index, "test", shares[clip]) for clip in range(400) for index in range(2)]
    events = [_label_event(f"c{clip:03d}", CLASSES[truth[clip] ^ faulty[clip]]) for clip in range(400)]
    report = find_label_errors([_predictions(rows)], events)
    named = [int(one.clip[1:]) for one in report.issues[: faulty.sum()]]
    assert faulty[named].mean() > 0.95
    assert report.clips == 400
    assert report.expected_errors == pytest.approx(faulty.sum(), rel=0.25)
    margins = [one.margin for one in report.issues]
    assert margins == sorted(margins)


def _folds() -> list[Predictions]:
    good, bad = (0.9, 0.1), (0.1, 0.9)
    one = [
        ("c1", 0, "test", good),
        ("c2", 0, "validation", bad),
        ("c3", 0, "test", bad),
        ("c3", 0, "sector_masked", good),
    ]
    other = [("c1", 0, "test", good), ("c4", 0, "test", good), ("c5", 0, "test", bad), ("c5", 1, "test", bad)]
    return [_predictions(one), _predictions(other)]


def test_find_label_errors_joins_folds_and_counts_the_excluded() -> None:
    events = [
        _label_event("c1", "PLAX"),
        _label_event("c2", "A4C"),
        _label_event("c3", "PLAX"),
        LabelEvent("c3", "", "", "b", "", "test", answer=LabelAnswer.UNSURE),
    ]
    events += [_label_event("c4", "A3C")]
    events += [
        _label_event("c5", "A4C"),
        LabelEvent("c5", "c5:0001", "PLAX", "a", "", "test"),
        _label_event("c9", "PLAX"),
    ]
    report = find_label_errors(_folds(), events)
    assert [(one.clip, one.label, one.model, one.readers) for one in report.issues] == [("c3", "PLAX", "A4C", 2)]
    assert report.issues[0].margin == pytest.approx(-0.8)
    assert report.clips == 3
    assert report.excluded == {"frames of several views": 1, "a view that the model does not know": 1}
    ruled = find_label_errors(_folds(), [*events, _label_event("c3", "PLAX", "z", "adjudication")])
    assert (ruled.issues, ruled.excluded["decided by an adjudicator"]) == ((), 1)


def test_find_label_errors_refuses() -> None:
    events = [_label_event("c1", "PLAX"), _label_event("c2", "A4C")]
    seen = _predictions([("c1", 0, "train", (0.5, 0.5)), ("c2", 0, "test", (0.5, 0.5))])
    with pytest.raises(EvaluationError, match=r"in-sample: frames of role train.*those of all folds"):
        find_label_errors([seen], events)
    with pytest.raises(EvaluationError, match="not estimable: labels of fewer than two"):
        find_label_errors(_folds(), events[:1])
    with pytest.raises(EvaluationError, match="not estimable"):
        find_label_errors([_predictions([])], events)


def test_write_review_queue_requires_one_more_blind_reading(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    clips = store.clips["clip"].to_pylist()
    events = [_label_event(clip, CLASSES[index % 2]) for index, clip in enumerate(clips[:4])]
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append(events)
    rows = [(clip, 0, "test", (0.9, 0.1) if index in (0, 1, 2) else (0.2, 0.8)) for index, clip in enumerate(clips[:4])]
    report = find_label_errors([_predictions(rows)], events)
    assert [one.clip for one in report.issues] == [clips[1]]
    for name in ("queue.csv", "queue.parquet"):
        assert write_review_queue(report.issues, tmp_path / name) == 1
        queue, required = read_queue(tmp_path / name), read_required_readings(tmp_path / name)
        assert (queue, required) == ({clips[1]: "label in doubt, 1 of 1"}, {clips[1]: 2})
    settings = AnnotationSettings.parse({"port": 0, "double": 0.0, "suggest": True}, where="test")
    assignments = Assignments(
        label_store, ClipCatalog([store.root], settings.modes), settings, queue=queue, readings=required
    )
    assert (assignments.next_clips("a", 5), assignments.next_clips("b", 5)) == (
        [],
        [clips[1]],
    )  # not of who has read it
    shown = assignments.describe(clips[1], "b")
    assert ("answers" in shown, shown["suggestion"], shown["reason"]) == (False, None, "")
    label_store.append([_label_event(clips[1], "PLAX", "b")])
    assert assignments.disagreements() == [clips[1]]


@pytest.mark.parametrize("readings", ["x", "0", ""])
def test_read_required_readings_refuses_strange_numbers(tmp_path: Path, readings: str) -> None:
    (tmp_path / "queue.csv").write_text(f"clip,why,readings\nc1,w,2\nc2,w,{readings}\n")
    with pytest.raises(LabelError, match="readings of this queue"):
        read_required_readings(tmp_path / "queue.csv")
    (tmp_path / "queue.csv").write_text("clip,why\nc1,w\n")
    assert read_required_readings(tmp_path / "queue.csv") == {}
