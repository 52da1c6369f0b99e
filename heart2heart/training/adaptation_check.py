"""Checks, made without labels, whether adapted statistics do harm; each compares predictions before and after."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from heart2heart.schema.adaptation import AdaptationCheck, PredictionSummary

Floats = npt.NDArray[np.float64]

GAIN = "gain"
"""Name of the check that there is something to mend."""

CONFIDENT = 0.9
"""A prediction with at least this probability is confident."""

MIN_PATIENTS = 2.0
"""Fewest effective patients."""

MIN_CLIPS = 8
"""Fewest clips: on real clips, statistics of two clips of two patients cost 12 to 18 points."""

MIN_INFORMATION = 0.75
"""Least information that predictions hold, before and after, as a share of that of the run's predictions at its source:
a network that was trained on mixed labels is nowhere certain. Statistics of a hospital that holds one view centre that
view between all views: its frames then get no clear view. Where it holds two, the adapted predictions show views that
are not there, so the unadapted ones count as well. On synthetic hospitals the share of the unadapted ones was 0.90 to
0.99 where all views were there, and 0.43 to 0.60 where two were (docs/results/fresh-hospitals.md)."""

RESTORED_INFORMATION = 0.9
"""Least share of the adapted predictions where the unadapted ones hold less than `MIN_INFORMATION`: the hospital lacks
views, or the run fails there. Of hospitals with two views the adapted predictions held at most 0.83."""

SOURCE_INFORMATION = 2 / 3
"""Assumed for a run that does not record the information at its source: about that of networks of unmixed labels."""

MIN_GAIN = 1.15
"""Least information of the adapted predictions, as a multiple of that of the unadapted ones. Where a run carries over
there is nothing to mend, and statistics of other patients and views cost 2 points on average. In 104 cases on synthetic
hospitals a rise to 1.12 or more never cost more than 0.2 points and brought up to 12; below it half of the cases lost
more than 1 (docs/results/fresh-hospitals.md)."""

MAX_ENTROPY_RISE = 0.15
"""Largest rise of the mean entropy, as a share of the entropy of a guess over all views."""

MAX_SHARE = 0.9
"""Largest share that a view may have of the predictions, unless it had it before."""


def summarise_predictions(probabilities: Floats, weights: Floats, classes: tuple[str, ...]) -> PredictionSummary:
    """Return entropy, information, shares and confidence of predictions.

    Args:
        probabilities: `(n, classes)`.
        weights: Weight of each frame `(n,)`, summing to 1.
        classes: Names of the views.
    """
    shares = np.bincount(probabilities.argmax(1), weights, len(classes))
    return PredictionSummary(
        entropy=mean_entropy(probabilities, weights),
        information=mutual_information(probabilities, weights),
        shares=dict(zip(classes, shares.tolist(), strict=True)),
        confident=float(weights[probabilities.max(1) >= CONFIDENT].sum()),
    )


def mean_entropy(probabilities: Floats, weights: Floats) -> float:
    """Return the weighted mean of the entropy of each row, nats; the weights sum to 1."""
    rows = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1)
    return float(weights @ rows)


def mutual_information(probabilities: Floats, weights: Floats) -> float:
    """Return the mutual information of frame and view under the probabilities, nats; the weights sum to 1.

    It is the entropy of the mean probabilities less the mean entropy: high where each frame gets a clear view and the
    frames together get several.
    """
    return mean_entropy((weights @ probabilities)[None], np.ones(1)) - mean_entropy(probabilities, weights)


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


def check_clips(clips: int) -> AdaptationCheck:
    """Check that the statistics are of several clips."""
    return AdaptationCheck(
        name="clips", passed=clips >= MIN_CLIPS, detail=f"the frames are of {clips} clips (at least {MIN_CLIPS})"
    )


def check_views(
    before: PredictionSummary, after: PredictionSummary, source_information: float | None
) -> AdaptationCheck:
    """Check that the hospital seems to hold all of the views, by what the predictions tell of them.

    Args:
        before: The predictions of the unadapted run.
        after: The adapted predictions.
        source_information: Information that the run's predictions hold at its source, as a share of that of certain
            predictions of equally frequent views; None if it was not recorded.
    """
    source = SOURCE_INFORMATION if source_information is None else source_information
    first, last = (each.information / math.log(len(each.shares)) for each in (before, after))
    least = MIN_INFORMATION if first >= MIN_INFORMATION * source else RESTORED_INFORMATION
    return AdaptationCheck(
        name="views",
        passed=last >= least * source,
        detail=f"the predictions hold {last:.0%} of the information of equally frequent views, and held {first:.0%}"
        f" before (at least {least * source:.0%}, {least:.0%} of that at the source; less where views are missing)",
    )


def check_gain(before: PredictionSummary, after: PredictionSummary) -> AdaptationCheck:
    """Check that the predictions tell more than they did, so that there was something to mend."""
    least = MIN_GAIN * before.information
    return AdaptationCheck(
        name=GAIN,
        passed=after.information >= least,
        detail=f"the information of the predictions went from {before.information:.2f} to {after.information:.2f} nats"
        f" (at least {least:.2f}, {MIN_GAIN:g} times as much)",
    )


def check_entropy(before: PredictionSummary, after: PredictionSummary) -> AdaptationCheck:
    """Check that predictions do not become much less certain."""
    limit = before.entropy + MAX_ENTROPY_RISE * math.log(len(before.shares))
    return AdaptationCheck(
        name="entropy",
        passed=after.entropy <= limit,
        detail=f"the mean entropy of the predictions went from {before.entropy:.2f} to {after.entropy:.2f}"
        f" (at most {limit:.2f})",
    )


def check_collapse(before: PredictionSummary, after: PredictionSummary) -> AdaptationCheck:
    """Check that predictions do not become those of one view."""
    view, share = max(after.shares.items(), key=lambda item: item[1])
    limit = max(MAX_SHARE, before.shares[view])
    return AdaptationCheck(
        name="collapse",
        passed=share <= limit + 1e-9,
        detail=f"{view} is predicted for {share:.0%} of the frames, and was for {before.shares[view]:.0%}"
        f" (at most {limit:.0%})",
    )
