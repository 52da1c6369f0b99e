"""Sharpens pseudo-labels and aligns their class distribution (ReMixMatch: Berthelot et al., ICLR 2020, section 3.1).

Alignment multiplies a pseudo-label by the share of each class among the labels over its mean share in recent
pseudo-labels, and scales the result to sum 1. It assumes that classes are as frequent in the pool as among the
labels; an uncurated pool need not be so. As in the paper the mean is over the last 128 batches. The paper starts as
if all of them had been uniform; here the mean is over the batches so far, and the first batch is left unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_RATIO_EPSILON = 1e-6  # as in the authors' code: keeps the ratio of a class that is never predicted finite


@dataclass(frozen=True)
class DistributionAlignment:
    """Aligns pseudo-labels with the class distribution of the labels.

    Attributes:
        label_shares: Share of each class among the labeled frames, `(classes,)`.
        batches: Number of recent batches of which the mean is taken.
    """

    label_shares: Tensor
    batches: int = 128

    def initial_memory(self) -> dict[str, Tensor]:
        """Return the tensors that are kept: mean predictions of recent batches `(batches, classes)`, and a count."""
        recent = torch.zeros(self.batches, len(self.label_shares))
        return {"alignment.recent": recent, "alignment.seen": torch.zeros(1, dtype=torch.int64)}

    def align(self, probabilities: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Return aligned probabilities `(n, classes)`.

        Args:
            probabilities: Probabilities `(n, classes)`.
            memory: The tensors of `initial_memory`, as they were before this batch.
        """
        recent, seen = memory["alignment.recent"], memory["alignment.seen"]
        mean = recent.sum(0) / seen.clamp(1, self.batches)
        ratio = torch.where(seen > 0, (self.label_shares.to(mean) + _RATIO_EPSILON) / (mean + _RATIO_EPSILON), 1)
        aligned = probabilities * ratio.to(probabilities.dtype)
        return aligned / aligned.sum(-1, keepdim=True)

    @torch.no_grad()
    def update(self, mean: Tensor, memory: dict[str, Tensor]) -> None:
        """Add the mean prediction of a batch before alignment, `(classes,)`; it replaces the oldest one."""
        recent, seen = memory["alignment.recent"], memory["alignment.seen"]
        recent.index_copy_(0, seen % self.batches, mean.to(recent.dtype)[None])
        seen += 1


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Return probabilities to the power of 1 / temperature, scaled to sum 1 per row; below 1 sharpens.

    Args:
        probabilities: Probabilities `(n, classes)`.
        temperature: Above 0.

    Examples:
        >>> sharpen(torch.tensor([[0.6, 0.4]]), temperature=0.5)
        tensor([[0.6923, 0.3077]])
    """
    # Relative to the largest, so that a small temperature does not make all of them vanish.
    sharp: Tensor = (probabilities / probabilities.amax(-1, keepdim=True)) ** (1 / temperature)
    return sharp / sharp.sum(-1, keepdim=True)
