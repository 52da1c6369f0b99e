"""Meta-learning: the effect of a step on the labeled loss decides how much an unlabeled frame counts.

DS3L: a small network weights unlabeled frames so that learning from them lowers the labeled loss.

Guo, Zhang, Jiang, Li and Zhou, ICML 2020, "Safe deep semi-supervised learning for unseen-class unlabeled data". The
inner problem is one step of the network down the labeled loss plus the weighted unlabeled loss, the outer one the
labeled loss after that step. The derivative of the outer loss by the weight of frame i is

    -lr * lambda / u * <gradient of the labeled loss after the step, gradient of frame i's loss before it>,

and one forward-mode pass gives all u products, where the authors differentiate through the step. The weighted losses
are divided by the sum of the weights as in the authors' code, so that a weight is relative to those of other frames
(the weighted mean is then subtracted from each product). `normalised: false` divides by the number of frames; all
weights may then become 0. Departure: the unlabeled loss compares two weak views.

Self meta pseudo labels: the effect of pseudo-labels on the labeled loss decides how strongly they are learned.

Ng and Wang 2022 (arXiv 2212.13420), "Self Meta Pseudo Labels: Meta Pseudo Labels without the teacher"; the feedback is
that of Pham, Dai, Xie and Le, CVPR 2021, "Meta Pseudo Labels", appendix A. One model predicts and learns. A virtual
step down the pseudo-label loss changes the labeled loss; that change weights a second pseudo-label loss. All gradients
are taken at the weights before the step, as in the first author's library, so the two losses are summed here and the
optimiser takes one step.

Departure: the change is the labeled loss before minus after, as Meta Pseudo Labels derives it (a gain makes the
pseudo-labels firmer); the first author's library has the opposite sign. The running mean is subtracted as there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.func import jvp
from torch.nn import functional

from heart2heart.training.algorithms.base import (
    Algorithm,
    AlgorithmLoss,
    Memory,
    NetworkFunction,
    StepContext,
    ViewName,
)
from heart2heart.training.algorithms.consistency import consistency_loss
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.optimiser import gradient_by_name, virtual_step

_LAYERS = ("hidden.weight", "hidden.bias", "last.weight", "last.bias")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class DS3L(Algorithm):
    """Consistency of two views, weighted by a small network of the prediction that is trained at the same time.

    A step costs about three times the Pi-model's.
    """

    title: ClassVar[str] = "DS3L"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")

    hidden: int = Field(100, ge=1)
    """Hidden units of the weighting network."""
    lr: float = Field(3e-4, gt=0)
    """Its learning rate (Adam)."""
    normalised: bool = True
    """Divide the weighted losses by the sum of the weights; otherwise by the number of frames."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the weights of the weighting network, with its optimiser's state."""
        drawn = torch.Generator().manual_seed(0)

        def uniform(*shape: int, fan_in: int) -> Tensor:
            return (2 * torch.rand(shape, generator=drawn) - 1) / math.sqrt(fan_in)

        layers = (
            uniform(self.hidden, classes, fan_in=classes),
            uniform(self.hidden, fan_in=classes),
            uniform(1, self.hidden, fan_in=self.hidden),
            uniform(1, fan_in=self.hidden),
        )
        memory: Memory = {"updates": torch.zeros(())}
        for name, layer in zip(_LAYERS, layers, strict=True):
            memory |= {name: layer, f"mean.{name}": layer * 0, f"square.{name}": layer * 0}
        return memory

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Train the weighting network by the effect of each frame on the labeled loss after a virtual step."""
        access, memory = step.model_access, step.memory
        present, functional_model = access.weights, access.functional
        network = functional_model(present)
        target = _target(network, step)
        per_frame = consistency_loss(network(step.unlabeled[1]), target)
        layers = {name: memory[name].clone().requires_grad_() for name in _LAYERS}
        weights = _weighting_network(target, layers)
        factors = self._loss_factors(weights.detach(), step.group).to(per_frame.dtype)
        inner = step.criterion(network(step.labeled), step.targets) + step.weight * (factors * per_frame).mean()
        ahead = virtual_step(inner, present, step.lr, step.group)
        outer_loss = step.criterion(functional_model(ahead)(step.labeled), step.targets)
        outer = gradient_by_name(outer_loss, ahead, step.group)

        def losses(weights: dict[str, Tensor]) -> Tensor:
            return consistency_loss(functional_model(weights)(step.unlabeled[1]), target)

        before = {name: value.detach() for name, value in present.items()}
        with access.full_precision():
            products = jvp(losses, (before,), (outer,))[1].detach()
        if self.normalised:
            total = step.group.mean(weights.detach().mean())
            products = (products - step.group.mean((factors * products).mean())) / total
        by_weight = -step.lr * step.weight / len(products) * products
        gradients = torch.autograd.grad(weights, list(layers.values()), by_weight.to(weights.dtype))
        averaged = {name: step.group.mean(gradient) for name, gradient in zip(layers, gradients, strict=True)}
        self._adam_step(memory, averaged)
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted consistency of two views, averaged over the whole batch."""
        target = _target(step.model, step)
        loss = consistency_loss(step.model(step.unlabeled[1]), target)
        with torch.no_grad():
            weights = frame_weights(step.memory, target).to(loss.dtype)
        loss = self._loss_factors(weights, step.group) * loss
        return AlgorithmLoss.from_samples(loss, {"frame_weight": weights.mean()})

    def _loss_factors(self, weights: Tensor, group: ProcessGroup) -> Tensor:
        """Return the factors of the frames' losses, `(u,)`, of which the mean is taken."""
        return weights / group.mean(weights.mean()) if self.normalised else weights

    @torch.no_grad()
    def _adam_step(self, memory: Memory, gradients: Mapping[str, Tensor]) -> None:
        memory["updates"] += 1
        for name, gradient in gradients.items():
            mean, square = memory[f"mean.{name}"], memory[f"square.{name}"]
            mean.lerp_(gradient, 1 - _BETAS[0])
            square.lerp_(gradient.square(), 1 - _BETAS[1])
            unbiased_mean = mean / (1 - _BETAS[0] ** memory["updates"])
            unbiased_square = square / (1 - _BETAS[1] ** memory["updates"])
            memory[name] -= self.lr * unbiased_mean / (unbiased_square.sqrt() + _EPSILON)


def frame_weights(memory: Memory, probabilities: Tensor) -> Tensor:
    """Return the weight of each frame, 0 to 1, `(u,)`.

    Args:
        memory: The tensors of `DS3L.initial_memory`.
        probabilities: Predicted probabilities of the frames, `(u, classes)`.

    Examples:
        >>> memory = DS3L().initial_memory(10, 4, {})
        >>> frame_weights(memory, torch.full((3, 4), 0.25)).shape
        torch.Size([3])
    """
    return _weighting_network(probabilities, {name: memory[name] for name in _LAYERS})


def _weighting_network(probabilities: Tensor, layers: Mapping[str, Tensor]) -> Tensor:
    x = probabilities.to(layers["hidden.weight"].dtype)
    hidden = functional.linear(x, layers["hidden.weight"], layers["hidden.bias"]).relu()
    return functional.linear(hidden, layers["last.weight"], layers["last.bias"])[:, 0].sigmoid()


def _target(network: NetworkFunction, step: StepContext) -> Tensor:
    """Return the probabilities on the first view, `(u, classes)`, without gradient: the target of the second view."""
    with torch.no_grad():
        return network(step.unlabeled[0]).softmax(-1)


SMOOTHING = 0.99
"""Decay of the running mean of the labeled loss's change at each step."""


class SelfMetaPseudoLabels(Algorithm):
    """Hard pseudo-labels, their feedback, and consistency of confident frames.

    A step costs about two FixMatch steps.
    """

    title: ClassVar[str] = "self meta pseudo labels"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    consistency: float = Field(8.0, ge=0)
    """Weight of the cross-entropy between the weak view's probabilities and the strong view (UDA)."""
    ramp: int = Field(0, ge=0)
    """Steps over which that weight rises linearly from zero."""
    temperature: float = Field(1.25, gt=0)
    """Softens those probabilities above 1, sharpens below."""
    threshold: float = Field(0.6, ge=0, le=1)
    """Confidence from which a frame has that cross-entropy."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the feedback of the present step, and the running mean of the labeled loss's change."""
        return {"feedback": torch.zeros(()), "usual_gain": torch.zeros(())}

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Take a virtual step down the pseudo-label loss, and keep its effect on the labeled loss as the feedback."""
        weak, strong = step.unlabeled
        weights, functional_model = step.model_access.weights, step.model_access.functional
        with torch.no_grad():
            label = self._soften(replace(step, callbacks=[]), functional_model(weights)(weak)).argmax(-1)
        loss = functional.cross_entropy(functional_model(weights)(strong), label)
        ahead = virtual_step(loss, weights, step.lr, step.group)
        with torch.no_grad():
            before = step.criterion(functional_model(weights)(step.labeled), step.targets)
            after = step.criterion(functional_model(ahead)(step.labeled), step.targets)
            gain = step.group.mean(before - after)
            mean_gain = step.memory["usual_gain"]
            mean_gain.copy_(SMOOTHING * mean_gain + (1 - SMOOTHING) * gain)
            step.memory["feedback"].copy_(gain - mean_gain)
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the sum of the pseudo-label loss, its feedback and the consistency, averaged over the batch."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            soft = self._soften(step, step.model(weak))
            confident = (soft.amax(-1) >= self.threshold).to(soft.dtype)
        logits = step.model(strong)
        feedback = step.memory["feedback"].to(logits.dtype)
        ramp = min(1.0, (step.step + 1) / self.ramp) if self.ramp else 1.0
        agreement = functional.cross_entropy(logits, soft, reduction="none") * confident
        loss = feedback_loss(logits, soft.argmax(-1), feedback) + self.consistency * ramp * agreement
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean(), "feedback": feedback})

    def _soften(self, step: StepContext, logits: Tensor) -> Tensor:
        return step.align((logits / self.temperature).softmax(-1))


def feedback_loss(logits: Tensor, label: Tensor, feedback: Tensor) -> Tensor:
    """Return the loss of each frame against its pseudo-label, plus the feedback times that against its own prediction.

    Args:
        logits: `(u, classes)` of the strong view, with gradient.
        label: Pseudo-labels of the weak view, int64 `(u,)`.
        feedback: Scalar: how much a virtual step down the pseudo-label loss lowered the labeled loss, less the mean.

    Returns:
        `(u,)`; the loss is the mean over frames.

    Examples:
        >>> feedback_loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor(0.5))
        tensor([1.0397])
    """
    learned = functional.cross_entropy(logits, label, reduction="none")
    own = functional.cross_entropy(logits, logits.detach().argmax(-1), reduction="none")
    return learned + feedback * own
