"""Fix-A-Step's first half: the labeled batch is mixed with unlabeled frames and their soft guesses.

Huang, Sidhom, Wessler and Hughes, AISTATS 2023, "Fix-A-Step: Semi-supervised learning from uncurated unlabeled data",
section 3. It stands before any method: what comes out replaces the labeled batch. The second half is a gradient rule.
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
    """What is drawn for one batch.

    Attributes:
        share: Scalar float64 in [0.5, 1], the part of each frame that stays itself.
        order: int64 `(rows,)`, a permutation of all rows: labeled, first guesses, second guesses.
    """

    share: Tensor
    order: Tensor


def draw_mix(alpha: float, rows: int, generator: torch.Generator) -> LabeledMix:
    """Draw the mixing of one batch: one share from Beta(alpha, alpha), and one permutation of all rows.

    Args:
        alpha: Both parameters of the Beta distribution.
        rows: Labeled frames plus both sets of guessed frames.
        generator: The only source of chance; everything stays on its device.
    """
    device = generator.device
    alphas = torch.full((2,), alpha, dtype=torch.float64, device=device)
    # Beta(a, a) is the first part of a symmetric Dirichlet of two; torch.distributions takes no generator.
    share = torch._sample_dirichlet(alphas, generator=generator).max()
    return LabeledMix(share, torch.randperm(rows, generator=generator, device=device))


@torch.no_grad()
def soft_pseudo_labels(model: nn.Module, first: Tensor, second: Tensor, temperature: float, classes: int) -> Tensor:
    """Guess the labels of unlabeled frames from two weak views of each.

    The network guesses as it trains (batch statistics), but its running statistics are left alone.

    Args:
        model: The raw network, not its average, in training mode.
        first: `(b, channels, size, size)`.
        second: Another view of the same frames.
        temperature: Below 1 sharpens.
        classes: Number of classes; outputs behind them are left out.

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
    """Mix the labeled rows with rows drawn from the labeled and both guessed sets.

    Args:
        labeled: `(b, channels, size, size)`.
        targets: Probabilities `(b, classes)`.
        first: Weak view of unlabeled frames.
        second: Another weak view of the same.
        pseudo_labels: Their soft labels, for both views.
        mix: What was drawn, over all rows of all processes.
        group: The processes; each mixes its own labeled rows.

    Returns:
        The mixed labeled rows and their targets, shapes as given.
    """
    frames = group.all_gather(torch.cat([labeled, first, second]))
    labels = group.all_gather(torch.cat([targets, pseudo_labels.to(targets.dtype), pseudo_labels.to(targets.dtype)]))
    partner = mix.order[group.rows(len(labeled) * group.size)]
    share = mix.share.to(frames.dtype)
    mixed = share * labeled + (1 - share) * frames[partner]
    share = mix.share.to(labels.dtype)
    return mixed, share * targets + (1 - share) * labels[partner]
