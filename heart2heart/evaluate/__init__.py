"""From `predictions.parquet` to `metrics.json`: intervals by cluster bootstrap, paired comparison, calibration."""

from heart2heart.evaluate.evaluation import evaluate_predictions, read_metrics, write_metrics
from heart2heart.evaluate.schema import Metrics

__all__ = ["Metrics", "evaluate_predictions", "read_metrics", "write_metrics"]
