"""Statistics of a confusion matrix; every function takes a stack of them, so a bootstrap replicate costs one axis.

A ratio with an empty denominator is NaN here and "not estimable" in `metrics.json`; it is never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def clustered_confusion(
    truth: Ints, predicted: Ints, cluster: Ints, clusters: int, classes: int, weights: Floats | None = None
) -> Floats:
    """Sum the weights by cluster, true class (row) and predicted class (column).

    Args:
        truth: True class `(n,)`, 0 to `classes - 1`.
        predicted: Predicted class `(n,)`.
        cluster: Cluster of each row `(n,)`, 0 to `clusters - 1`.
        clusters: Number of clusters.
        classes: Number of classes.
        weights: Weight of each row `(n,)`; one each when omitted.

    Returns:
        One confusion matrix a cluster, `(clusters, classes, classes)`; their sum is that of all rows.
    """
    cell = (cluster * classes + truth) * classes + predicted
    sums = np.bincount(cell, weights=weights, minlength=clusters * classes * classes)
    return sums.astype(np.float64).reshape(clusters, classes, classes)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def sensitivity(confusion: Floats) -> Floats:
    """Share of each true class that is predicted so: `(..., classes, classes)` to `(..., classes)`; NaN if absent."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1))


def positive_predictive_value(confusion: Floats) -> Floats:
    """Share of each predicted class that is right, `(..., classes, classes)` to `(..., classes)`; NaN if none is."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-2))


def f1(confusion: Floats) -> Floats:
    """F1 of each class, `2 TP / (2 TP + FP + FN)`: `(..., classes, classes)` to `(..., classes)`; NaN if absent."""
    return _ratio(2 * np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1) + confusion.sum(-2))


def balanced_accuracy(confusion: Floats, labels: Sequence[int]) -> Floats:
    """Mean sensitivity over `labels`: `(..., classes, classes)` to `(...)`.

    Args:
        confusion: Confusion matrices. Predictions outside `labels` count as errors.
        labels: The classes averaged over: those present at the site. NaN where one has no weight.
    """
    return _mean_over(sensitivity(confusion), labels)


def macro_f1(confusion: Floats, labels: Sequence[int]) -> Floats:
    """Mean F1 over a fixed set of classes: `(..., classes, classes)` to `(...)`.

    The set is given, not read off the predictions: scikit-learn's default changes it whenever a model invents a class.
    """
    return _mean_over(f1(confusion), labels)


def _mean_over(by_class: Floats, labels: Sequence[int]) -> Floats:
    if not labels:
        return np.full(by_class.shape[:-1], np.nan)
    mean: Floats = by_class[..., list(labels)].mean(-1)
    return mean
