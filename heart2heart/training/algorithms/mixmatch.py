"""MixMatch (Berthelot et al., NeurIPS 2019): sharpened pseudo-labels, and labeled frames mixed with unlabeled ones.

As in Fix-A-Step's released code, one share is drawn for the whole batch (the paper draws one for each frame), and each
unlabeled frame has two views. Departures from that code: computing pseudo-labels does not update the running
statistics; labeled and unlabeled rows pass separately, or all together with `batch_norm: joint`, where that code
interleaves them into equal batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.consistency import consistency_loss
from heart2heart.training.mixing import draw_mix, mix_rows
from heart2heart.training.pseudo_labels import sharpen


@dataclass(frozen=True, kw_only=True)
class MixedStepContext(StepContext):
    """A step whose batches are mixed.

    Attributes:
        pseudo_labels: Mixed targets of the one unlabeled batch, probabilities `(2 u, classes)`.
    """

    pseudo_labels: Tensor


class MixMatch(Algorithm):
    """Cross-entropy on mixed labeled frames, Brier loss (`consistency_loss`) on mixed unlabeled frames."""

    title: ClassVar[str] = "MixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    mixes_labeled: ClassVar[bool] = True
    uses_alignment: ClassVar[bool] = True

    temperature: float = Field(0.5, gt=0)
    """Temperature of the pseudo-labels; below 1 sharpens."""
    alpha: float = Field(0.75, gt=0)
    """Both parameters of the Beta distribution that the mixing share is drawn from."""

    @torch.no_grad()
    def prepare_batch(self, step: StepContext) -> MixedStepContext:
        """Return the step with both batches mixed (algorithm 1); the unlabeled views become one batch of `2 u` rows."""
        first, second = step.unlabeled
        model, group = step.model_access.no_bn_update, step.group
        mean = (model(first).softmax(-1) + model(second).softmax(-1)) / 2
        pseudo_labels = sharpen(step.align(mean), self.temperature).to(step.targets.dtype)
        frames = (step.labeled, first, second)
        labels = (step.targets, pseudo_labels, pseudo_labels)
        # A frame's partner may belong to another process: every process gathers all rows, and mixes its own.
        all_frames = torch.cat([group.all_gather(rows) for rows in frames])
        all_labels = torch.cat([group.all_gather(rows) for rows in labels])
        mix = draw_mix(self.alpha, len(all_frames), step.generator)
        partner = mix.order[group.rows(len(mix.order))]
        mixed = mix_rows(torch.cat(frames), all_frames[partner], mix.share)
        targets = mix_rows(torch.cat(labels), all_labels[partner], mix.share)
        b = len(step.labeled)
        return MixedStepContext(
            **vars(step)
            | {"labeled": mixed[:b], "targets": targets[:b], "unlabeled": (mixed[b:],), "pseudo_labels": targets[b:]}
        )

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the Brier loss, averaged over classes and both views of the frames (equation 4)."""
        assert isinstance(step, MixedStepContext)
        (frames,) = step.unlabeled
        return AlgorithmLoss.from_samples(consistency_loss(step.model(frames), step.pseudo_labels))
