"""The check of a learning method: its loss, its form for each frame, several processes, learning and resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.testing.runs import check_resumes, train_score
from heart2heart.testing.steps import K, check_per_sample_dot, finish_step, gradient, make_step, tiny_network
from heart2heart.testing.steps import unlabeled_loss as checked_loss
from heart2heart.testing.threads import run_threads
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.algorithms.base import Algorithm, StepContext
from heart2heart.training.distributed import ProcessGroup

Reference = Callable[[nn.Module, StepContext], Tensor]
"""From a copy of the network in training mode, and a step, to the unlabeled loss by its formula."""


def check_algorithm(
    algorithm: Algorithm,
    folder: Path,
    *,
    reference: Reference | None = None,
    learns_above: float = 0.5,
    settings: dict[str, Any] | None = None,
    step: dict[str, Any] | None = None,
) -> None:
    """Assert that a learning method does what heart2heart's own methods do.

    Its unlabeled loss and gradient are those of the reference. Its loss of each frame has the loss for its mean, also
    in forward mode. Three processes have the gradient and the memory of one. It learns on a tiny store of four classes
    (chance is 0.25). A run that is stopped and resumed ends in the same bits.

    Args:
        algorithm: The method with its settings. It need not be registered.
        folder: An empty folder for a store and runs.
        reference: The unlabeled loss by its formula, best written with loops and floats; None skips the comparison.
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
        check_processes(algorithm, **changes)
    store = tiny_store(folder / "tiny")
    with _registered_name(algorithm) as name:
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


def check_processes(algorithm: Algorithm, **changes: Any) -> None:
    """Assert that three processes have the mean gradient, and remember, what one does.

    The network is in evaluation mode, since statistics of a batch differ by process where they are not synchronised.

    Args:
        algorithm: The method.
        **changes: Fields of `StepContext`.
    """

    def work(group: ProcessGroup) -> tuple[Tensor, dict[str, Tensor]]:
        network = tiny_network(outputs=K + algorithm.extra_outputs(K))
        step = make_step(network, views=len(algorithm.views), method=algorithm, group=group, **changes)
        network.eval()
        step = algorithm.prepare_batch(step)
        flat = gradient(checked_loss(algorithm, step).value, network)
        finish_step(step)
        return group.mean(flat), step.memory

    alone, memory = work(ProcessGroup())
    for flat, remembered in run_threads(3, work):
        torch.testing.assert_close(flat, alone, msg=lambda text: f"three processes have another gradient: {text}")
        for name, value in memory.items():
            message = f"three processes remember another {name}"
            torch.testing.assert_close(remembered[name], value, msg=partial("{}: {}".format, message))


@contextmanager
def _registered_name(algorithm: Algorithm) -> Iterator[str]:
    """Yield the name of the method's class, which is registered meanwhile if it is not yet."""
    name = next((name for name, kind in ALGORITHMS.items() if kind is type(algorithm)), None)
    if name is not None:
        yield name
        return
    name = f"checked_{type(algorithm).__name__}"
    with ALGORITHMS.registered(name, type(algorithm)):
        yield name
