"""Fix-A-Step's first half: mixes the labeled batch with unlabeled frames and their soft pseudo-labels.

Huang, Sidhom, Wessler and Hughes, AISTATS 2023, "Fix-A-Step: Semi-supervised learning from uncurated unlabeled data",
section 3. The mixed batch replaces the labeled batch of any algorithm. The second half is a gradient rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heart2heart.training.batch_norm import no_bn_update
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.pseudo_labels import sharpen


@dataclass(frozen=True)
class LabeledMix:
    """The random numbers of one mixed batch.

    Attributes:
        share: Scalar float64 in [0.5, 1], the weight of each frame; its partner has the rest.
        order: int64 `(rows,)`, a permutation of all rows: labeled frames, first views, second views.
    """

    share: Tensor
    order: Tensor


def draw_mix(alpha: float, rows: int, generator: torch.Generator) -> LabeledMix:
    """Draw the mixing of one batch: one share from Beta(alpha, alpha), and one permutation of all rows.

    Args:
        alpha: Both parameters of the Beta distribution.
        rows: Number of labeled frames plus both sets of unlabeled views.
        generator: Random stream; everything stays on its device.
    """
    device = generator.device
    alphas = torch.full((2,), alpha, dtype=torch.float64, device=device)
    # Beta(a, a) is the first part of a symmetric Dirichlet of two; torch.distributions takes no generator.
    share = torch._sample_dirichlet(alphas, generator=generator).max()
    return LabeledMix(share, torch.randperm(rows, generator=generator, device=device))


@torch.no_grad()
def soft_pseudo_labels(model: nn.Module, first: Tensor, second: Tensor, temperature: float, classes: int) -> Tensor:
    """Return soft pseudo-labels of unlabeled frames, from two weak views of each.

    The network is in training mode (batch statistics), but its running statistics are not updated.

    Args:
        model: The network in training, not its average.
        first: `(b, channels, size, size)`.
        second: Another view of the same frames.
        temperature: Below 1 sharpens.
        classes: Number of classes; the algorithm's extra outputs after them are left out.

    Returns:
        Probabilities `(b, classes)`; there is no threshold.
    """
    with no_bn_update(model):
        mean = (model(first)[:, :classes].softmax(-1) + model(second)[:, :classes].softmax(-1)) / 2
    return sharpen(mean, temperature)


@torch.no_grad()
def mix_labeled(
    labeled: Tensor,
    targets: Tensor,
    first: Tensor,
    second: Tensor,
    pseudo_labels: Tensor,
    mix: LabeledMix,
    group: ProcessGroup = SINGLE,
) -> tuple[Tensor, Tensor]:
    """Mix the labeled rows with rows drawn from the labeled frames and both views of the unlabeled ones.

    Args:
        labeled: `(b, channels, size, size)`.
        targets: Probabilities `(b, classes)`.
        first: Weak view of unlabeled frames.
        second: Another weak view of the same.
        pseudo_labels: Their soft labels, for both views, `(b, classes)`.
        mix: The random numbers, over all rows of all processes.
        group: The processes; each mixes its own labeled rows.

    Returns:
        The mixed labeled rows and their targets, of the shapes of `labeled` and `targets`.
    """
    frames = group.all_gather(torch.cat([labeled, first, second]))
    labels = group.all_gather(torch.cat([targets, pseudo_labels.to(targets.dtype), pseudo_labels.to(targets.dtype)]))
    partner = mix.order[group.rows(len(labeled) * group.size)]
    return mix_rows(labeled, frames[partner], mix.share), mix_rows(targets, labels[partner], mix.share)


def mix_rows(rows: Tensor, partners: Tensor, share: Tensor) -> Tensor:
    """Return `share * rows + (1 - share) * partners` (mixup; Zhang et al., ICLR 2018).

    Args:
        rows: `(n, ...)`.
        partners: Of the same shape.
        share: Scalar in 0 to 1.

    Examples:
        >>> mix_rows(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor(0.75))
        tensor([0.7500])
    """
    share = share.to(rows.dtype)
    return share * rows + (1 - share) * partners
