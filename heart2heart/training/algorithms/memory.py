"""Helpers for algorithms that keep tensors between steps: a teacher, or one row per unlabeled frame.

A teacher is a copy of the averaged weights at the end of a stage.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms.base import Memory, StepContext, TrainerHandle

_TEACHER = "teacher."


def teacher_memory(weights: Mapping[str, Tensor]) -> Memory:
    """Return the tensors of a teacher, filled with the weights and buffers of a network."""
    return {_TEACHER + name: value.clone() for name, value in weights.items()}


def update_teacher(trainer: TrainerHandle) -> None:
    """Copy the present averaged weights into the teacher."""
    for name, value in trainer.averaged_weights().items():
        trainer.memory[_TEACHER + name].copy_(value)


def teacher_pseudo_labels(step: StepContext, frames: Tensor) -> Tensor:
    """Return the teacher's probabilities `(n, classes)` without gradient, aligned if alignment is configured."""
    weights = {name.removeprefix(_TEACHER): value for name, value in step.memory.items() if name.startswith(_TEACHER)}
    return step.align(step.model_access.teacher(weights)(frames).softmax(-1))


def equal_stages(count: int, steps: int, title: str) -> tuple[int, ...]:
    """Return the first step of each of `count` stages of equal length.

    Raises:
        ConfigError: the run has fewer steps than stages.

    Examples:
        >>> equal_stages(3, 90, "Noisy Student")
        (0, 30, 60)
    """
    if steps < count:
        raise ConfigError(f"{title} has {count} stages here, the run {steps} steps", where="steps")
    return tuple(steps * stage // count for stage in range(count))


def mean_per_frame(index: Tensor, values: Tensor) -> Tensor:
    """Return `values` with the rows of a repeated frame replaced by their mean.

    Writing the result by `index` then gives the same outcome in any order.

    Args:
        index: Positions in the pool, int64 `(u,)`; a batch may hold a frame several times.
        values: `(u, n)`.

    Examples:
        >>> import torch
        >>> mean_per_frame(torch.tensor([4, 4, 7]), torch.tensor([[1.0], [3.0], [5.0]]))
        tensor([[2.],
                [2.],
                [5.]])
    """
    same = (index[:, None] == index[None, :]).to(values.dtype)
    return same @ values / same.sum(1, keepdim=True)
