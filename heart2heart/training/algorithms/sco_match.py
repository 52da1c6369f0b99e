"""SCOMatch: one more class for frames of no class, labeled by a queue of the frames least like any class.

Wang, Xiang, Huang, Mao, Xiao and Yamasaki, ECCV 2024, "SCOMatch: Alleviating overtrusting in open-set semi-supervised
learning". A classifier over classes + 1 learns labels; the frames of a queue as labels of the last class; FixMatch over
classes + 1 on all frames (open-set self-training); and FixMatch over the classes alone on frames that are predicted as
one (closed-set self-training). In each step the frames whose largest class probability is lowest enter the queue. The
threshold of the last class is that of the classes, times the ratio of confident predictions of the last class to those
of the others over half a pass, from 0.75 to 0.95; settings are those of the authors' code for CIFAR-10. Departures: the
queue holds positions in the pool, so that a member is learned when it is drawn again, not at every step; one batch of
the pool serves both kinds of self-training, which draw one each there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.losses import accuracy

LOWEST_OPEN_THRESHOLD, HIGHEST_OPEN_THRESHOLD = 0.75, 0.95


class SCOMatch(Algorithm):
    """A classifier over classes + 1, whose last class learns from a queue of the least confident frames."""

    title: ClassVar[str] = "SCOMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence from which a prediction counts, and below which a member of the queue is learned."""
    queue: int = Field(256, ge=1)
    """Length of the queue; the authors take the larger of 256 and 8 a class."""
    entering: int = Field(1, ge=1)
    """Frames that enter the queue at each step."""
    warmup: float = Field(0.0, ge=0, le=1)
    """Share of the run after which the last class is learned."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output, for "no class"."""
        return 1

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the queue's positions and scores, its next place, and the counts behind the last class's threshold."""
        return {
            "queue.index": torch.full((self.queue,), -1, dtype=torch.int64),
            "queue.score": torch.ones(self.queue),
            "queue.next": torch.zeros(1, dtype=torch.int64),
            "confident": torch.zeros(2),
            "drawn": torch.zeros(()),
            "pool": torch.tensor(float(pool)),
            "open_threshold": torch.tensor(HIGHEST_OPEN_THRESHOLD),
        }

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of labels over classes + 1, whose last class no label has."""
        outputs = step.model_access.outputs(step.labeled)
        closed = step.criterion(outputs[:, : step.classes], step.targets)
        # Over classes + 1 the cross-entropy has one more term: minus log(1 - p of the last class).
        rest = functional.softplus(outputs[:, -1] - outputs[:, : step.classes].logsumexp(-1)).mean()
        return AlgorithmLoss(closed + rest, {"train_accuracy": accuracy(outputs[:, : step.classes], step.targets)})

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the sum of the losses of the queue, of open-set and of closed-set self-training."""
        weak, strong = step.unlabeled
        memory, classes, index = step.memory, step.classes, step.pool_index
        weak_logits = step.model_access.outputs(weak)
        with torch.no_grad():
            fixed = weak_logits.detach()
            opened, closed = fixed.softmax(-1), fixed[:, :classes].softmax(-1)
            score = opened[:, :classes].amax(-1)
            confidence, label = opened.max(-1)
            inside = label < classes
            threshold = torch.where(inside, self.threshold, memory["open_threshold"].to(confidence.dtype))
            open_mask = (confidence >= threshold).to(fixed.dtype)
            closed_mask = ((confidence >= self.threshold) & inside).to(fixed.dtype)
            learned = (memory["queue.score"] < self.threshold) & (memory["queue.index"] >= 0)
            member = ((index[:, None] == memory["queue.index"]) & learned).any(-1).to(fixed.dtype)
            members = step.group.sum(member.sum()).clamp_min(1)
            # The mean over the members, as a mean over the whole batch.
            member_weight = member * (len(index) * step.group.size / members)
        strong_logits = step.model_access.outputs(strong)
        loss = closed_mask * functional.cross_entropy(strong_logits[:, :classes], closed.argmax(-1), reduction="none")
        if step.step >= self.warmup * step.steps:
            last = torch.full_like(label, classes)
            loss = loss + member_weight * functional.cross_entropy(weak_logits, last, reduction="none")
            loss = loss + open_mask * functional.cross_entropy(strong_logits, label, reduction="none")
        confident = confidence >= self.threshold
        counts = torch.stack([(confident & ~inside).sum(), (confident & inside).sum()]).to(torch.float32)
        gathered = step.group.all_gather(index), step.group.all_gather(score)
        step.on_step_end(lambda: self.remember(memory, *gathered, step.group.sum(counts)))
        metrics = {
            "inlier_rate": inside.to(fixed.dtype).mean(),
            "pseudo_label_rate": closed_mask.mean(),
            "queue_rate": member.mean(),
        }
        return AlgorithmLoss.from_samples(loss, metrics)

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, scores: Tensor, counts: Tensor) -> None:
        """Put the frames with the lowest scores into the queue, and update the threshold of the last class.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            scores: Largest probability of a class, `(u,)`.
            counts: Confident predictions of the last class, and of the others, `(2,)`.
        """
        count = min(self.entering, len(index), self.queue)
        lowest, rows = scores.topk(count, largest=False)
        slots = (memory["queue.next"] + torch.arange(count, device=index.device)) % self.queue
        memory["queue.index"][slots] = index[rows]
        memory["queue.score"][slots] = lowest.to(memory["queue.score"].dtype)
        memory["queue.next"].add_(count)
        memory["confident"].add_(counts)
        memory["drawn"].add_(len(index))
        due = memory["drawn"] >= memory["pool"] / 2
        new = open_threshold(memory["confident"], self.threshold)
        memory["open_threshold"].copy_(torch.where(due, new, memory["open_threshold"]))
        for name in ("confident", "drawn"):
            memory[name].copy_(torch.where(due, 0, memory[name]))


def open_threshold(counts: Tensor, threshold: float) -> Tensor:
    """Return the threshold of the last class, a scalar.

    Args:
        counts: Confident predictions of the last class, and of the others, `(2,)`.
        threshold: That of the other classes.

    Examples:
        >>> open_threshold(torch.tensor([90.0, 100.0]), threshold=0.95)
        tensor(0.8550)
    """
    ratio = threshold * counts[0] / counts[1].clamp_min(1)
    limited = ratio.clamp(LOWEST_OPEN_THRESHOLD, HIGHEST_OPEN_THRESHOLD)
    return torch.where(counts[1] > 0, limited, HIGHEST_OPEN_THRESHOLD)
