"""Pseudo-labels of pool frames that lie as near to the labeled frames of their class as labeled frames do.

Our own method, for pools that may hold anything. Neither the confidence of a pseudo-label nor the inner product of
gradients tells foreign frames from others, but the place of a frame among the labels does
(docs/results/uncurated-rules.md).

1. The labeled loss is that of labeled frames mixed with each other (mixup), whatever the pool holds.
2. The averaged network predicts the weak view. The pseudo-label counts from FreeMatch's threshold on.
3. Trust of a frame: with c the cosine between its features and the prototype of its pseudo-label (the mean features of
   the labeled frames of the class), both less the mean of the prototypes, p is the share of recent labeled frames of
   the class whose own cosine is at most c. The trust is min(1, p / full_trust).
4. Trust of the pool: the running mean of the trust of all its frames, over the mean that labeled frames would have
   themselves, 1 - full_trust / 2; at most 1.

The unlabeled loss of a frame is the cross-entropy on the strong view times both. Prototypes are those of prototypical
networks (Snell, Swersky and Zemel, NeurIPS 2017), as a running mean; p is a conformal p-value without its guarantee,
since the network has learned from the labeled frames that it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms.adaptive_threshold import ThresholdRule, class_thresholds, threshold_memory
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.supervised import mix_labels

RECENT = 512
"""Labeled frames that a pool frame is compared with."""
Trust = Literal["frame_and_pool", "frame", "none"]


class PrototypeMatch(Algorithm):
    """Mixup of the labeled frames, and pseudo-labels weighted by their nearness to the labeled frames of the class."""

    title: ClassVar[str] = "prototype match"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    mixes_labeled: ClassVar[bool] = True

    alpha: float = Field(0.5, gt=0)
    """Both parameters of the Beta distribution that the share of the mixing is drawn from."""
    trust: Trust = "frame_and_pool"
    """What weights a pseudo-label; `none` leaves mixup of the labels beside FixMatch with the threshold below."""
    full_trust: float = Field(0.5, gt=0, le=1)
    """Share of the labeled frames of the class that must lie no nearer to the prototype for full trust."""
    prototype_decay: float = Field(0.95, ge=0, lt=1)
    """Decay of the prototypes at each step."""
    pool_decay: float = Field(0.99, ge=0, lt=1)
    """Decay of the trust of the pool at each step."""
    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence from which a pseudo-label counts, with `threshold_rule` `fixed` or `flexmatch`."""
    threshold_rule: ThresholdRule = "freematch"
    """As FixMatch's."""
    threshold_decay: float = Field(0.99, ge=0, lt=1)
    """As FixMatch's; 0.999 in FreeMatch's paper, whose runs are 400 times as long."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the sums behind the prototypes, the recent labeled frames, and the trust of the pool.

        Raises:
            ConfigError: the network has no linear layer.
        """
        matrices = [value for value in weights.values() if value.ndim == 2]
        if not matrices:
            remedy = "Choose a network that ends in a linear layer, or another method"
            raise ConfigError(f"{self.title} needs features, and the network has no linear layer", remedy=remedy)
        return threshold_memory(self.threshold_rule, pool, classes) | {
            "prototype.sums": torch.zeros(classes, matrices[-1].shape[1]),
            "prototype.counts": torch.zeros(classes),
            "recent.cosine": torch.zeros(RECENT),
            "recent.label": torch.full((RECENT,), -1, dtype=torch.int64),
            "recent.drawn": torch.zeros(1, dtype=torch.int64),
            "pool.sum": torch.zeros(()),
            "pool.weight": torch.zeros(()),
        }

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Return the step with mixed labeled frames; the frames as they are move the prototypes."""
        if self.trust != "none":
            self.remember(step)
        return mix_labels(step, self.alpha)

    @torch.no_grad()
    def remember(self, step: StepContext) -> None:
        """Move the prototypes towards the labeled batch, and add its cosines to the recent ones."""
        memory, group = step.memory, step.group
        features = group.all_gather(step.model_access.ema_features(step.labeled)[0])
        targets = group.all_gather(step.targets)
        memory["prototype.sums"].mul_(self.prototype_decay).add_(targets.T @ features)
        memory["prototype.counts"].mul_(self.prototype_decay).add_(targets.sum(0))
        label = targets.argmax(-1)
        cosine = Prototypes.of(memory).cosine(features, label)[:RECENT]
        positions = (memory["recent.drawn"] + torch.arange(len(cosine), device=cosine.device)) % RECENT
        memory["recent.cosine"][positions] = cosine.to(memory["recent.cosine"].dtype)
        memory["recent.label"][positions] = label[:RECENT]
        memory["recent.drawn"] += len(cosine)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted cross-entropy on the strong views, averaged over the whole batch."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            features, logits = step.model_access.ema_features(weak)
            probabilities = logits.softmax(-1)
            thresholds = class_thresholds(
                self.threshold_rule, step, probabilities, self.threshold, self.threshold_decay
            )
            largest, label = probabilities.max(-1)
            confident = (largest >= thresholds[label]).to(logits.dtype)
            weight, metrics = confident, {"pseudo_label_rate": confident.mean()}
            if self.trust != "none":
                trust, of_pool = self.trusts(step, features, label)
                weight = confident * trust * of_pool
                metrics |= {"frame_trust": trust.mean(), "pool_trust": of_pool}
        loss = functional.cross_entropy(step.model(strong), label, reduction="none")
        return AlgorithmLoss.from_samples(loss * weight.to(loss.dtype), metrics)

    def trusts(self, step: StepContext, features: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return the trust of each frame `(u,)`, and that of the pool, a scalar; the running mean moves after the step.

        Args:
            step: The present step.
            features: Of the weak views, `(u, d)`.
            label: Their pseudo-labels, int64 `(u,)`.
        """
        memory = step.memory
        cosine = Prototypes.of(memory).cosine(features, label)
        trust = (self.nearness(cosine, label, memory) / self.full_trust).clamp_max(1)
        total = self.pool_decay * memory["pool.sum"] + step.group.mean(trust.mean())
        weight = self.pool_decay * memory["pool.weight"] + 1

        def remember() -> None:
            memory["pool.sum"].copy_(total)
            memory["pool.weight"].copy_(weight)

        step.on_step_end(remember)
        if self.trust == "frame":
            return trust, torch.ones_like(total)
        return trust, (total / weight / (1 - self.full_trust / 2)).clamp_max(1)

    @staticmethod
    def nearness(cosine: Tensor, label: Tensor, memory: Memory) -> Tensor:
        """Return the share of recent labeled frames of the class whose cosine is at most that of a frame, `(u,)`.

        Args:
            cosine: `(u,)`.
            label: int64 `(u,)`.
            memory: Holds the recent labeled frames; a class of which there is none gives 0.

        Examples:
            >>> memory = {"recent.cosine": torch.tensor([0.2, 0.8, 0.5]), "recent.label": torch.tensor([0, 0, -1])}
            >>> PrototypeMatch.nearness(torch.tensor([0.5, 0.9, 0.9]), torch.tensor([0, 0, 1]), memory)
            tensor([0.5000, 1.0000, 0.0000])
        """
        same = memory["recent.label"][None] == label[:, None]
        lower = same & (memory["recent.cosine"][None].to(cosine.dtype) <= cosine[:, None])
        return lower.sum(1).to(cosine.dtype) / same.sum(1).clamp_min(1).to(cosine.dtype)


@dataclass(frozen=True)
class Prototypes:
    """The mean features of each class, less the mean of these means.

    Attributes:
        centre: `(d,)`.
        directions: `(classes, d)`; 0 for a class without a labeled frame so far.
    """

    centre: Tensor
    directions: Tensor

    @classmethod
    def of(cls, memory: Memory) -> Prototypes:
        """Return those of a memory of `PrototypeMatch`."""
        counts = memory["prototype.counts"]
        present = (counts > 0).to(counts.dtype)[:, None]
        means = memory["prototype.sums"] / counts.clamp_min(torch.finfo(counts.dtype).tiny)[:, None]
        centre = (means * present).sum(0) / present.sum().clamp_min(1)
        return cls(centre, (means - centre) * present)

    def cosine(self, features: Tensor, label: Tensor) -> Tensor:
        """Return the cosine between features `(n, d)` and the prototypes of classes, int64 `(n,)`: `(n,)`.

        Examples:
            >>> prototypes = Prototypes(torch.zeros(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
            >>> prototypes.cosine(torch.tensor([[2.0, 0.0], [3.0, 4.0]]), torch.tensor([0, 1]))
            tensor([1.0000, 0.8000])
        """
        centred = features.to(self.centre.dtype) - self.centre
        return functional.cosine_similarity(centred, self.directions[label], dim=-1)
