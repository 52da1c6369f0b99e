"""Synthetic predictions, evaluated and reported once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.writer import write_report
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import make_predictions
from tests.reporting.page import Page
from tests.reporting.rich import make_rich


@pytest.fixture(scope="session")
def predictions() -> Predictions:
    return make_predictions()


@pytest.fixture(scope="session")
def metrics(predictions: Predictions) -> Metrics:
    return evaluate_predictions(predictions, replicates=400)


@pytest.fixture(scope="session")
def report(predictions: Predictions, metrics: Metrics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(predictions, metrics, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def rich() -> Predictions:
    return make_rich()


@pytest.fixture(scope="session")
def rich_metrics(rich: Predictions) -> Metrics:
    metrics = evaluate_predictions(rich, replicates=200)
    edge = metrics.runs[-1].temperature.model_copy(update={"reason": "at the end of the search"})
    last = metrics.runs[-1].model_copy(update={"temperature": edge})
    return metrics.model_copy(update={"runs": (*metrics.runs[:-1], last)})


@pytest.fixture(scope="session")
def rich_report(rich: Predictions, rich_metrics: Metrics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(rich, rich_metrics, tmp_path_factory.mktemp("rich") / "report.html")


@pytest.fixture(scope="session")
def rich_page(rich_report: Path) -> Page:
    return Page.read(rich_report)
