"""Pseudo-labels whose weight is learned from how often predictions of the frame have agreed.

Our own method, in the manner of agreement between networks of several seeds, as far as one run allows: the network in
training and its average predict two weak views of a frame, and the average's label is compared with that of the frame's
last visit. A visit agrees if all three are the same class. The weight of a pseudo-label is the share of visits that
agreed, by Laplace's rule of succession, (1 + agreed) / (2 + visits). Earlier visits fade, since the network was worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.memory import mean_per_frame


class AgreementWeighting(Algorithm):
    """Hard pseudo-labels by the averaged network, each weighted by its agreement over views, networks and visits."""

    title: ClassVar[str] = "agreement weighting"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak", "strong")

    fading: float = Field(0.8, ge=0, le=1)
    """Factor on earlier visits at each visit; 1 counts all alike."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return each frame's last label, the number of its visits, and of those that agreed."""
        return {"label": torch.full((pool,), -1.0), "visits": torch.zeros(pool), "agreed": torch.zeros(pool)}

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted cross-entropy on the strong views, averaged over the whole batch."""
        weak, second, strong = step.unlabeled
        memory, index, group = step.memory, step.pool_index, step.group
        with torch.no_grad():
            label = step.model_access.ema(weak).argmax(-1)
            same = label == step.model(second).argmax(-1)
            last = memory["label"][index]
            known = last >= 0
            agreed = (same & (last == label)).to(memory["visits"].dtype)
            visits = self.fading * memory["visits"][index] + known.to(agreed.dtype)
            total = self.fading * memory["agreed"][index] + agreed
            weight = (1 + total) / (2 + visits)
        rows = torch.stack([label.to(weight.dtype), visits, total], -1)
        gathered = group.all_gather(index), group.all_gather(rows)
        step.on_step_end(lambda: self.remember(memory, *gathered))
        logits = step.model(strong)
        loss = functional.cross_entropy(logits, label, reduction="none") * weight.to(logits.dtype)
        return AlgorithmLoss.from_samples(loss, {"agreement_rate": agreed.mean(), "pseudo_label_weight": weight.mean()})

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, rows: Tensor) -> None:
        """Store label, visits and agreement of frames; a frame that a batch holds several times takes one of each.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            rows: Label, visits and agreed visits, `(u, 3)`.
        """
        visits, total = mean_per_frame(index, rows[:, 1:]).unbind(-1)
        memory["visits"][index], memory["agreed"][index] = visits, total
        # The largest label of a repeated frame, whatever the order of writing.
        same = index[:, None] == index[None, :]
        memory["label"][index] = torch.where(same, rows[:, 0], -1).amax(1)
