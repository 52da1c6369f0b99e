"""What a few labels of a hospital adjust: the temperature of the probabilities and the shares of the views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import RunError
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.training.adaptation_frames import AdaptationFrames
from heart2heart.training.adaptation_priors import estimate_shares_em, logit_offset, shares_of_labels
from heart2heart.utils import random_stream

Floats = npt.NDArray[np.float64]
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
