"""Records batch-norm statistics anew on the labeled training frames, under their augmentation or as they are.

Running statistics are a moving mean over the passes of training, by weights that have changed since, and the averaged
weights get a copy of the raw network's. Statistics that are recorded again fit the weights that are validated and
shipped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.augment.policy import Policy
from heart2heart.training.augmented_batch import labeled_policy
from heart2heart.training.batch_norm import record_statistics
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import BalancedFrameSampler, FramePool, FrameSampler, TrainData, balance_groups
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.loader import seeded_generator

RECORD_PASSES = 4
"""Passes over the labeled frames, each with other draws of the augmentation."""
VALIDATION_FRAMES = 1_024
"""Most frames that a validation records from; what is shipped is recorded from all passes."""
RECORD_BATCH = 256
"""Most frames of a pass."""
CLEAN = Policy(flip=0.0, crop=0.0)
"""Leaves a frame as it is."""


class LabeledStatistics:
    """The labeled frames of a run, drawn always alike, and augmented always alike unless they are recorded as they are.

    Frames come as often as in training: with `batch.balance` in equal numbers from each group.

    Args:
        data: The frames of the run.
        config: Its configuration, which names the augmentation.
        pool: Its labeled frames.
        extra: The researcher's own augmentation pipeline, or None.
        group: The processes, which share the frames.
    """

    def __init__(
        self,
        data: TrainData,
        config: TrainConfig,
        pool: FramePool,
        extra: ExtraPipeline | None = None,
        group: ProcessGroup = SINGLE,
    ) -> None:
        self.config, self.pool, self.extra, self.group = config, pool, extra, group
        stream = seeded_generator(config.seed, "statistics", torch.device("cpu"))
        by = config.batch.balance
        if by == "none":
            sampler = FrameSampler(len(pool), stream, pool.index_device)
        else:
            groups = balance_groups(data.frames, data.train.rows, by, data.train.targets)
            sampler = BalancedFrameSampler(groups, stream, pool.index_device)
        self.order = sampler.take(RECORD_PASSES * len(pool))

    def record(self, network: nn.Module, *, frames: int | None = None) -> bool:
        """Replace a network's running statistics; every process must call this.

        Args:
            network: The network, on the device; its weights do not change.
            frames: Most frames to record from; None takes all passes.

        Returns:
            Whether the network has batch normalisation.
        """
        order = self.order[:frames]
        # Parts of nearly equal size: a last part of one frame would have no variance.
        parts = order.tensor_split(-(-len(order) // RECORD_BATCH))

        settings = self.config.augmentation
        clean = self.config.statistics_record == "clean"
        policy, extra = (CLEAN, None) if clean else (labeled_policy(self.config), self.extra)

        def batch(index: int) -> Tensor:
            generator = seeded_generator(self.config.seed, f"statistics {index}", self.pool.device)
            pixels = self.pool.take(parts[index])
            return augment(policy, pixels, generator, driver=settings.driver, extra=extra)

        return record_statistics(network, batch, len(parts), self.group)
