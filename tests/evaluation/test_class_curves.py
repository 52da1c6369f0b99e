"""Curves of each class against scikit-learn's areas and against the metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.evaluation.class_curves import MOST_POINTS, class_curves
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions(hospitals=HOSPITALS[:3])


def test_class_curves_have_the_areas_of_the_metrics(predictions: Predictions) -> None:
    metrics = evaluate_predictions(predictions, replicates=100)
    run = metrics.runs[1]
    curves = class_curves(predictions, run.run)
    assert list(curves) == ["north", "east", "south"]
    for site, summary in zip(run.sites, metrics.sites, strict=True):
        assert [curve.view for curve in curves[site.site]] == [
            view for view in metrics.classes if view in summary.views
        ]
        for curve in curves[site.site]:
            auroc = site.auroc[curve.view].value
            area = np.trapezoid(curve.sensitivity, curve.false_positive_rate)
            assert area == pytest.approx(auroc, abs=0.01)  # points are left out
            assert curve.share == pytest.approx(summary.views[curve.view] / summary.frames)
            assert curve.average_precision > curve.share


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_class_curves_rise_from_corner_to_corner(predictions: Predictions, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [row | {"logits": rng.normal(size=4).tolist()} for row in predictions.table.to_pylist()[::3]]
    for curves in class_curves(with_rows(predictions, rows), "fix-0").values():
        for curve in curves:
            assert (curve.false_positive_rate[0], curve.sensitivity[0]) == (0, 0)
            assert (curve.false_positive_rate[-1], curve.sensitivity[-1]) == (1, 1)
            assert (np.diff(curve.sensitivity) >= 0).all()
            assert (np.diff(curve.recall) <= 0).all()
            assert max(len(curve.recall), len(curve.sensitivity)) <= MOST_POINTS


def test_class_curves_leave_out_a_site_with_one_view(predictions: Predictions) -> None:
    rows = [row for row in predictions.table.to_pylist() if row["site"] != "south" or row["truth"] == "A4C"]
    assert list(class_curves(with_rows(predictions, rows), "fix-0")) == ["north", "east"]
