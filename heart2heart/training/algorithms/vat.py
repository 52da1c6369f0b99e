"""VAT, virtual adversarial training (Miyato et al., TPAMI 2019), with entropy minimisation.

A frame should be told as it is after the small change that would alter what is told the most. That change lies along
the first eigenvector of the divergence's Hessian, which one step of power iteration from noise approximates (section
3.3).

The paper and the released code of Fix-A-Step take that step by a finite difference of length xi = 1e-6. In float32 the
difference drowns in rounding: on a WideResNet the mean cosine between its result and the exact one was 0.2 at 32 px and
-0.3 at 112 px (docs/official-code.md), so that the direction was little better than a random one. In bfloat16 no xi
comes near. So by default the product of Hessian and noise is computed exactly, by one forward-mode and one reverse
pass: at the frame itself the Hessian is J' (diag p - p p') J, with J the derivative of the logits. `xi` brings the
finite difference back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.func import jvp

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, NetworkFunction, StepContext, ViewName


class VAT(Algorithm):
    """The divergence between what is told of a frame and of its adversarial neighbour, plus the former's entropy."""

    title: ClassVar[str] = "VAT"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)

    epsilon: float = Field(6.0, gt=0)
    """Euclidean length of the change, over all pixels of a frame whose grey levels run from -1 to 1."""
    xi: float | None = Field(None, gt=0)
    """Length of a finite difference instead of the exact product; the paper has 1e-6, float32 needs about 1e-3."""
    entropy: float = Field(0.06, ge=0)
    """Weight of the entropy of what is told, beside the divergence; `unlabeled_weight` multiplies both."""
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
        told, other = clean.detach().log_softmax(-1), step.model_access.no_bn_update(neighbours).log_softmax(-1)
        divergence = kl_divergence(other, told) if self.reverse else kl_divergence(told, other)
        metrics = {"divergence": divergence.detach().mean()}
        if not self.entropy:
            return AlgorithmLoss(divergence.mean(), metrics, divergence)
        entropy = -(clean.softmax(-1) * clean.log_softmax(-1)).sum(-1)
        each = divergence + self.entropy * entropy
        return AlgorithmLoss(each.mean(), metrics | {"entropy": entropy.detach().mean()}, each)


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return KL(first || second), `(n,)`, of log-probabilities `(n, classes)`."""
    divergence: Tensor = (first.exp() * (first - second)).sum(-1)
    return divergence


def normalise_rows(frames: Tensor) -> Tensor:
    """Return `(n, ...)` scaled to Euclidean length 1 per row; what is zero stays zero."""
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
        noise: Of that shape, of length 1 per frame.

    Returns:
        Of that shape, of length 1 per frame.
    """
    with torch.enable_grad():
        point = frames.detach().requires_grad_()
        answer: tuple[Tensor, ...] = jvp(network, (point,), (noise,))
        logits, change = answer[0], answer[1].detach()
        told = logits.detach().softmax(-1)
        curved = told * (change - (told * change).sum(-1, keepdim=True))
        (product,) = torch.autograd.grad(logits, point, curved)
    return normalise_rows(product.detach())


def difference_iteration(network: NetworkFunction, frames: Tensor, noise: Tensor, xi: float) -> Tensor:
    """Return the direction of the divergence's gradient at `frames + xi * noise`; arguments as `exact_iteration`."""
    with torch.no_grad():
        told = network(frames).log_softmax(-1)
    with torch.enable_grad():
        point = noise.detach().requires_grad_()
        divergence = kl_divergence(told, network(frames.detach() + xi * point).log_softmax(-1))
        (gradient,) = torch.autograd.grad(divergence.sum(), point)
    return normalise_rows(gradient.detach())
