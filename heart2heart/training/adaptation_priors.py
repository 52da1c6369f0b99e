"""Class shares of a hospital, estimated from predictions or a few labels, and what follows from them for the logits.

All shares are numpy arrays of `(classes,)` that sum to 1. A few labels also adjust the temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import RunError
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.training.unscored_frames import AdaptationFrames
from heart2heart.utils import random_stream

Floats = npt.NDArray[np.float64]

LEAST_SHARE = 1e-6
"""A share below it counts as this: its logarithm must stay finite."""

MAX_WEIGHT = 5.0
"""Largest weight of a class in `balance_weights`: a few frames of a rare class must not decide the statistics."""


def corrected_probabilities(probabilities: Floats, source: Floats, target: Floats) -> Floats:
    """Return probabilities for a hospital with other class shares (Saerens et al. 2002, equation 2.4).

    Args:
        probabilities: Of a classifier that assumes the shares `source`, `(n, classes)`.
        source: Class shares that the classifier assumes.
        target: Class shares here.
    """
    raised = probabilities * (np.maximum(target, LEAST_SHARE) / np.maximum(source, LEAST_SHARE))
    corrected: Floats = raised / raised.sum(1, keepdims=True)
    return corrected


def estimate_shares_em(
    probabilities: Floats, source: Floats, weights: Floats | None = None, *, iterations: int = 500
) -> Floats:
    """Estimate class shares by expectation maximisation.

    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (Neural
    Computation 2002), section 2.3. The estimate is as good as the probabilities are calibrated.

    Args:
        probabilities: Of a classifier that assumes the shares `source`, `(n, classes)`, n > 0.
        source: Class shares that the classifier assumes.
        weights: Weight of each frame `(n,)`; None weighs all the same.
        iterations: Most iterations; they end when no share changes by more than 1e-6.

    Examples:
        >>> rows = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]])
        >>> estimate_shares_em(rows, np.array([0.5, 0.5])).round(2).tolist()
        [0.81, 0.19]
    """
    shares = np.asarray(source, np.float64)
    for _ in range(iterations):
        updated = np.average(corrected_probabilities(probabilities, source, shares), axis=0, weights=weights)
        if np.abs(updated - shares).max() < 1e-6:
            return np.asarray(updated)
        shares = updated
    return shares


def balance_weights(probabilities: Floats, target: Floats, wanted_shares: Floats) -> Floats:
    """Return a weight for each frame, so that the weighted frames have the shares `wanted_shares`.

    Each class weighs `wanted_shares / target`, at most `MAX_WEIGHT`; a frame has the mean weight of its classes under
    its probabilities. A class that does not occur here cannot be brought back.

    Args:
        probabilities: For the shares `target`, `(n, classes)`.
        target: Class shares here.
        wanted_shares: Class shares that the statistics are to have.

    Returns:
        float64 `(n,)`.
    """
    by_class = np.minimum(wanted_shares / np.maximum(target, LEAST_SHARE), MAX_WEIGHT)
    weights: Floats = probabilities @ by_class
    return weights


def shares_overlap(one: Floats, other: Floats) -> float:
    """Return what two distributions of classes have in common: 1 if they are equal, 0 if no class is in both."""
    return float(np.minimum(one, other).sum())


def logit_offset(source: Floats, target: Floats) -> Floats:
    """Return what must be added to logits so that they assume the shares `target` instead of `source`."""
    offset: Floats = np.log(np.maximum(target, LEAST_SHARE)) - np.log(np.maximum(source, LEAST_SHARE))
    return offset


def shares_of_labels(labels: npt.NDArray[np.int64], source: Floats) -> Floats:
    """Estimate class shares from a few labels, drawn towards the source's shares by one label a class.

    Args:
        labels: Class of each labeled clip, drawn at random, `(k,)`.
        source: Class shares of the source.
    """
    classes = len(source)
    shares: Floats = (np.bincount(labels, minlength=classes) + classes * source) / (len(labels) + classes)
    return shares


Ints = npt.NDArray[np.int64]

TemperatureFit = Callable[[Floats, Ints, Floats], float]
"""Logits `(n, classes)`, classes `(n,)` and weights `(n,)` to a temperature."""

LABELS_OF_SOURCE = 10.0
"""Number of labeled clips that a temperature of 1 is worth."""


@dataclass(frozen=True)
class LogitAdjustment:
    """What is done to the logits: `logits / temperature + offset`.

    Attributes:
        temperature: Above 0.
        offset: One number a class; empty: nothing is added.
        labels: Number of labeled clips that it was fitted to.
    """

    temperature: float = 1.0
    offset: tuple[float, ...] = ()
    labels: int = 0


@dataclass(frozen=True)
class LabeledClips:
    """Labeled clips of patients who adapt a run.

    Attributes:
        positions: Positions of their frames among the adaptation frames, `(n,)`.
        targets: Class of each frame `(n,)`.
        weights: Weight of each frame `(n,)`; a clip's sum to 1.
        classes: Class of each clip `(k,)`.
    """

    positions: Ints
    targets: Ints
    weights: Floats
    classes: Ints


def draw_labeled_clips(
    frames: AdaptationFrames, labels: Mapping[str, str], classes: tuple[str, ...], shots: int, seed: int
) -> LabeledClips:
    """Draw labeled clips at random among those of the adaptation patients.

    Args:
        frames: The adaptation frames.
        labels: View by frame.
        classes: Names of the views, in the order of the logits.
        shots: Most clips.
        seed: Seed of the draw.

    Raises:
        RunError: no frame has a label with one of the views.
    """
    names, clips = (np.array(frames.table[column].to_pylist(), object) for column in ("frame", "clip"))
    class_index = {view: index for index, view in enumerate(classes)}
    targets = np.array([class_index.get(labels.get(name, ""), -1) for name in names], np.int64)
    candidates = np.unique(clips[targets >= 0])
    if not len(candidates):
        remedy = "Label clips of these patients, or leave out --shots"
        raise RunError("no clip of a patient who adapts the run has a label", where=frames.site, remedy=remedy)
    drawn = random_stream(seed, "adaptation labels", frames.site).permutation(candidates)[:shots]
    positions = np.flatnonzero((targets >= 0) & np.isin(clips, drawn))
    _, first, owner, counts = np.unique(clips[positions], return_index=True, return_inverse=True, return_counts=True)
    weights = np.asarray(1 / counts[owner], np.float64)
    return LabeledClips(positions, targets[positions], weights, targets[positions][first])


def adjust_to_labels(
    logits: Floats, labeled: LabeledClips, assumed: Floats, fit_temperature: TemperatureFit
) -> LogitAdjustment:
    """Fit temperature and view shares to labeled clips; few of them change little.

    The logarithm of the fitted temperature is multiplied by `k / (k + 10)`: a few labels that are all right would ask
    for a temperature near 0.

    Args:
        logits: Of all adaptation frames, `(n, classes)`.
        labeled: The labeled ones among them.
        assumed: Class shares that the probabilities assume.
        fit_temperature: Fits a temperature.
    """
    fitted = fit_temperature(logits[labeled.positions], labeled.targets, labeled.weights)
    count = len(labeled.classes)
    offset = logit_offset(assumed, shares_of_labels(labeled.classes, assumed))
    return LogitAdjustment(float(fitted ** (count / (count + LABELS_OF_SOURCE))), tuple(offset.tolist()), count)


def adjust_to_predictions(
    logits: Floats, assumed: Floats, weights: Floats, patients: float, prior_patients: float
) -> LogitAdjustment:
    """Correct the view shares by those estimated from predictions (Saerens et al. 2002); few patients change little.

    Args:
        logits: Of all adaptation frames, `(n, classes)`.
        assumed: Class shares that the probabilities assume.
        weights: Weight of each frame `(n,)`.
        patients: Number of patients.
        prior_patients: Number of patients that the assumed shares are worth.
    """
    shares = estimate_shares_em(np.exp(log_softmax(logits)), assumed, weights)
    weight = patients / (patients + prior_patients)
    offset = logit_offset(assumed, weight * shares + (1 - weight) * assumed)
    return LogitAdjustment(offset=tuple(offset.tolist()))
