"""What the patients of a hospital are like, from an evaluation there: a pilot for the plan of a validation."""

from __future__ import annotations

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.contrasts import wilson
from heart2heart.evaluation.planning import StudyDesign
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.site_metrics import Estimate

_LARGEST_CORRELATION = 0.95
_MARGIN_OF_SHARES = 0.005  # a sensitivity of 0 or 100 % in a pilot is planned half a point from it


def effective_rows(estimate: Estimate, confidence: float) -> float | None:
    """Return the effective number of rows that gives a Wilson interval of a share its width.

    Args:
        estimate: Sensitivity of one class.
        confidence: Nominal coverage of its interval.

    Returns:
        The number, at most the rows of the estimate; None without an interval.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    if estimate.value is None or estimate.low is None or estimate.high is None or estimate.clusters < 2:
        return None
    value, width = np.array(estimate.value), estimate.high - estimate.low
    quantile = np.array(float(stdtrit(estimate.clusters - 1, (1 + confidence) / 2)))

    def excess(effective: float) -> float:
        low, high = wilson(value, np.array(effective), quantile)
        return float(high - low) - width

    smallest, largest = 1e-3, float(estimate.n)
    if excess(largest) >= 0:
        return largest
    return smallest if excess(smallest) <= 0 else float(brentq(excess, smallest, largest))


def intra_cluster_correlation(estimate: Estimate, confidence: float) -> float | None:
    """Return the correlation of right and wrong frames of one patient, from the design effect of a sensitivity.

    The design effect is 1 + (frames a patient - 1) x correlation (Kish, "Survey Sampling", 1965, section 5.4).

    Args:
        estimate: Sensitivity of one class.
        confidence: Nominal coverage of its interval.

    Returns:
        The correlation, 0 to 0.95; None without an interval or with one frame a patient.
    """
    effective = effective_rows(estimate, confidence)
    frames = estimate.n / max(estimate.clusters, 1)
    if effective is None or frames <= 1:
        return None
    correlation = (estimate.n / effective - 1) / (frames - 1)
    return float(np.clip(correlation, 0.0, _LARGEST_CORRELATION))


def design_of(metrics: Metrics, site: str, run: int = 0) -> StudyDesign:
    """Return the design of a hospital as a pilot found it: each class present with two patients or more.

    Args:
        metrics: An evaluation.
        site: A hospital of it.
        run: Position of the run.

    Raises:
        EvaluationError: the hospital is not in the evaluation, or has no class with an interval.
    """
    names = [summary.site for summary in metrics.sites]
    if site not in names:
        remedy = f"Known: {', '.join(names)}"
        raise EvaluationError("this hospital is not in the pilot", where=site, remedy=remedy)
    summary = metrics.sites[names.index(site)]
    sensitivity = metrics.runs[run].sites[names.index(site)].sensitivity
    usable = {name: each for name, each in sensitivity.items() if each.low is not None and each.value is not None}
    if not usable:
        what = "no class of this hospital has an interval, so nothing can be planned from it"
        raise EvaluationError(
            what, where=site, remedy=f"Use a pilot with two {metrics.unit}s a class, or assumed values"
        )
    known = [intra_cluster_correlation(each, metrics.confidence) for each in usable.values()]
    correlations = [each for each in known if each is not None]
    rows = sum(each.n for each in usable.values())
    holders = sum(each.clusters for each in usable.values())
    low, high = _MARGIN_OF_SHARES, 1 - _MARGIN_OF_SHARES
    return StudyDesign(
        accuracy=tuple(min(max(each.value or 0.0, low), high) for each in usable.values()),
        prevalence=tuple(each.clusters / summary.clusters for each in usable.values()),
        frames=max(1.0, rows / holders),
        correlation=float(np.mean(correlations)) if correlations else 0.0,
    )
