"""Predictions for decisions: a hospital whose ranking is good but whose threshold is wrong, and its adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, Hospital, make_predictions, with_rows

SOURCE = HOSPITALS[0]
CLASSES = SOURCE.views


def hospital(name: str, skill: float, patients: int = 32, views: Sequence[str] = CLASSES) -> Hospital:
    """Return a hospital whose second method has a skill (the first method is left out)."""
    return Hospital(name, True, patients, tuple(views), ("A3C",), (skill, skill), ("Maker Two",))


def one_method(*hospitals: Hospital, source_skill: float = 5.0) -> Predictions:
    """Return predictions of one run at a source and other hospitals."""
    source = replace(SOURCE, skill=(source_skill, source_skill))
    predictions = make_predictions(hospitals=(source, *hospitals))
    kept = predictions.provenance.runs[-1]
    rows = [row for row in predictions.table.to_pylist() if row["run"] == kept.run]
    provenance = predictions.provenance.model_copy(update={"runs": (kept,)})
    return with_rows(Predictions(predictions.table, provenance), rows)


def shifted(predictions: Predictions, site: str, name: str, offset: float) -> Predictions:
    """Return predictions in which one class has other logits at one hospital: the ranking stays."""
    index = predictions.provenance.classes.index(name)
    rows = predictions.table.to_pylist()
    for row in rows:
        if row["site"] == site:
            row["logits"] = [logit + offset * (label == index) for label, logit in enumerate(row["logits"])]
    return with_rows(predictions, rows)


def with_adapted(predictions: Predictions, adapted: Predictions) -> Predictions:
    """Return predictions with the rows of a second model, which was adapted to the tested hospital."""
    run = predictions.provenance.runs[0]
    facts = run.facts.model_copy(update={"adaptation": "batch statistics"})
    other = run.model_copy(update={"run": "adapted", "method": f"{run.method}, adapted", "facts": facts})
    rows: list[dict[str, Any]] = [{**row, "run": "adapted"} for row in adapted.table.to_pylist()]
    provenance = predictions.provenance.model_copy(update={"runs": (run, other)})
    return with_rows(Predictions(predictions.table, provenance), [*predictions.table.to_pylist(), *rows])


def scored(predictions: Predictions) -> tuple[Predictions, Metrics]:
    """Return predictions with their metrics."""
    return predictions, evaluate_predictions(predictions, replicates=200)
