"""Statistics of confusion matrices: sensitivity, positive predictive value, F1 and balanced accuracy.

Every function accepts a stack of matrices `(..., classes, classes)`, so one call computes all bootstrap replicates. A
ratio with an empty denominator is NaN here and "not estimable" in `metrics.json`; it is never 0.
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
        weights: Weight of each row `(n,)`; 1 when omitted.

    Returns:
        One confusion matrix per cluster, `(clusters, classes, classes)`. Their sum is the confusion matrix of all rows.
    """
    cell = (cluster * classes + truth) * classes + predicted
    sums = np.bincount(cell, weights=weights, minlength=clusters * classes * classes)
    return sums.astype(np.float64).reshape(clusters, classes, classes)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def sensitivity(confusion: Floats) -> Floats:
    """Compute the share of each true class that is predicted correctly (recall).

    Args:
        confusion: Confusion matrices `(..., classes, classes)`; rows are the truth.

    Returns:
        Sensitivity of each class `(..., classes)`; NaN for a class without a row.

    Examples:
        >>> sensitivity(np.array([[8.0, 2.0], [1.0, 3.0]])).tolist()
        [0.8, 0.75]
    """
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1))


def positive_predictive_value(confusion: Floats) -> Floats:
    """Compute the share of each predicted class that is correct (precision).

    Args:
        confusion: Confusion matrices `(..., classes, classes)`; rows are the truth.

    Returns:
        Positive predictive value of each class `(..., classes)`; NaN for a class that is never predicted.

    Examples:
        >>> positive_predictive_value(np.array([[9.0, 2.0], [3.0, 6.0]])).tolist()
        [0.75, 0.75]
    """
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-2))


def f1(confusion: Floats) -> Floats:
    """Compute F1 of each class, `2 TP / (2 TP + FP + FN)`: `(..., classes, classes)` to `(..., classes)`.

    The result is NaN for a class that is neither present nor predicted.
    """
    return _ratio(2 * np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1) + confusion.sum(-2))


def balanced_accuracy(confusion: Floats, labels: Sequence[int]) -> Floats:
    """Compute the mean sensitivity over `labels`.

    Args:
        confusion: Confusion matrices `(..., classes, classes)`. Predictions outside `labels` count as errors.
        labels: Classes to average over: those present at the site.

    Returns:
        Balanced accuracy `(...)`; NaN if one of `labels` has no row.

    Examples:
        >>> float(balanced_accuracy(np.array([[8.0, 2.0], [1.0, 3.0]]), labels=[0, 1]))
        0.775
    """
    return _mean_over(sensitivity(confusion), labels)


def macro_f1(confusion: Floats, labels: Sequence[int]) -> Floats:
    """Compute the mean F1 over a fixed set of classes: `(..., classes, classes)` to `(...)`.

    The caller fixes the set. The default of scikit-learn also averages over classes that are predicted but not present,
    so its set of classes depends on the predictions.
    """
    return _mean_over(f1(confusion), labels)


def _mean_over(by_class: Floats, labels: Sequence[int]) -> Floats:
    if not labels:
        return np.full(by_class.shape[:-1], np.nan)
    mean: Floats = by_class[..., list(labels)].mean(-1)
    return mean
