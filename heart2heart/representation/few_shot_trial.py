"""Trials of few-shot classification: labels are drawn again and again, and every method is scored on other patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import LabelError
from heart2heart.representation.few_shot import FewShotSettings, classify
from heart2heart.representation.similarity import unit_vectors
from heart2heart.schema.embeddings import Embeddings
from heart2heart.utils import random_stream

Ints = npt.NDArray[np.int64]

Classifier = Callable[[Ints, Ints, Ints], Ints]
"""From positions of labeled clips, their classes, and positions of the clips to classify, to their classes."""


@dataclass(frozen=True)
class TrialScore:
    """The score of one method in one draw.

    Attributes:
        method: Name of the method.
        shots: Labels a class.
        draw: Number of the draw, from 0.
        balanced_accuracy: Mean recall over the classes, on clips of patients without a label, 0 to 1.
        clips: Number of these clips.
    """

    method: str
    shots: int
    draw: int
    balanced_accuracy: float
    clips: int


def draw_labels(targets: Ints, patients: npt.NDArray[np.object_], shots: int, rng: np.random.Generator) -> Ints:
    """Return positions of `shots` clips of every class, of as few patients as that takes.

    Patients come in random order. Each gives one clip of every class that still lacks some, as a rater would label one
    study after another; where patients do not suffice, they give further clips.

    Args:
        targets: int64 `(n,)`, class of each labeled clip.
        patients: Patient of each, `(n,)`.
        shots: Clips of each class.
        rng: Source of chance.

    Returns:
        int64 `(shots x classes,)`, sorted.

    Raises:
        LabelError: a class has fewer clips.
    """
    classes, counts = np.unique(targets, return_counts=True)
    if counts.min() < shots:
        what = f"class {classes[counts.argmin()]} has {counts.min()} labeled clips, fewer than {shots} shots"
        raise LabelError(what, remedy="Lower --shots, or label more clips")
    order = rng.permutation(len(targets))
    _, owner = np.unique(patients.astype(str), return_inverse=True)
    rank = rng.permutation(owner.max() + 1)[owner]
    turns: dict[tuple[int, int], int] = {}
    turn = np.empty(len(targets), np.int64)  # the first clip of a class and patient has turn 0, the next one 1
    for row in order:
        turn[row] = turns.get((owner[row], targets[row]), 0)
        turns[owner[row], targets[row]] = turn[row] + 1
    by_turn = np.lexsort((rank, turn))
    chosen = [by_turn[targets[by_turn] == each][:shots] for each in classes]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def run_trials(
    targets: Ints,
    patients: npt.NDArray[np.object_],
    classifiers: dict[str, Classifier],
    *,
    shots: Sequence[int],
    draws: int,
    seed: int = 0,
) -> list[TrialScore]:
    """Score classifiers over draws of labels; every classifier gets the same labels.

    Clips of patients with a drawn label are not scored.

    Args:
        targets: int64 `(n,)`, class of each labeled clip.
        patients: Patient of each, `(n,)`.
        classifiers: Methods by name.
        shots: Labels a class, one or several numbers.
        draws: Draws of each.
        seed: Seed of the draws.

    Raises:
        LabelError: a class has too few clips, or no clip of it is left to score.
    """
    scores = []
    for count in shots:
        for draw in range(draws):
            rng = random_stream(seed, "few-shot labels", count, draw)
            labeled = draw_labels(targets, patients, count, rng)
            scored = np.flatnonzero(~np.isin(patients, patients[labeled]))
            if len(np.unique(targets[scored])) < len(np.unique(targets)):
                what = f"with {count} labels a class, no clip of another patient is left of some class"
                raise LabelError(what, remedy="Lower --shots, or label clips of more patients")
            for name, classifier in classifiers.items():
                predicted = classifier(labeled, targets[labeled], scored)
                recalls = [np.mean(predicted[targets[scored] == view] == view) for view in np.unique(targets)]
                scores.append(TrialScore(name, count, draw, float(np.mean(recalls)), len(scored)))
    return scores


def embedding_classifier(embeddings: Embeddings, classes: int, settings: FewShotSettings) -> Classifier:
    """Return the classifier of embeddings; the vectors of labeled and scored clips are centred together.

    Args:
        embeddings: Vectors of the labeled clips, in their order.
        classes: Number of classes.
        settings: The method.
    """

    def predict(labeled: Ints, targets: Ints, scored: Ints) -> Ints:
        units = unit_vectors(np.concatenate([embeddings.vectors[labeled], embeddings.vectors[scored]]))
        chances = classify(units[: len(labeled)], targets, units[len(labeled) :], classes, settings)
        return np.asarray(chances.argmax(1), np.int64)

    return predict
