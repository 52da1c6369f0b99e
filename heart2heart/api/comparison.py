"""Summarises and compares methods over several splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heart2heart.schema.metrics_files import FoldMetrics


def evaluate_splits(
    predictions: Sequence[str | Path],
    out: str | Path = "folds.json",
    *,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    margin: str | Path | None = None,
) -> FoldMetrics:
    """Summarise and compare methods over several splits: folds, or each hospital left out in turn.

    Args:
        predictions: `predictions.parquet` of each split.
        out: JSON file to write.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        margin: File of the largest acceptable loss of a method against another, registered before.

    Examples:
        >>> from heart2heart.api import evaluate_splits
        >>> predictions = ["evaluation/predictions.parquet", "evaluation_b/predictions.parquet"]
        >>> [method.method for method in evaluate_splits(predictions, "folds.json", replicates=200).methods]
        ['labels only']
    """
    from heart2heart.evaluation.cross_split import evaluate_folds
    from heart2heart.schema.margin import read_margin
    from heart2heart.schema.metrics_files import write_folds
    from heart2heart.schema.predictions import Predictions

    parts = [Predictions.read(Path(path)) for path in predictions]
    registered = read_margin(Path(margin)) if margin else None
    metrics = evaluate_folds(parts, replicates=replicates, seed=seed, bca=bca, margin=registered)
    write_folds(metrics, Path(out))
    return metrics


@dataclass(frozen=True)
class ComparisonReport:
    """A report that compares methods over splits.

    Attributes:
        path: The HTML page.
        summary: Its first sentences.
        synthetic: Whether a hospital is simulated.
    """

    path: Path
    summary: str
    synthetic: bool


def compare(folds: str | Path, out: str | Path = "comparison.html") -> ComparisonReport:
    """Write the report that compares several methods across hospitals, from `folds.json`.

    Args:
        folds: File that `evaluate_splits` wrote.
        out: HTML file to write.

    Raises:
        MissingInputError: no such file.

    Examples:
        >>> from heart2heart.api import compare
        >>> compare("folds.json", "comparison.html").path.name
        'comparison.html'
    """
    from heart2heart.reporting.comparison import write_comparison
    from heart2heart.reporting.comparison_sentences import comparison_headline
    from heart2heart.schema.metrics_files import read_folds

    metrics = read_folds(Path(folds))
    return ComparisonReport(write_comparison(metrics, Path(out)), comparison_headline(metrics), metrics.synthetic)
