"""Classification of embeddings from a few labels a class: class means, and transductive information maximisation.

TIM: Boudiaf et al., "Transductive Information Maximization For Few-Shot Learning", 2020. The classes are prototypes
w_k, and `p_ik` is the softmax over k of `-temperature / 2 ||z_i - w_k||^2` (equation 1). From the class means as start,
gradient steps minimise the cross-entropy of the labels minus the information that the predictions of all unlabeled
rows hold about them (equations 2 and 3).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.config import Config
from heart2heart.errors import LabelError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class FewShotSettings(Config):
    """How embeddings are classified from a few labels."""

    method: Literal["class_means", "tim"] = "tim"
    """`class_means` takes the nearest mean; `tim` moves the means so that unlabeled rows are told apart."""
    temperature: float = Field(15.0, gt=0)
    """Multiplies the squared distances."""
    label_weight: float = Field(0.1, gt=0)
    """Weight of the cross-entropy of the labels (lambda)."""
    conditional_weight: float = Field(0.1, ge=0)
    """Weight of the entropy of each prediction (alpha)."""
    marginal_weight: float = Field(1.0, ge=0)
    """Weight of the entropy of the shares of the classes; it draws them towards equal. Lower it where classes are known
    to be of very different frequency."""
    steps: int = Field(1000, ge=1, le=100_000)
    """Gradient steps (Adam)."""
    lr: float = Field(1e-4, gt=0)
    """Learning rate."""


def class_means(vectors: Floats, targets: Ints, classes: int) -> Floats:
    """Return the mean of the labeled vectors of each class, float32 `(classes, d)`.

    Args:
        vectors: `(n, d)`.
        targets: int64 `(n,)`, class indices.
        classes: Number of classes.

    Raises:
        LabelError: a class without a label.

    Examples:
        >>> class_means(np.array([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]], np.float32), np.array([0, 0, 1]), 2).tolist()
        [[1.0, 1.0], [5.0, 5.0]]
    """
    counts = np.bincount(targets, minlength=classes)
    if not counts.all():
        missing = ", ".join(str(index) for index in np.flatnonzero(counts == 0))
        raise LabelError(f"no label of class {missing}", remedy="Label at least one clip of every class")
    sums = np.zeros((classes, vectors.shape[1]), np.float64)
    np.add.at(sums, targets, vectors)
    return np.asarray(sums / counts[:, None], np.float32)


def classify(labeled: Floats, targets: Ints, unlabeled: Floats, classes: int, settings: FewShotSettings) -> Floats:
    """Return the probability of each class for unlabeled rows, float32 `(u, classes)`.

    Args:
        labeled: Vectors of the labeled rows, `(n, d)`, of length 1.
        targets: int64 `(n,)`, their classes.
        unlabeled: Vectors of the rows to classify, `(u, d)`, of length 1; `tim` looks at all of them together.
        classes: Number of classes.
        settings: The method and its settings.

    Raises:
        LabelError: a class without a label.

    Examples:
        >>> labeled = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
        >>> chances = classify(labeled, np.array([0, 1]), labeled[::-1], 2, FewShotSettings(method="class_means"))
        >>> chances.argmax(1).tolist()
        [1, 0]
    """
    prototypes = torch.from_numpy(class_means(labeled, targets, classes))
    rows = torch.from_numpy(np.ascontiguousarray(unlabeled))
    if settings.method == "tim" and len(rows):
        known = torch.from_numpy(np.ascontiguousarray(labeled))
        prototypes = maximise_information(prototypes, known, torch.from_numpy(targets), rows, settings)
    return np.asarray(class_logits(rows, prototypes, settings.temperature).softmax(1).numpy(), np.float32)


def class_logits(rows: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Return `-temperature / 2 ||z - w||^2`, `(n, classes)` (equation 1).

    Args:
        rows: `(n, d)`.
        prototypes: `(classes, d)`.
        temperature: Multiplies the squared distances.
    """
    squared = rows.square().sum(1, keepdim=True) - 2 * rows @ prototypes.T + prototypes.square().sum(1)
    return -temperature / 2 * squared


def tim_loss(prototypes: Tensor, labeled: Tensor, targets: Tensor, rows: Tensor, settings: FewShotSettings) -> Tensor:
    """Return the loss that TIM minimises (equation 3): `lambda CE - (marginal H(Y) - alpha H(Y|X))`.

    Args:
        prototypes: `(classes, d)`.
        labeled: `(n, d)`.
        targets: int64 `(n,)`.
        rows: Unlabeled rows `(u, d)`.
        settings: The weights.
    """
    cross_entropy = functional.cross_entropy(class_logits(labeled, prototypes, settings.temperature), targets)
    logarithms = class_logits(rows, prototypes, settings.temperature).log_softmax(1)
    probabilities = logarithms.exp()
    conditional = -(probabilities * logarithms).sum(1).mean()
    shares = probabilities.mean(0)
    marginal = -(shares * shares.clamp_min(1e-12).log()).sum()
    information = settings.marginal_weight * marginal - settings.conditional_weight * conditional
    return settings.label_weight * cross_entropy - information


def maximise_information(
    prototypes: Tensor, labeled: Tensor, targets: Tensor, rows: Tensor, settings: FewShotSettings
) -> Tensor:
    """Return the prototypes after the gradient steps of TIM (section 3.3, TIM-GD); see `tim_loss`."""
    moved = prototypes.clone().requires_grad_()
    optimiser = torch.optim.Adam([moved], lr=settings.lr)
    for _ in range(settings.steps):
        optimiser.zero_grad()
        tim_loss(moved, labeled, targets, rows, settings).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return moved.detach()
