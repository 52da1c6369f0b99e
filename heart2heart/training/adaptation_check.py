"""Checks, made without labels, whether adapted statistics do harm; each compares predictions before and after."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.schema.adaptation import AdaptationCheck, PredictionSummary
from heart2heart.training.adaptation_priors import shares_overlap

Floats = npt.NDArray[np.float64]

CONFIDENT = 0.9
"""A prediction with at least this probability is confident."""

MIN_PATIENTS = 2.0
"""Fewest effective patients."""

MIN_OVERLAP = 0.5
"""Least overlap of the estimated view shares with those of training: below it the hospital lacks views."""

MAX_ENTROPY_RISE = 0.1
"""Largest rise of the mean entropy, as a share of the entropy of a guess over all views."""

MAX_SHARE = 0.9
"""Largest share that a view may have of the predictions, unless it had it before."""

MAX_DISAGREEMENT = 0.5
"""Largest share of the confident predictions that may change."""


def summarise_predictions(probabilities: Floats, weights: Floats, classes: tuple[str, ...]) -> PredictionSummary:
    """Return entropy, shares and confidence of predictions.

    Args:
        probabilities: `(n, classes)`.
        weights: Weight of each frame `(n,)`, summing to 1.
        classes: Names of the views.
    """
    shares = np.bincount(probabilities.argmax(1), weights, len(classes))
    return PredictionSummary(
        entropy=mean_entropy(probabilities, weights),
        shares=dict(zip(classes, shares.tolist(), strict=True)),
        confident=float(weights[probabilities.max(1) >= CONFIDENT].sum()),
    )


def mean_entropy(probabilities: Floats, weights: Floats) -> float:
    """Return the weighted mean of the entropy of each row, nats; the weights sum to 1."""
    rows = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1)
    return float(weights @ rows)


def confident_disagreement(before: Floats, after: Floats, weights: Floats) -> float | None:
    """Return the share of the confident predictions whose view changes; None if none is confident.

    Args:
        before: Probabilities of the unadapted run `(n, classes)`.
        after: Probabilities after adaptation, of the same frames.
        weights: Weight of each frame `(n,)`.
    """
    confident = before.max(1) >= CONFIDENT
    if not confident.any():
        return None
    changed = before.argmax(1) != after.argmax(1)
    return float(weights[confident & changed].sum() / weights[confident].sum())


def check_patients(effective: float) -> AdaptationCheck:
    """Check that the statistics are of several patients."""
    return AdaptationCheck(
        name="patients",
        passed=effective >= MIN_PATIENTS,
        detail=f"the frames count as those of {effective:.1f} patients (at least {MIN_PATIENTS:.0f})",
    )


def check_views(estimated: Floats, trained: Floats) -> AdaptationCheck:
    """Check that the hospital holds the views that the run was trained with."""
    overlap = shares_overlap(estimated, trained)
    return AdaptationCheck(
        name="views",
        passed=overlap >= MIN_OVERLAP,
        detail=f"estimated view shares overlap those of training by {overlap:.2f} (at least {MIN_OVERLAP})",
    )


def check_entropy(before: PredictionSummary, after: PredictionSummary) -> AdaptationCheck:
    """Check that predictions do not become much less certain."""
    limit = MAX_ENTROPY_RISE * float(np.log(len(before.shares)))
    return AdaptationCheck(
        name="entropy",
        passed=after.entropy <= before.entropy + limit,
        detail=f"mean entropy {before.entropy:.3f} before, {after.entropy:.3f} after (a rise of at most {limit:.3f})",
    )


def check_collapse(before: PredictionSummary, after: PredictionSummary) -> AdaptationCheck:
    """Check that predictions do not become those of one view."""
    view, share = max(after.shares.items(), key=lambda item: item[1])
    return AdaptationCheck(
        name="collapse",
        passed=share <= max(MAX_SHARE, before.shares[view]),
        detail=f"{view} is predicted for {share:.0%} of the frames, before for {before.shares[view]:.0%}",
    )


def check_disagreement(disagreement: float | None) -> AdaptationCheck:
    """Check that confident predictions of the source stay."""
    found = (
        "no prediction was confident" if disagreement is None else f"{disagreement:.0%} of the confident ones change"
    )
    return AdaptationCheck(
        name="disagreement",
        passed=disagreement is None or disagreement <= MAX_DISAGREEMENT,
        detail=f"{found} (at most {MAX_DISAGREEMENT:.0%})",
    )
