"""Label shift: views that are more or less frequent at a hospital than at the source, and a correction for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints, balanced_accuracy, clustered_confusion
from heart2heart.evaluation.intervals import CONFIDENCE, Weights, cluster_weights
from heart2heart.evaluation.probabilities import log_probabilities, nll_rows
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import LabelShift

SMALLEST_SINGULAR_VALUE = 0.1
"""Smallest singular value of the mean probabilities by true class with which shares are estimated."""

_REPLICATES = 400
_REFUSED_BELOW = 0.05  # p-value of the hypothesis that the frames are a mixture of the source's
_SMALLEST_LOGARITHM = -10.0
_SUM_WEIGHT = 1e3
_SMALLEST_SHARE = 1e-6  # smaller shares are raised to it, so that their logarithm is finite


def class_rates(log_p: Floats, truth: Ints) -> Floats:
    """Compute the mean predicted probabilities of the frames of each true class.

    Args:
        log_p: Log-probabilities of the source validation frames `(n, classes)`.
        truth: True class `(n,)`.

    Returns:
        `(classes, classes)`, one row per true class; the row of a class without a frame is NaN.
    """
    rates = np.full((log_p.shape[1], log_p.shape[1]), np.nan)
    for label in np.unique(truth):
        rates[label] = np.exp(log_p[truth == label]).mean(0)
    return rates


def estimate_shares(log_p: Floats, rates: Floats) -> Floats:
    """Estimate the share of each class at a site without labels, by probabilistic adjusted counting (PACC).

    The estimate is the mixture of `rates` that is closest, by least squares, to the mean probabilities at the site:
    Bella et al., "Quantification via Probability Estimators" (ICDM 2010), for more than two classes. See
    docs/decisions/0007-label-shift.md.

    Args:
        log_p: Log-probabilities `(n, classes)`, n > 0, on the scale of `rates`.
        rates: From `class_rates`, of the source; the share of a class without a source frame is 0.

    Returns:
        Shares `(classes,)` that sum to 1.

    Examples:
        >>> rates = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> estimate_shares(np.log([[0.55, 0.45]]), rates).round(2).tolist()
        [0.5, 0.5]
    """
    known = np.flatnonzero(~np.isnan(rates[:, 0]))
    shares = np.zeros(len(rates))
    shares[known] = _mix(np.exp(log_p).mean(0), rates[known])
    return shares


@dataclass(frozen=True)
class ShiftReference:
    """Source validation frames by cluster and true class, for the estimate of shares elsewhere.

    Attributes:
        counts: Frames `(clusters, classes)`.
        sums: Sums of the features of `shift_features` `(clusters, classes, features)`.
    """

    counts: Floats
    sums: Floats

    @classmethod
    def of(cls, log_p: Floats, truth: Ints, cluster: Ints) -> ShiftReference:
        """Sum the features of frames: log-probabilities `(n, classes)`, true class and cluster `(n,)`."""
        _, index = np.unique(cluster, return_inverse=True)
        size, clusters = log_p.shape[1], int(index.max()) + 1
        features = shift_features(log_p)
        cell = index * size + truth
        counts = np.bincount(cell, minlength=clusters * size).reshape(clusters, size)
        columns = [np.bincount(cell, column, clusters * size) for column in features.T]
        sums: Floats = np.stack(columns, -1).astype(np.float64).reshape(clusters, size, features.shape[1])
        return cls(counts.astype(np.float64), sums)

    @property
    def shares(self) -> Floats:
        """Share of each class `(classes,)`."""
        total: Floats = self.counts.sum(0) / self.counts.sum()
        return total

    def means(self, weights: Weights | None = None) -> Floats:
        """Return the mean features by true class `(..., classes, features)`; NaN for a class without a frame.

        Args:
            weights: Cluster weights `(replicates, clusters)`; None counts each cluster once.
        """
        each = np.ones((1, len(self.counts))) if weights is None else weights.astype(np.float64)
        with np.errstate(invalid="ignore"):
            mean: Floats = np.tensordot(each, self.sums, 1) / (each @ self.counts)[..., None]
        return mean[0] if weights is None else mean


def shift_features(log_p: Floats) -> Floats:
    """Return the features whose means are compared `(n, 3 classes)`.

    The probabilities are fitted. The logarithms, from -10 on, and their squares only show whether the frames here look
    like a mixture of those of the source.
    """
    logs = np.maximum(log_p, _SMALLEST_LOGARITHM)
    return np.concatenate([np.exp(log_p), logs, logs**2], axis=1)


@dataclass(frozen=True)
class ShareEstimate:
    """Estimated shares of the classes at a site, or why they are not estimable.

    Attributes:
        shares: `(classes,)`; None if they are not estimable.
        low: Lower limits `(classes,)`.
        high: Upper limits `(classes,)`.
        reason: Why the shares are not estimable.
    """

    shares: Floats | None
    low: Floats | None
    high: Floats | None
    reason: str | None


def estimate_with_interval(
    log_p: Floats, cluster: Ints, weights: Weights, reference: ShiftReference, classes: Sequence[str]
) -> ShareEstimate:
    """Estimate the shares at a site without its labels, with intervals over clusters of the site and of the source.

    The estimate is refused if the classes are nearly alike in the predictions of the source (a small singular value
    multiplies every error), or if the frames here are no mixture of the source's: the distance of the means of
    `shift_features` from the best mixture is compared with that of resampled mixtures.

    Args:
        log_p: Temperature-scaled log-probabilities of the frames `(n, classes)`.
        cluster: Cluster of each frame `(n,)`.
        weights: Cluster weights of the site `(replicates, clusters)`.
        reference: The source validation frames, on the same scale.
        classes: Names of the classes.
    """
    size = len(classes)
    missing = [classes[int(label)] for label in np.flatnonzero(reference.shares == 0)]
    if missing:
        return _refused(f"the source validation frames have no {missing[0]}")
    if weights.shape[1] < 2 or len(reference.counts) < 2:
        return _refused("the frames of the site or of the source validation come from one cluster")
    means = reference.means()
    smallest = float(np.linalg.svd(means[:, :size], compute_uv=False).min())
    if smallest < SMALLEST_SINGULAR_VALUE:
        return _refused(f"the model tells the classes apart too little at the source (singular value {smallest:.2f})")
    draws = weights[:_REPLICATES].astype(np.float64)
    columns = np.stack([np.bincount(cluster, column, draws.shape[1]) for column in shift_features(log_p).T], axis=1)
    counts = np.bincount(cluster, minlength=draws.shape[1])
    here = columns.sum(0) / counts.sum()
    here_drawn = (draws @ columns) / (draws @ counts)[:, None]
    means_drawn = reference.means(cluster_weights(len(reference.counts), len(draws), 0, "label shift"))
    usable = ~np.isnan(means_drawn).any((1, 2))
    here_drawn, means_drawn = here_drawn[usable], means_drawn[usable]
    shares = _mix(here[:size], means[:, :size])
    drawn = np.stack([_mix(h[:size], m[:, :size]) for h, m in zip(here_drawn, means_drawn, strict=True)])
    deviation = (here_drawn - here) - np.einsum("c,rcf->rf", shares, means_drawn - means)
    # A hundredth of the variances is added to the covariance, which the replicates give with noise.
    covariance = np.cov(deviation.T) + np.diag(deviation.var(0) / 100 + _SMALLEST_SHARE**2)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    distance = _distance(here, means, whitening)
    mixtures = shares @ means + (here_drawn - here)
    distances = np.array([_distance(t, m, whitening) for t, m in zip(mixtures, means_drawn, strict=True)])
    p = (1 + int((distances >= distance).sum())) / (1 + len(distances))
    if p < _REFUSED_BELOW:
        return _refused("the predictions here are no mixture of those at the source: the classes look different here")
    low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), axis=0)
    return ShareEstimate(shares, low, high, None)


def _refused(reason: str) -> ShareEstimate:
    return ShareEstimate(None, None, None, reason)


def _mix(mean: Floats, rates: Floats) -> Floats:
    """Return the shares of the mixture of `rates` that is closest to `mean`."""
    from scipy.optimize import nnls

    # The last equation requires a sum of 1; because of its large weight it holds up to rounding.
    weights, _ = nnls(np.vstack([rates.T, np.full(len(rates), _SUM_WEIGHT)]), np.append(mean, _SUM_WEIGHT))
    shares: Floats = weights / weights.sum()
    return shares


def _distance(mean: Floats, means: Floats, whitening: Floats) -> float:
    """Return the squared distance of `mean` from the closest mixture of `means`, both whitened."""
    target, parts = mean @ whitening, means @ whitening
    return float(((target - _mix(target, parts) @ parts) ** 2).sum())


def score_shift(
    site: ScoredSite, log_p: Floats, reference: ShiftReference | None, classes: Sequence[str]
) -> LabelShift | None:
    """Compare the shares of the views at a site with the shares at the source; None without source validation frames.

    Args:
        site: The site.
        log_p: Temperature-scaled log-probabilities of the scored frames `(n, classes)`.
        reference: The source validation frames.
        classes: Names of the classes.
    """
    if reference is None:
        return None
    size, source = len(classes), reference.shares
    site_shares = np.bincount(site.truth, minlength=size) / len(site.truth)
    estimate = estimate_with_interval(log_p, site.cluster, site.frames.weights, reference, classes)
    shift = LabelShift(
        source_shares=dict(zip(classes, source.tolist(), strict=True)),
        shares=dict(zip(classes, site_shares.tolist(), strict=True)),
        distance=float(np.abs(site_shares - source).sum() / 2),
        estimated_shares=None,
        estimated_low=None,
        estimated_high=None,
        nll_adjusted=None,
        balanced_accuracy_adjusted=None,
        reason=estimate.reason,
    )
    if estimate.shares is None or estimate.low is None or estimate.high is None:
        return shift
    adjusted = log_probabilities(
        log_p + np.log(np.maximum(estimate.shares, _SMALLEST_SHARE)) - np.log(np.maximum(source, _SMALLEST_SHARE))
    )
    confusion = clustered_confusion(site.truth, adjusted.argmax(1), np.zeros_like(site.truth), 1, size)[0]
    return shift.model_copy(
        update={
            "estimated_shares": dict(zip(classes, estimate.shares.tolist(), strict=True)),
            "estimated_low": dict(zip(classes, estimate.low.tolist(), strict=True)),
            "estimated_high": dict(zip(classes, estimate.high.tolist(), strict=True)),
            "nll_adjusted": float(nll_rows(adjusted, site.truth).mean()),
            "balanced_accuracy_adjusted": float(balanced_accuracy(confusion, site.present)),
        }
    )
