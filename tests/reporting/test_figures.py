"""The section on the stress test: its lines, its figures and its table; a page without it says how to get it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.figures import stress_line
from heart2heart.reporting.writer import write_report
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.schema.site_metrics import Estimate, StressCurve, StressPoint
from tests.evaluation.factory import HOSPITALS, make_predictions


def estimate(value: float | None) -> Estimate:
    return Estimate(value=value, low=None, high=None, n=3, clusters=3, few_clusters=True, reason="a test")


def perturbed(predictions: Predictions, kinds: tuple[str, ...]) -> Predictions:
    """Return the predictions with a row for the first frame of each scored clip, kind and level."""
    rows = predictions.table.to_pylist()
    classes = predictions.provenance.classes
    rng = np.random.default_rng(0)
    added = [
        {
            **row, "role": "perturbed", "image": None, "perturbation": kind, "level": level,
            "logits": [value + 3 * level * rng.normal() for value in row["logits"]],
        }
        for row in rows
        if row["role"] == "test" and row["truth"] in classes and row["index"] == 0
        for kind in kinds
        for level in (0.5, 1.0)
    ]  # fmt: skip
    schema = pa.schema([*PREDICTIONS, pa.field("perturbation", pa.string()), pa.field("level", pa.float32())])
    table = pa.concat_tables([pa.Table.from_pylist(rows, PREDICTIONS), pa.Table.from_pylist(added, schema)],
                             promote_options="default")  # fmt: skip
    return Predictions(table, predictions.provenance)


def test_stress_line_begins_with_the_unperturbed_accuracy() -> None:
    points = tuple(
        StressPoint(level=level, balanced_accuracy=estimate(value), change=estimate(value - 0.9))
        for level, value in ((0.5, 0.8), (1.0, 0.6))
    )
    curve = StressCurve(perturbation="gain", points=points, loss=estimate(0.1))
    line = stress_line(curve)
    assert [level for level, _ in line] == [0, 0.5, 1.0]
    assert [value for _, value in line] == pytest.approx([90, 80, 60])
    nothing = StressPoint(level=1.0, balanced_accuracy=estimate(None), change=estimate(None))
    assert stress_line(StressCurve(perturbation="gain", points=(nothing,), loss=estimate(None))) == []


def test_stress_figures_and_table_are_on_the_page(tmp_path: Path) -> None:
    predictions = perturbed(make_predictions(hospitals=HOSPITALS[:2]), ("gain", "sector_angle"))
    metrics = evaluate_predictions(predictions, replicates=200)
    page = write_report(predictions, metrics, tmp_path / "report.html").read_text(encoding="utf-8")
    section = page.partition('<section id="stress"')[2].partition("</section>")[0]
    assert section.count("<figure>") == 2
    assert section.count("<svg") == 2
    rows = re.findall(r'<th scope="row">([^<]+)</th>', section)
    assert rows == ["Gain", "Sector angle", "Mean over all"] * 2
    assert "SYNTHETIC DATA" in section
    loss = metrics.runs[0].sites[1].stress[-1].loss
    assert loss.value is not None
    assert loss.value > 0
    assert f"{100 * loss.value:.1f}" in section


def test_write_report_without_perturbed_frames_says_how_to_get_them(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2])
    metrics = evaluate_predictions(predictions, replicates=100)
    page = write_report(predictions, metrics, tmp_path / "report.html").read_text(encoding="utf-8")
    section = page.partition('<section id="stress"')[2].partition("</section>")[0]
    assert "heart2heart evaluate --stress all" in section
    assert "<svg" not in section
