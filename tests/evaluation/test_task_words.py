"""The words of a task take the place of views and frames, and leave names alone."""

from __future__ import annotations

import json
import re

import pytest

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.task_words import TaskWords, with_task_words
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, make_predictions


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (TaskWords(), "Views of the frame", "Views of the frame"),
        (TaskWords("severity"), "The view with the largest logit", "The severity class with the largest logit"),
        (TaskWords("severity"), "Other views; Unknown views", "Other severity classes; Unknown severity classes"),
        (TaskWords("severity"), "Views differ; reviewed; viewBox", "Severity classes differ; reviewed; viewBox"),
        (TaskWords("severity"), "Is the view classifier accurate?", "Is the severity classifier accurate?"),
        (TaskWords("severity"), "one frame of an echocardiogram by view", "one frame by severity class"),
        (TaskWords("severity", cases=True), "Frames of a view", "Cases of a severity class"),
        (TaskWords("view", cases=True), "3 test frames, view PLAX", "3 test cases, view PLAX"),
    ],
)
def test_adapt_replaces_whole_words(words: TaskWords, text: str, expected: str) -> None:
    assert words.adapt(text) == expected


def test_adapt_keeps_names() -> None:
    words = TaskWords("quality", cases=True)
    assert words.adapt("poor view at frame lab: a view", ["poor view", "frame lab", ""]) == (
        "poor view at frame lab: a quality class"
    )


def test_with_task_words_changes_reasons_and_nothing_else() -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:3])
    metrics = evaluate_predictions(predictions, replicates=100)
    assert with_task_words(metrics, TaskWords()) is metrics
    other = Predictions(predictions.table, predictions.provenance.model_copy(update={"task": "plane"}))
    # A2C alone is outside of nothing now: the truths of other views are unknown classes of another task.
    words = with_task_words(metrics, TaskWords.of(other.provenance))
    before, after = metrics.model_dump_json(), words.model_dump_json()
    reasons = set(re.findall(r'"reason":"([^"]*)"', after))
    assert any("plane class" in reason for reason in reasons)
    assert not any(re.search(r"\bviews?\b", reason) for reason in reasons)
    strip = re.compile(r'"(reason|interval)":"[^"]*"')
    assert json.loads(strip.sub('"x":0', before)) == json.loads(strip.sub('"x":0', after))
