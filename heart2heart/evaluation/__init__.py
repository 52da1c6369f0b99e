"""Computes metrics and their intervals from predictions alone; imports no deep-learning library."""

from heart2heart.evaluation.cross_split import evaluate_folds
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.metrics_files import FoldMetrics, read_folds, read_metrics, write_folds, write_metrics

__all__ = [
    "FoldMetrics",
    "Metrics",
    "evaluate_folds",
    "evaluate_predictions",
    "read_folds",
    "read_metrics",
    "write_folds",
    "write_metrics",
]
