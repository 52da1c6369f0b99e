"""Label shift: views that are more or less frequent at a hospital than at the source, and a correction for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints, balanced_accuracy, clustered_confusion
from heart2heart.evaluation.probabilities import log_probabilities, nll_rows
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import LabelShift

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
    from scipy.optimize import nnls

    known = np.flatnonzero(~np.isnan(rates[:, 0]))
    # The last equation requires a sum of 1; because of its large weight it holds up to rounding.
    system = np.vstack([rates[known].T, np.full(len(known), _SUM_WEIGHT)])
    weights, _ = nnls(system, np.append(np.exp(log_p).mean(0), _SUM_WEIGHT))
    shares = np.zeros(len(rates))
    shares[known] = weights / weights.sum()
    return shares


def score_shift(
    site: ScoredSite, log_p: Floats, source: Floats | None, rates: Floats | None, classes: Sequence[str]
) -> LabelShift | None:
    """Compare the shares of the views at a site with the shares at the source; None without source validation frames.

    Args:
        site: The site.
        log_p: Temperature-scaled log-probabilities of the scored frames `(n, classes)`.
        source: Share of each class among the source validation frames `(classes,)`.
        rates: From `class_rates`, of the source validation frames.
        classes: Names of the classes.
    """
    if source is None or rates is None:
        return None
    size = len(classes)
    site_shares = np.bincount(site.truth, minlength=size) / len(site.truth)
    estimated = estimate_shares(log_p, rates)
    adjusted = log_probabilities(
        log_p + np.log(np.maximum(estimated, _SMALLEST_SHARE)) - np.log(np.maximum(source, _SMALLEST_SHARE))
    )
    confusion = clustered_confusion(site.truth, adjusted.argmax(1), np.zeros_like(site.truth), 1, size)[0]
    return LabelShift(
        source_shares=dict(zip(classes, source.tolist(), strict=True)),
        shares=dict(zip(classes, site_shares.tolist(), strict=True)),
        distance=float(np.abs(site_shares - source).sum() / 2),
        estimated_shares=dict(zip(classes, estimated.tolist(), strict=True)),
        nll_adjusted=float(nll_rows(adjusted, site.truth).mean()),
        balanced_accuracy_adjusted=float(balanced_accuracy(confusion, site.present)),
    )
