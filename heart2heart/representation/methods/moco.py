"""MoCo v2 (Chen et al., "Improved Baselines with Momentum Contrastive Learning", 2020; He et al., 2020)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.representation.methods.base import Memory, PairLoss, PairStep, PretrainMethod, mlp


class MoCo(PretrainMethod):
    """A view must find its partner, as an averaged network sees it, among earlier frames that are kept in a queue."""

    title: ClassVar[str] = "MoCo v2"
    temperature: float = Field(0.2, gt=0)
    """Divides the cosine similarities."""
    momentum: float = Field(0.99, ge=0, lt=1)
    """Share of the averaged network that stays at each step; the paper has 0.999 for runs of 200 epochs."""
    queue: int = Field(4096, ge=1, le=1_000_000)
    """Number of earlier projections that serve as negatives."""
    key_groups: int = Field(2, ge=1, le=64)
    """Groups that the partners pass through batch normalisation in, in shuffled order, so that its statistics do not
    tell which frames belong together (He et al., section 3.3; there it is one group a graphics card)."""
    hidden: int = Field(512, ge=1, le=16_384)
    """Width of the projector."""
    output: int = Field(128, ge=2, le=16_384)
    """Dimensions of the projections."""

    def projector(self, features: int) -> nn.Module:
        """See `PretrainMethod.projector`: two layers without normalisation, as in version 2."""
        return mlp((features, self.hidden, self.output), norm=False)

    def target_momentum(self, step: int, steps: int) -> float:
        """See `PretrainMethod.target_momentum`."""
        return self.momentum

    def initial_memory(self, generator: torch.Generator) -> Memory:
        """Return a queue of random directions, and the position that the next projections are written to."""
        drawn = torch.randn(self.queue, self.output, generator=generator)
        return {"queue": functional.normalize(drawn, dim=1), "position": torch.zeros(1, dtype=torch.int64)}

    def loss(self, step: PairStep) -> PairLoss:
        """Return the loss; the projections of the averaged network then enter the queue."""
        queries = step.project(step.views[0])
        keys = self._keys(step)
        queue, position = step.memory["queue"], step.memory["position"]
        value, hits = info_nce(queries, keys, queue, self.temperature)
        step.on_step_end(lambda: enqueue(queue, position, functional.normalize(keys, dim=1)))
        return PairLoss(value, {"partner_found": hits})

    def _keys(self, step: PairStep) -> Tensor:
        """Return the projections of the partners, which pass through the averaged network in shuffled groups."""
        partners = step.views[1]
        order = torch.randperm(len(partners), generator=step.generator, device=partners.device)
        # A group of one frame would have no variance.
        groups = max(1, min(self.key_groups, len(partners) // 2))
        keys = torch.cat([step.target(partners[part]) for part in order.tensor_split(groups)])
        return torch.empty_like(keys).index_copy_(0, order, keys)


def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the contrastive loss (He et al., equation 1), and how often the key is nearer than every negative.

    Args:
        queries: Projections `(n, d)`.
        keys: Projections of their partners, `(n, d)`, without gradient.
        queue: Negatives `(k, d)`, of length 1.
        temperature: Divides the cosine similarities.

    Examples:
        >>> rows = torch.eye(3)
        >>> round(float(info_nce(rows[:1], rows[:1], rows[1:], temperature=1.0)[0]), 4)  # log(e + 2) - 1
        0.5514
    """
    queries, keys = functional.normalize(queries, dim=1), functional.normalize(keys, dim=1)
    positive = (queries * keys).sum(1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.T], 1) / temperature
    targets = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    return functional.cross_entropy(logits, targets), (logits.detach().argmax(1) == 0).float().mean()


@torch.no_grad()
def enqueue(queue: Tensor, position: Tensor, rows: Tensor) -> None:
    """Write rows over the oldest of a ring, in place.

    Args:
        queue: The ring `(k, d)`.
        position: int64 `(1,)`, where the next row is written; moved on.
        rows: The newest rows, `(n, d)`; of more than k the last k stay.

    Examples:
        >>> queue, position = torch.zeros(3, 1), torch.tensor([2])
        >>> enqueue(queue, position, torch.tensor([[1.0], [2.0]]))
        >>> queue.flatten().tolist(), position.item()
        ([2.0, 0.0, 1.0], 1)
    """
    rows = rows[-len(queue) :]
    index = (position + torch.arange(len(rows), device=queue.device)) % len(queue)
    queue[index] = rows.to(queue.dtype)
    position.copy_((position + len(rows)) % len(queue))
