"""Records batch-norm statistics anew on the labeled training frames, under their augmentation.

Running statistics are a moving mean over the passes of training, by weights that have changed since, and the averaged
weights get a copy of the raw network's. Statistics that are recorded again fit the weights that are validated and
shipped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heart2heart.training.augment.drivers import augment
from heart2heart.training.batch_norm import record_statistics
from heart2heart.training.data import BalancedFrameSampler, FrameSampler, TrainData, balance_groups
from heart2heart.training.loader import TrainLoader, seeded_generator
from heart2heart.training.train_step import Trainer

RECORD_PASSES = 4
"""Passes over the labeled frames, each with other draws of the augmentation."""
VALIDATION_FRAMES = 1_024
"""Most frames that a validation records from; what is shipped is recorded from all passes."""
RECORD_BATCH = 256
"""Most frames of a pass."""


class LabeledStatistics:
    """The labeled frames of a run, drawn and augmented always alike.

    Frames come as often as in training: with `batch.balance` in equal numbers from each group.

    Args:
        data: The frames of the run.
        trainer: Its configuration names the augmentation.
        loader: Its labeled frames are used.
        device: Device of the passes.
    """

    def __init__(self, data: TrainData, trainer: Trainer, loader: TrainLoader, device: torch.device) -> None:
        self.trainer, self.pool, self.device = trainer, loader.labeled, device
        config = trainer.config
        stream = seeded_generator(config.seed, "statistics", torch.device("cpu"))
        by = config.batch.balance
        if by == "none":
            sampler = FrameSampler(len(self.pool), stream, self.pool.index_device)
        else:
            groups = balance_groups(data.frames, data.train.rows, by, data.train.targets)
            sampler = BalancedFrameSampler(groups, stream, self.pool.index_device)
        self.order = sampler.take(RECORD_PASSES * len(self.pool))

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

        def batch(index: int) -> Tensor:
            settings = self.trainer.config.augmentation
            generator = seeded_generator(self.trainer.config.seed, f"statistics {index}", self.device)
            pixels = self.pool.take(parts[index])
            policy = settings.labeled or settings.weak
            return augment(policy, pixels, generator, driver=settings.driver, extra=self.trainer.extra)

        return record_statistics(network, batch, len(parts), self.trainer.group)
