"""One augmented batch: every view of its frames that a step needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.algorithms.base import Algorithm
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.augment.policy import Policy
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import SINGLE, ProcessGroup


@dataclass(frozen=True)
class AugmentedBatch:
    """One batch, augmented.

    Frames are float32 `(n, channels, size, size)` from -1 to 1.

    Attributes:
        labeled: The labeled frames' view (`augmentation.labeled`), `(b, channels, size, size)`.
        targets: One-hot targets, float32 `(b, classes)`.
        unlabeled: The views that the algorithm names, each `(u, channels, size, size)`.
        pool_index: Positions of the unlabeled frames in the pool, int64 `(u,)`.
        mixing_views: Two weak views of at most b unlabeled frames, for Fix-A-Step's mixing; empty without mixing.
        probe: Labeled frames that are held out of training, and their targets, for a gradient rule that judges by them;
            empty without such a rule.
    """

    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    pool_index: Tensor
    mixing_views: tuple[Tensor, ...]
    probe: tuple[Tensor, ...] = ()


def labeled_policy(config: TrainConfig) -> Policy:
    """Return the policy of a run's labeled frames: the method's choice, or else `augmentation.labeled`."""
    settings = config.augmentation
    if ALGORITHMS[config.method.name].labeled_view == "strong":
        return settings.strong
    return settings.labeled or settings.weak


def augment_batch(
    config: TrainConfig,
    algorithm: Algorithm,
    labeled: Tensor,
    targets: Tensor,
    unlabeled: Tensor,
    index: Tensor,
    generator: torch.Generator,
    probe: tuple[Tensor, ...] = (),
    *,
    group: ProcessGroup = SINGLE,
    extra: ExtraPipeline | None = None,
) -> AugmentedBatch:
    """Return every view that a step needs.

    Args:
        config: The run's configuration, which holds the policies.
        algorithm: It names the views.
        labeled: uint8 `(b, size, size)`.
        targets: `(b, classes)`.
        unlabeled: uint8 `(u, size, size)`; empty where no pool is needed.
        index: Positions of the unlabeled frames in the pool, int64 `(u,)`.
        generator: Random stream of the augmentation, on the frames' device.
        probe: Held-out labeled frames, uint8 `(b, size, size)`, and their targets; empty if there are none.
        group: The processes; each augments its own rows, with the numbers of the whole batch.
        extra: The researcher's own pipeline, applied before the policy.
    """
    settings = config.augmentation
    policies = {"weak": settings.weak, "strong": settings.strong}

    def view(policy: Policy, pixels: Tensor) -> Tensor:
        total = len(pixels) * group.size
        rows = group.rows(total)
        return augment(policy, pixels, generator, driver=settings.driver, total=total, rows=rows, extra=extra)

    labeled_view = view(labeled_policy(config), labeled)
    views = tuple(view(policies[name], unlabeled) for name in algorithm.views)
    mixing_views: list[Tensor] = []
    if config.fix_a_step.mixing:
        # The algorithm's own weak views serve for mixing; missing views are drawn for as many rows as are mixed.
        weak = [frames for name, frames in zip(algorithm.views, views, strict=True) if name == "weak"]
        mixing_views = [frames[: len(labeled)] for frames in weak[:2]]
        mixing_views += [view(settings.weak, unlabeled[: len(labeled)]) for _ in range(2 - len(mixing_views))]
    held_out = (view(labeled_policy(config), probe[0]), probe[1]) if probe else ()
    return AugmentedBatch(labeled_view, targets, views, index, tuple(mixing_views), held_out)
