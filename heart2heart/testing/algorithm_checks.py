"""The check of a learning method: its loss, its form for each frame, several processes, learning and resuming."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.testing.processes import run_processes, run_threads
from heart2heart.testing.runs import (
    K,
    check_per_sample_dot,
    check_resumes,
    finish_step,
    gradient,
    make_step,
    tiny_network,
    train_score,
)
from heart2heart.testing.runs import unlabeled_loss as checked_loss
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.algorithms.base import Algorithm, StepContext
from heart2heart.training.distributed import ProcessGroup, join_process_group

Reference = Callable[[nn.Module, StepContext], Tensor]
"""Function of a copy of the network in training mode and a step; returns the unlabeled loss by its formula."""


def check_algorithm(
    algorithm: Algorithm,
    folder: Path,
    *,
    reference: Reference | None = None,
    learns_above: float = 0.5,
    settings: dict[str, Any] | None = None,
    step: dict[str, Any] | None = None,
) -> None:
    """Assert that a learning method does what the methods of heart2heart do.

    Its unlabeled loss and gradient are those of the reference. Its loss of each frame has the loss for its mean, also
    in forward mode. Three threads, and three real processes, have the gradient and the memory of one. It learns on a
    tiny store of four classes (chance is 0.25). A run that is stopped and resumed ends in the same bits. A class that
    other processes cannot import, such as one of a notebook, is checked with threads alone.

    Args:
        algorithm: The method with its settings. It need not be registered.
        folder: An empty folder for a store and runs.
        reference: The unlabeled loss by its formula, best written with loops and floats. None skips the comparison.
        learns_above: Balanced accuracy on validation frames that a run of 40 steps must exceed.
        settings: Sections of the configuration for the runs, such as `{"unlabeled_weight": {"value": 10.0}}`.
        step: Fields of `StepContext` for the single steps, such as `{"step": 20}`, for a method that starts late.

    Raises:
        AssertionError: the message says what is wrong.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from heart2heart.training.algorithms import FixMatch
        >>> def formula(network, step):
        ...     weak, strong = (network(view) for view in step.unlabeled)
        ...     confidence, label = weak.detach().softmax(1).max(1)
        ...     each = -strong.log_softmax(1)[torch.arange(len(label)), label]
        ...     return (each * (confidence >= 0.6)).mean()
        >>> with TemporaryDirectory() as folder:
        ...     check_algorithm(FixMatch(threshold=0.6), Path(folder), reference=formula)
    """
    changes = step or {}
    assert type(algorithm).parse(algorithm.model_dump(mode="json"), where="check") == algorithm, (
        "settings are lost as YAML"
    )
    if algorithm.views:
        check_unlabeled_loss(algorithm, reference, **changes)
        check_threads(algorithm, **changes)
        if _is_importable(type(algorithm)):
            check_processes(algorithm, folder, **changes)
    store = tiny_store(folder / "tiny")
    with ALGORITHMS.name_of(type(algorithm)) as name:
        method = {"name": name, "params": algorithm.model_dump(mode="json", exclude_unset=True)}
        score = train_score(store, folder / "learns", method, **settings or {})
        assert score > learns_above, f"balanced accuracy after 40 steps is {score:.2f}, not above {learns_above}"
        check_resumes(store, folder, method=method, **settings or {})


def check_unlabeled_loss(algorithm: Algorithm, reference: Reference | None, **changes: Any) -> None:
    """Assert that the unlabeled loss, its gradient and its form for each frame are right.

    Args:
        algorithm: The method.
        reference: The loss by its formula; None compares nothing.
        **changes: Fields of `StepContext`.
    """
    network = tiny_network(outputs=K + algorithm.extra_outputs(K))
    twin = copy.deepcopy(network).train()
    step = algorithm.prepare_batch(make_step(network, views=len(algorithm.views), method=algorithm, **changes))
    stream = step.generator.get_state()
    expected = None if reference is None else reference(twin, step)
    step.generator.set_state(stream)
    loss = checked_loss(algorithm, step)
    assert torch.isfinite(loss.value), "the unlabeled loss is not finite"
    if expected is not None:
        torch.testing.assert_close(loss.value, expected, msg=lambda text: f"the unlabeled loss: {text}")
        actual = gradient(loss.value, network)
        torch.testing.assert_close(
            actual, gradient(expected, twin), msg=lambda text: f"the gradient of the unlabeled loss: {text}"
        )
    if loss.per_sample_loss is not None:
        network = tiny_network(outputs=K + algorithm.extra_outputs(K))
        again = make_step(network, views=len(algorithm.views), method=algorithm, **changes)
        check_per_sample_dot(algorithm, algorithm.prepare_batch(again), network)


def check_threads(algorithm: Algorithm, **changes: Any) -> None:
    """Assert that three members of a process group have the mean gradient, and the memory, of one; they are threads.

    This takes milliseconds; `check_processes` does the same with real processes. The network is in evaluation mode,
    since statistics of a batch differ by process where they are not synchronised.

    Args:
        algorithm: The method.
        **changes: Fields of `StepContext`.
    """
    work = partial(_gradient_and_memory, algorithm, changes)
    expected = work(ProcessGroup())
    for actual in run_threads(3, work):
        _compare_members("three threads", actual, expected)


def check_processes(algorithm: Algorithm, folder: Path, **changes: Any) -> None:
    """Assert that three real processes (torch.distributed, gloo) have the mean gradient, and the memory, of one.

    Args:
        algorithm: The method. Its class must be importable by name, as a class of a module is.
        folder: Folder for what the processes write.
        **changes: Fields of `StepContext`.

    Raises:
        AssertionError: the message says what differs, or how a process ended.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from heart2heart.training.algorithms import FixMatch
        >>> with TemporaryDirectory() as folder:
        ...     check_processes(FixMatch(threshold=0.6), Path(folder))
    """
    file = folder / "processes.pt"
    ends = run_processes(3, _write_gradient_and_memory, algorithm, changes, file, folder=folder, patience=300)
    assert not any(ends), f"three processes did not finish the step: {', '.join(filter(None, ends))}"
    expected = _gradient_and_memory(algorithm, changes, ProcessGroup())
    _compare_members("three processes", torch.load(file, weights_only=True), expected)
    file.unlink()


def _gradient_and_memory(
    algorithm: Algorithm, changes: dict[str, Any], group: ProcessGroup
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the mean gradient of one step over a process group, and the memory after it."""
    network = tiny_network(outputs=K + algorithm.extra_outputs(K))
    step = make_step(network, views=len(algorithm.views), method=algorithm, group=group, **changes)
    network.eval()
    step = algorithm.prepare_batch(step)
    flat = gradient(checked_loss(algorithm, step).value, network)
    finish_step(step)
    return group.mean(flat), step.memory


def _write_gradient_and_memory(algorithm: Algorithm, changes: dict[str, Any], file: Path) -> None:
    group = join_process_group()
    values = _gradient_and_memory(algorithm, changes, group)
    if group.is_main:
        torch.save(values, file)


def _compare_members(
    members: str, actual: tuple[Tensor, dict[str, Tensor]], expected: tuple[Tensor, dict[str, Tensor]]
) -> None:
    (flat, memory), (alone, memory_of_one) = actual, expected
    torch.testing.assert_close(flat, alone, msg=lambda text: f"{members} have another gradient: {text}")
    for name, value in memory_of_one.items():
        message = f"{members} remember another {name}"
        torch.testing.assert_close(memory[name], value, msg=partial("{}: {}".format, message))


def _is_importable(kind: type) -> bool:
    """Return whether another process can import a class by its name; one of a notebook or a script it cannot."""
    module = sys.modules.get(kind.__module__)
    return kind.__module__ != "__main__" and getattr(module, kind.__qualname__, None) is kind
