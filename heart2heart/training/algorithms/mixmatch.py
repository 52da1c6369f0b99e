"""MixMatch (Berthelot et al., NeurIPS 2019): guess, sharpen, and mix labeled with unlabeled frames.

As in Fix-A-Step's released code, one share is drawn for the whole batch (the paper draws one a frame), and both batches
have two views. Departures from it: guesses leave the running statistics alone; labeled and unlabeled rows are passed
apart, or all together with `batch_norm: joint`, where that code interleaves them into equal batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.pi_model import consistency_loss
from heart2heart.training.mixing import draw_mix
from heart2heart.training.pseudo_labels import sharpen


@dataclass(frozen=True, kw_only=True)
class MixedStepContext(StepContext):
    """A step whose batches are mixed.

    Attributes:
        pseudo_labels: Mixed targets of the one unlabeled batch, probabilities `(2 u, classes)`.
    """

    pseudo_labels: Tensor


class MixMatch(Algorithm):
    """Cross-entropy on mixed labeled frames, Brier loss on mixed unlabeled frames."""

    title: ClassVar[str] = "MixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    mixes_labeled: ClassVar[bool] = True
    uses_alignment: ClassVar[bool] = True

    temperature: float = Field(0.5, gt=0)
    """Sharpening of the guesses; below 1 sharpens."""
    alpha: float = Field(0.75, gt=0)
    """Both parameters of the Beta distribution that the mixing share is drawn from."""

    @torch.no_grad()
    def prepare_batch(self, step: StepContext) -> MixedStepContext:
        """Return the step with both batches mixed (algorithm 1); the unlabeled views become one batch of `2 u` rows."""
        first, second = step.unlabeled
        quiet, world = step.model_access.no_bn_update, step.group
        guess = sharpen(step.align((quiet(first).softmax(-1) + quiet(second).softmax(-1)) / 2), self.temperature)
        guess = guess.to(step.targets.dtype)
        # A frame's partner may lie in another process, so every process has all rows, and mixes its own.
        batches = (step.labeled, first, second)
        frames = torch.cat([world.all_gather(batch) for batch in batches])
        labels = torch.cat([world.all_gather(batch) for batch in (step.targets, guess, guess)])
        mix = draw_mix(self.alpha, len(frames), step.generator)
        partner = mix.order[world.rows(len(mix.order))]
        share, other = mix.share.to(frames.dtype), 1 - mix.share.to(frames.dtype)
        mixed = share * torch.cat(batches) + other * frames[partner]
        share, other = mix.share.to(labels.dtype), 1 - mix.share.to(labels.dtype)
        targets = share * torch.cat([step.targets, guess, guess]) + other * labels[partner]
        b = len(step.labeled)
        return MixedStepContext(
            **vars(step)
            | {"labeled": mixed[:b], "targets": targets[:b], "unlabeled": (mixed[b:],), "pseudo_labels": targets[b:]}
        )

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the Brier loss, averaged over classes and both views of the frames (equation 4)."""
        assert isinstance(step, MixedStepContext)
        (frames,) = step.unlabeled
        return consistency_loss(step.model(frames), step.pseudo_labels)
