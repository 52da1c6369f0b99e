"""Scores of how unlike clips are to those that a model knows; a larger score is less alike.

The formulas follow Hendrycks and Gimpel (ICLR 2017), Liu et al. (NeurIPS 2020), Lee et al. (NeurIPS 2018) and Sun et
al. (ICML 2022). Yang et al. (OpenOOD, NeurIPS 2022) compare them. Labeled clips of other views are told
apart by linear discriminant analysis (Hastie, Tibshirani and Friedman, 2009, section 4.3).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from heart2heart.schema.clip_probabilities import log_softmax

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHRINKAGE = 0.1
"""Weight of the isotropic part in the covariance of `mahalanobis`, so that few clips suffice."""
DISCRIMINANT_SHRINKAGE = 0.3
"""The same in that of `other_views`, chosen on development hospitals among 0.1, 0.3 and 0.6."""
_QUERIES = 256  # clips compared at a time, which bounds memory


def max_softmax_score(logits: Floats) -> Floats:
    """Return 1 less the largest probability `(n,)` of logits `(n, classes)`.

    Examples:
        >>> max_softmax_score(np.log([[0.7, 0.2, 0.1]])).round(2).tolist()
        [0.3]
    """
    return np.asarray(1 - np.exp(log_softmax(logits)).max(1), np.float64)


def energy_score(logits: Floats) -> Floats:
    """Return the negative logarithm of the sum of the exponentials of logits `(n, classes)`, `(n,)`.

    Examples:
        >>> energy_score(np.log([[2.0, 1.0, 1.0]])).round(4).tolist()
        [-1.3863]
    """
    largest = logits.max(1, initial=-np.inf)
    return np.asarray(-(largest + np.log(np.exp(logits - largest[:, None]).sum(1))), np.float64)


def class_precision(features: Floats, label: Ints, classes: int, shrinkage: float = SHRINKAGE) -> tuple[Floats, Floats]:
    """Return the class means `(classes, d)` and the inverse of their common covariance `(d, d)`.

    The covariance is shrunk towards a multiple of the identity. The mean of a class without a clip is NaN.

    Args:
        features: `(n, d)`.
        label: Class of each clip `(n,)`.
        classes: Number of classes.
        shrinkage: Weight of the isotropic part.

    Examples:
        >>> means, _ = class_precision(np.array([[0.0], [2.0], [9.0]]), np.array([0, 0, 1]), 2)
        >>> means.tolist()
        [[1.0], [9.0]]
    """
    counts = np.bincount(label, minlength=classes)
    sums = np.zeros((classes, features.shape[1]))
    np.add.at(sums, label, features)
    means = np.full_like(sums, np.nan)
    np.divide(sums, counts[:, None], out=means, where=counts[:, None] > 0)
    centred = features - means[label]
    covariance = centred.T @ centred / max(len(features), 1)
    size = len(covariance)
    isotropic = max(float(np.trace(covariance)) / size, 1e-12)
    covariance = (1 - shrinkage) * covariance + shrinkage * isotropic * np.eye(size)
    return means, np.asarray(np.linalg.inv(covariance), np.float64)


def mahalanobis_score(features: Floats, means: Floats, precision: Floats) -> Floats:
    """Return the squared Mahalanobis distance to the nearest class mean `(n,)`; classes with a NaN mean do not count.

    Args:
        features: `(n, d)`.
        means: `(classes, d)`.
        precision: `(d, d)`.

    Examples:
        >>> mahalanobis_score(np.array([[3.0]]), np.array([[1.0], [9.0]]), np.array([[0.5]])).tolist()
        [2.0]
    """
    present = means[~np.isnan(means).any(1)]
    return np.asarray(_squared_distances(features, present, precision).min(1), np.float64)


def other_view_score(features: Floats, means: Floats, precision: Floats) -> Floats:
    """Return the log odds `(n,)` that a clip shows another view, by linear discriminant analysis.

    The views of the model are as likely as another view, and each of them as likely as the next; those with a NaN mean
    do not count.

    Args:
        features: `(n, d)`.
        means: `(classes + 1, d)`; the last one is that of clips of other views.
        precision: `(d, d)`.

    Examples:
        >>> other_view_score(np.array([[0.0], [3.0]]), np.array([[0.0], [2.0]]), np.eye(1)).tolist()
        [-2.0, 4.0]
    """
    inside = means[:-1][~np.isnan(means[:-1]).any(1)]
    distances = _squared_distances(features, np.vstack([inside, means[-1:]]), precision)
    return np.asarray(
        -distances[:, -1] / 2 - logsumexp(-distances[:, :-1] / 2, axis=1) + np.log(len(inside)), np.float64
    )


def _squared_distances(features: Floats, means: Floats, precision: Floats) -> Floats:
    """Return the squared Mahalanobis distance of each clip to each mean `(n, means)`."""
    columns = [np.einsum("nd,nd->n", (features - mean) @ precision, features - mean) for mean in means]
    return np.stack(columns, axis=1)


def knn_score(
    features: Floats, reference: Floats, neighbours: int, leave_out: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Return the Euclidean distance to the k-th nearest reference clip `(n,)`, both scaled to length 1.

    Args:
        features: `(n, d)`.
        reference: `(m, d)`, m at least 1.
        neighbours: k; of fewer reference clips the farthest counts.
        leave_out: bool `(n, m)`: reference clips that a clip is not compared with, such as those of its patient; at
            least one must be left. None compares with all.

    Returns:
        float64, 0 to 2.

    Examples:
        >>> knn_score(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 3.0]]), 2).round(4).tolist()
        [1.4142]
    """
    unit = _unit(reference)
    scores = np.empty(len(features))
    for start in range(0, len(features), _QUERIES):
        similarity = _unit(features[start : start + _QUERIES]) @ unit.T
        if leave_out is not None:
            similarity[leave_out[start : start + _QUERIES]] = -np.inf
        squared = np.sort(np.maximum(2 - 2 * similarity, 0), axis=1)
        last = np.minimum(np.isfinite(squared).sum(1), neighbours) - 1
        scores[start : start + _QUERIES] = np.sqrt(squared[np.arange(len(squared)), last])
    return scores


def _unit(features: Floats) -> Floats:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12), np.float64)
