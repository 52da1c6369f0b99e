"""Label shift: views that are more or less frequent here than at the source, and an allowance for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints, balanced_accuracy, clustered_confusion
from heart2heart.evaluation.probabilities import log_probabilities, nll_rows
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import LabelShift

_SUM_WEIGHT = 1e3
_LEAST = 1e-6  # share below which a view is not pushed: its logarithm must stay finite


def class_rates(log_p: Floats, truth: Ints) -> Floats:
    """Return the mean probabilities of the frames of each true class.

    Args:
        log_p: Log-probabilities of the source validation frames `(n, classes)`.
        truth: True class `(n,)`.

    Returns:
        `(classes, classes)`, one row a true class; a class without a frame has a row of NaN.
    """
    rates = np.full((log_p.shape[1], log_p.shape[1]), np.nan)
    for label in np.unique(truth):
        rates[label] = np.exp(log_p[truth == label]).mean(0)
    return rates


def estimate_shares(log_p: Floats, rates: Floats) -> Floats:
    """Estimate how frequent each class is here, from predictions alone, by probabilistic adjusted counting (PACC).

    Bella et al., "Quantification via Probability Estimators" (ICDM 2010), for several classes: the shares whose mixture
    of `rates` is closest, by least squares, to the mean probabilities here. See docs/decisions/0007-label-shift.md.

    Args:
        log_p: Log-probabilities `(n, classes)`, n > 0, on the scale of `rates`.
        rates: From `class_rates`, of the source; a class without a frame there gets no share here.

    Returns:
        Shares `(classes,)` that sum to 1.
    """
    from scipy.optimize import nnls

    known = np.flatnonzero(~np.isnan(rates[:, 0]))
    # The last equation asks for a sum of 1; its weight makes it hold up to rounding.
    system = np.vstack([rates[known].T, np.full(len(known), _SUM_WEIGHT)])
    weights, _ = nnls(system, np.append(np.exp(log_p).mean(0), _SUM_WEIGHT))
    shares = np.zeros(len(rates))
    shares[known] = weights / weights.sum()
    return shares


def score_shift(
    site: ScoredSite, log_p: Floats, source: Floats | None, rates: Floats | None, classes: Sequence[str]
) -> LabelShift | None:
    """Compare the shares of the views here with the source's; None without source validation frames.

    Args:
        site: The site.
        log_p: Temperature-scaled log-probabilities of the scored frames `(n, classes)`.
        source: Share of each class among the source validation frames `(classes,)`.
        rates: From `class_rates`, of the source validation frames.
        classes: Their names.
    """
    if source is None or rates is None:
        return None
    size = len(classes)
    here = np.bincount(site.truth, minlength=size) / len(site.truth)
    found = estimate_shares(log_p, rates)
    adjusted = log_probabilities(log_p + np.log(np.maximum(found, _LEAST)) - np.log(np.maximum(source, _LEAST)))
    confusion = clustered_confusion(site.truth, adjusted.argmax(1), np.zeros_like(site.truth), 1, size)[0]
    return LabelShift(
        source_shares=dict(zip(classes, source.tolist(), strict=True)),
        shares=dict(zip(classes, here.tolist(), strict=True)),
        distance=float(np.abs(here - source).sum() / 2),
        estimated_shares=dict(zip(classes, found.tolist(), strict=True)),
        nll_adjusted=float(nll_rows(adjusted, site.truth).mean()),
        balanced_accuracy_adjusted=float(balanced_accuracy(confusion, site.present)),
    )
