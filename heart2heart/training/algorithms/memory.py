"""What several algorithms remember between steps: a teacher, and one row per unlabeled frame.

A teacher is the averaged weights at the end of a stage.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms.base import Memory, StepContext, TrainerHandle

_TEACHER = "teacher."


def teacher_memory(weights: Mapping[str, Tensor]) -> Memory:
    """Return room for a teacher, filled with the weights and buffers of a network."""
    return {_TEACHER + name: value.clone() for name, value in weights.items()}


def update_teacher(trainer: TrainerHandle) -> None:
    """Make the present average the teacher."""
    for name, value in trainer.averaged_weights().items():
        trainer.memory[_TEACHER + name].copy_(value)


def teacher_pseudo_labels(step: StepContext, frames: Tensor) -> Tensor:
    """Return the teacher's guesses, probabilities `(n, classes)` without gradient, aligned if that is configured."""
    weights = {name.removeprefix(_TEACHER): value for name, value in step.memory.items() if name.startswith(_TEACHER)}
    return step.align(step.model_access.teacher(weights)(frames).softmax(-1))


def equal_stages(count: int, steps: int, title: str) -> tuple[int, ...]:
    """Return the steps at which `count` stages of equal length begin.

    Raises:
        ConfigError: the run is shorter than that.
    """
    if steps < count:
        raise ConfigError(f"{title} has {count} stages here, the run {steps} steps", where="steps")
    return tuple(steps * stage // count for stage in range(count))


def mean_per_frame(index: Tensor, values: Tensor) -> Tensor:
    """Return `values` with rows of one place replaced by their mean, so that writing them by place has one outcome.

    Args:
        index: Places in the pool, int64 `(u,)`; a batch may hold a frame several times.
        values: `(u, n)`.
    """
    same = (index[:, None] == index[None, :]).to(values.dtype)
    return same @ values / same.sum(1, keepdim=True)
