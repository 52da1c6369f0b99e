"""ReMixMatch: MixMatch with distribution alignment, augmentation anchoring and a rotation loss.

Berthelot, Carlini, Cubuk, Kurakin, Sohn, Zhang and Raffel, ICLR 2020, "ReMixMatch: Semi-supervised learning with
distribution alignment and augmentation anchoring", algorithm 1 and section 3. The sharpened prediction on the weak view
is the label of every view of a frame. Labeled frames, two strong views and the weak view are mixed; the first strong
view is learned unmixed as well, and by which quarter turn it is rotated. Set `alignment_batches: 128` for the paper's
distribution alignment. Departures: RandAugment replaces CTAugment; each frame has two strong views (the paper has up to
eight); one mixing share is drawn for the whole batch, as in MixMatch here. The sector of an ultrasound frame shows how
far it is turned: `rotation: 0` leaves that loss out, and saves its pass through the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, LabeledViewName, StepContext, ViewName
from heart2heart.training.algorithms.mixmatch import MixedStepContext
from heart2heart.training.mixing import draw_mix, mix_rows
from heart2heart.training.pseudo_labels import sharpen

TURNS = 4
"""Quarter turns that the rotation loss distinguishes."""


@dataclass(frozen=True, kw_only=True)
class AnchoredStepContext(MixedStepContext):
    """A step whose batches are mixed, with what the unmixed strong views learn.

    Attributes:
        anchors: Pseudo-labels of the unmixed first strong view, probabilities `(u, classes)`.
        rotated: That view, turned, of the shape of the view.
        turns: Number of its quarter turns, int64 `(u,)`.
    """

    anchors: Tensor
    rotated: Tensor
    turns: Tensor


class ReMixMatch(Algorithm):
    """Cross-entropy on mixed labeled and unlabeled frames, on an unmixed strong view, and on its rotation."""

    title: ClassVar[str] = "ReMixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong", "strong")
    labeled_view: ClassVar[LabeledViewName] = "strong"
    mixes_labeled: ClassVar[bool] = True
    uses_alignment: ClassVar[bool] = True

    temperature: float = Field(0.5, gt=0)
    """Temperature of the pseudo-labels; below 1 sharpens."""
    alpha: float = Field(0.75, gt=0)
    """Both parameters of the Beta distribution that the mixing share is drawn from."""
    mixed: float = Field(1.5, ge=0)
    """Weight of the loss of mixed unlabeled frames (lambda_U); `unlabeled_weight` multiplies all three."""
    anchored: float = Field(0.5, ge=0)
    """Weight of the loss of the unmixed strong view."""
    rotation: float = Field(0.5, ge=0)
    """Weight of the rotation loss."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output for each quarter turn."""
        return TURNS

    @torch.no_grad()
    def prepare_batch(self, step: StepContext) -> AnchoredStepContext:
        """Return the step with both batches mixed (algorithm 1); the unlabeled views become one batch of `3 u` rows."""
        weak, strong, other = step.unlabeled
        group = step.group
        anchors = sharpen(step.align(step.model_access.no_bn_update(weak).softmax(-1)), self.temperature)
        anchors = anchors.to(step.targets.dtype)
        frames = (step.labeled, strong, other, weak)
        labels = (step.targets, anchors, anchors, anchors)
        # A frame's partner may belong to another process: every process gathers all rows, and mixes its own.
        all_frames = torch.cat([group.all_gather(rows) for rows in frames])
        all_labels = torch.cat([group.all_gather(rows) for rows in labels])
        mix = draw_mix(self.alpha, len(all_frames), step.generator)
        partner = mix.order[group.rows(len(mix.order))]
        mixed = mix_rows(torch.cat(frames), all_frames[partner], mix.share)
        targets = mix_rows(torch.cat(labels), all_labels[partner], mix.share)
        b, u = len(step.labeled), len(weak) * group.size
        turns = torch.randint(TURNS, (u,), generator=step.generator, device=weak.device)[group.rows(u)]
        changed = {
            "labeled": mixed[:b],
            "targets": targets[:b],
            "unlabeled": (mixed[b:], strong),
            "pseudo_labels": targets[b:],
            "anchors": anchors,
            "rotated": rotate(strong, turns),
            "turns": turns,
        }
        return AnchoredStepContext(**vars(step) | changed)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted sum of the three losses, each averaged over the frames (section 3.3)."""
        assert isinstance(step, AnchoredStepContext)
        mixed, strong = step.unlabeled
        views = functional.cross_entropy(step.model(mixed), step.pseudo_labels, reduction="none").view(3, -1)
        anchored = functional.cross_entropy(step.model(strong), step.anchors, reduction="none")
        loss = self.mixed * views.mean(0) + self.anchored * anchored
        metrics = {"loss_anchored": anchored.detach().mean()}
        if self.rotation:
            logits = step.model_access.outputs(step.rotated)[:, step.classes :]
            rotation = functional.cross_entropy(logits, step.turns, reduction="none")
            loss = loss + self.rotation * rotation
            metrics["loss_rotation"] = rotation.detach().mean()
        return AlgorithmLoss.from_samples(loss, metrics)


def rotate(frames: Tensor, turns: Tensor) -> Tensor:
    """Return square frames `(n, channels, size, size)`, each turned by its number of quarter turns.

    Examples:
        >>> rotate(torch.tensor([[[[1, 2], [3, 4]]]]), torch.tensor([1])).tolist()
        [[[[2, 4], [1, 3]]]]
    """
    every = torch.stack([frames.rot90(count, (2, 3)) for count in range(TURNS)])
    return every[turns, torch.arange(len(frames), device=frames.device)]
