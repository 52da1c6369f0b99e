"""Consistency regularisation: the predictions on a frame and on a changed frame, or over time, should agree.

The Pi-model (Laine and Aila, ICLR 2017, section 2.1): the predictions on two views of a frame should agree.

As in Fix-A-Step's released code one view is the target, without gradient, where the paper has a gradient through both.
The loss is then no longer symmetric, but it has the same minimum.

Mean Teacher (Tarvainen and Valpola, NeurIPS 2017): the averaged network is the teacher of the trained one.

Temporal Ensembling (Laine and Aila, ICLR 2017, section 2.2): the target is the mean of earlier predictions.

Departures from algorithm 2. The paper updates every ensemble once an epoch. Here a frame's ensemble is updated each
time the frame is drawn, and its bias is corrected by its own number of visits. A frame that was never drawn has no
target and no loss, where the paper gives the whole first epoch the weight zero. The weight's ramp is the run's
(`unlabeled_weight`), and the loss is that of the unlabeled frames alone.

VAT, virtual adversarial training (Miyato et al., TPAMI 2019), with entropy minimisation.

The prediction of a frame should not change under the small perturbation that changes it most. That perturbation lies
along the first eigenvector of the divergence's Hessian, which one step of power iteration from noise approximates
(section 3.3).

The paper and the released code of Fix-A-Step take that step by a finite difference of length xi = 1e-6. In float32 the
difference is lost in rounding: on a WideResNet the mean cosine between its result and the exact one was 0.2 at 32 px
and -0.3 at 112 px (docs/official-code.md), so that the direction was little better than a random one. In bfloat16 no xi
is accurate. By default the product of Hessian and noise is therefore computed exactly, by one forward-mode and one
reverse pass: at the frame itself the Hessian is J' (diag p - p p') J, with J the derivative of the logits. Setting `xi`
selects the finite difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.func import jvp

from heart2heart.training.algorithms.base import (
    Algorithm,
    AlgorithmLoss,
    Memory,
    NetworkFunction,
    StepContext,
    ViewName,
)
from heart2heart.training.algorithms.memory import mean_per_frame


class PiModel(Algorithm):
    """The squared difference of the probabilities of two weak views."""

    title: ClassVar[str] = "Pi-model"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    joint_views: ClassVar[int | None] = 1

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames; the first view is the target."""
        first, second = step.unlabeled
        with torch.no_grad():
            target = step.model(first).softmax(-1).detach()
        return AlgorithmLoss.from_samples(consistency_loss(step.model_access.no_bn_update(second), target))


def consistency_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the squared difference of probabilities of each frame, averaged over classes.

    Args:
        logits: `(u, classes)` of the view that learns, with gradient.
        target: Probabilities `(u, classes)`, without gradient.

    Returns:
        `(u,)`; the loss is the mean over frames.

    Examples:
        >>> consistency_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor([0.2500])
    """
    return (logits.softmax(-1) - target).square().mean(-1)


class MeanTeacher(Algorithm):
    """The squared difference between the student's probabilities of one view and the teacher's of another.

    The teacher is the run's average (`ema`) in evaluation mode, as in Fix-A-Step's released code. The paper's teacher
    normalises with the statistics of its batch.
    """

    title: ClassVar[str] = "Mean Teacher"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    joint_views: ClassVar[int | None] = 1

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames (section 2, equation 1)."""
        first, second = step.unlabeled
        target = step.model_access.ema(second).softmax(-1).detach()
        return AlgorithmLoss.from_samples(consistency_loss(step.model(first), target))


class TemporalEnsembling(Algorithm):
    """The squared difference between the probabilities of a frame and their mean over its earlier visits."""

    title: ClassVar[str] = "Temporal Ensembling"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)

    momentum: float = Field(0.6, ge=0, lt=1)
    """Weight of the previous ensemble at each update (the paper's alpha)."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the ensembles `(pool, classes)` and how often each frame was drawn `(pool,)`."""
        return {"ensemble": torch.zeros(pool, classes), "visits": torch.zeros(pool, dtype=torch.int64)}

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames; frames without a target count as 0."""
        (frames,) = step.unlabeled
        memory, index, group = step.memory, step.pool_index, step.group
        logits = step.model(frames)
        target, known = self.target(memory, index)
        loss = consistency_loss(logits, target.to(logits.dtype)) * known.to(logits.dtype)
        probabilities = logits.detach().softmax(-1)
        step.on_step_end(lambda: self.remember(memory, group.all_gather(index), group.all_gather(probabilities)))
        return AlgorithmLoss.from_samples(loss, {"ensemble_rate": known.float().mean()})

    def target(self, memory: Memory, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ensembles of frames, corrected for their start at zero, and which frames have an ensemble.

        Args:
            memory: The tensors of `initial_memory`.
            index: Positions in the pool, int64 `(u,)`.

        Returns:
            Probabilities `(u, classes)`, zero for frames that were never drawn, and bool `(u,)`.
        """
        visits = memory["visits"][index]
        correction = 1 - self.momentum ** visits.to(memory["ensemble"].dtype)
        known = visits > 0
        return memory["ensemble"][index] / torch.where(known, correction, 1)[:, None], known

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, probabilities: Tensor) -> None:
        """Update the ensembles; a frame that a batch holds several times counts once, with its mean.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            probabilities: `(u, classes)`.
        """
        ensemble = memory["ensemble"]
        mean = mean_per_frame(index, probabilities.to(ensemble.dtype))
        ensemble[index] = self.momentum * ensemble[index] + (1 - self.momentum) * mean
        memory["visits"][index] = memory["visits"][index] + 1


class VAT(Algorithm):
    """The divergence between the predictions on a frame and on its adversarial neighbour, plus the frame's entropy."""

    title: ClassVar[str] = "VAT"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)

    epsilon: float = Field(6.0, gt=0)
    """Euclidean length of the perturbation, over all pixels of a frame with grey levels from -1 to 1."""
    xi: float | None = Field(None, gt=0)
    """Length of a finite difference instead of the exact product; the paper takes 1e-6, float32 needs about 1e-3."""
    entropy: float = Field(0.06, ge=0)
    """Weight of the prediction's entropy beside the divergence; `unlabeled_weight` multiplies both."""
    reverse: bool = False
    """Take the divergence of the neighbour from the frame, KL(neighbour || frame), as the released code of Fix-A-Step
    does, instead of the paper's KL(frame || neighbour)."""

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Return the step with the adversarial neighbours as a second view."""
        (frames,) = step.unlabeled
        noise = normalise_rows(step.gaussian_noise(frames))
        if self.xi is None:
            with step.model_access.full_precision():
                direction = exact_iteration(step.model_access.no_bn_update, frames, noise)
        else:
            direction = difference_iteration(step.model_access.no_bn_update, frames, noise, self.xi)
        return replace(step, unlabeled=(frames, frames + self.epsilon * direction))

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return divergence plus weighted entropy, averaged over frames (equations 5 and 8, and section 4.1)."""
        frames, neighbours = step.unlabeled
        with torch.set_grad_enabled(self.entropy > 0 and torch.is_grad_enabled()):
            clean = step.model(frames)
        log_p = clean.detach().log_softmax(-1)
        log_q = step.model_access.no_bn_update(neighbours).log_softmax(-1)
        divergence = kl_divergence(log_q, log_p) if self.reverse else kl_divergence(log_p, log_q)
        metrics = {"divergence": divergence.detach().mean()}
        if not self.entropy:
            return AlgorithmLoss.from_samples(divergence, metrics)
        entropy = prediction_entropy(clean)
        metrics["entropy"] = entropy.detach().mean()
        return AlgorithmLoss.from_samples(divergence + self.entropy * entropy, metrics)


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return KL(first || second), `(n,)`, of log-probabilities `(n, classes)`, in nats.

    Examples:
        >>> kl_divergence(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log())
        tensor([0.5108])
    """
    divergence: Tensor = (first.exp() * (first - second)).sum(-1)
    return divergence


def prediction_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the predicted probabilities, `(n,)`, of logits `(n, classes)`, in nats.

    Examples:
        >>> prediction_entropy(torch.zeros(1, 2))
        tensor([0.6931])
    """
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


def normalise_rows(frames: Tensor) -> Tensor:
    """Return `(n, ...)` scaled to Euclidean length 1 per row; a row of zeros stays zero."""
    flat = frames.flatten(1)
    largest = flat.abs().amax(1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    flat = flat / largest  # squares of tiny numbers would vanish
    scaled: Tensor = flat / flat.norm(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    return scaled.view_as(frames)


def exact_iteration(network: NetworkFunction, frames: Tensor, noise: Tensor) -> Tensor:
    """Return the direction of the divergence's Hessian times `noise`, exactly.

    Args:
        network: From frames to logits.
        frames: `(n, channels, size, size)`.
        noise: Of the same shape, of Euclidean length 1 per frame.

    Returns:
        Of the same shape, of Euclidean length 1 per frame.
    """
    with torch.enable_grad():
        point = frames.detach().requires_grad_()
        primal_and_tangent: tuple[Tensor, ...] = jvp(network, (point,), (noise,))
        logits, change = primal_and_tangent[0], primal_and_tangent[1].detach()
        p = logits.detach().softmax(-1)
        curvature = p * (change - (p * change).sum(-1, keepdim=True))
        (product,) = torch.autograd.grad(logits, point, curvature)
    return normalise_rows(product.detach())


def difference_iteration(network: NetworkFunction, frames: Tensor, noise: Tensor, xi: float) -> Tensor:
    """Return the direction of the divergence's gradient at `frames + xi * noise`; arguments as `exact_iteration`."""
    with torch.no_grad():
        log_p = network(frames).log_softmax(-1)
    with torch.enable_grad():
        point = noise.detach().requires_grad_()
        divergence = kl_divergence(log_p, network(frames.detach() + xi * point).log_softmax(-1))
        (gradient,) = torch.autograd.grad(divergence.sum(), point)
    return normalise_rows(gradient.detach())
