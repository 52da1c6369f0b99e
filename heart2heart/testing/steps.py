"""A step around a tiny network in float64, and whole tiny runs: what the tests of every method need.

The network is a plain `nn.Sequential`: a reference may call it, or a copy of it, and use nothing of the package.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.runs import StopAt, StoppedError, same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.losses import CrossEntropy
from heart2heart.training.model_access import Forward, build_model_access
from heart2heart.training.train import train

B, U, K, SIZE, POOL = 6, 9, 3, 5, 20
"""Labeled and unlabeled frames of a batch, classes, side of a frame, frames in the pool."""
Result = TypeVar("Result")


def tiny_network(seed: int = 0, outputs: int = K) -> nn.Sequential:
    """Return a network in float64 with convolution, batch normalisation and a classifier."""
    layers = (
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(36, outputs),
    )
    network = nn.Sequential(*layers).double()
    chance = torch.Generator().manual_seed(seed)  # not the global stream, which `together` would share
    with torch.no_grad():
        for weight in network.parameters():
            noise = torch.randn(weight.shape, generator=chance, dtype=torch.float64)
            weight.copy_(0.3 * noise + (1 if weight is network[1].weight else 0))
    return network


def make_step(
    network: nn.Module,
    *,
    views: int,
    average: nn.Module | None = None,
    seed: int = 0,
    world: Processes | None = None,
    method: Algorithm | None = None,
    joint: bool = False,
    **changes: Any,
) -> StepContext:
    """Return a step over random frames.

    Args:
        network: In training; `tiny_network()` or its like.
        views: Views of the unlabeled batch.
        average: The averaged network; a copy of `network` in evaluation mode if None.
        seed: Of the frames, targets and places in the pool; the step's own stream begins with it as well.
        world: The processes; each gets its rows of the same whole batch.
        method: Its memory, as it is before the first step, goes into the step.
        joint: Pass labeled and unlabeled frames as one batch.
        **changes: Other fields of `Step`.
    """
    world = world or Processes()
    chance = torch.Generator().manual_seed(seed)

    def frames(n: int) -> Tensor:
        return torch.randn(n, 1, SIZE, SIZE, generator=chance, dtype=torch.float64)

    targets = torch.eye(K, dtype=torch.float64)[torch.randint(K, (B,), generator=chance)]
    labeled, unlabeled = frames(B), tuple(frames(U) for _ in range(views))
    index = torch.randperm(POOL, generator=chance)[:U]
    mine, others = world.rows(B), world.rows(U)
    labeled, unlabeled = labeled[mine], tuple(view[others] for view in unlabeled_loss)
    average = copy.deepcopy(network) if average is None else average
    networks = build_model_access(
        Forward(network.train(), "float32"),
        Forward(average, "float32").eval(),
        K,
        (labeled, *unlabeled) if joint else (),
    )
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    content: dict[str, Any] = {
        "model_access": networks,
        "labeled": labeled,
        "targets": targets[mine],
        "unlabeled": unlabeled,
        "pool_index": index[others],
        "criterion": CrossEntropy(),
        "step": 0,
        "steps": 50,
        "lr": 0.1,
        "memory": {} if method is None else method.initial_memory(POOL, K, weights),
        "generator": torch.Generator().manual_seed(seed),
        "group": world,
    }
    return StepContext(**content | changes)


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    """Return the flat gradient of a scalar over a network's parameters; zero where there is none."""
    parts = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def unlabeled_loss(method: Algorithm, step: StepContext) -> AlgorithmLoss:
    """Return the unlabeled loss of a method that has one; its `each`, if any, has the loss for its mean."""
    loss = method.unlabeled_loss(step)
    assert loss is not None
    assert loss.value.shape == ()
    assert not any(value.requires_grad for value in loss.metrics.values())
    if loss.per_sample_loss is not None:
        torch.testing.assert_close(loss.per_sample_loss.mean(), loss.value)
    return loss


def finish_step(step: StepContext) -> None:
    """Do what a method has asked to be done when the step is done, as the loop does."""
    for work in step.callbacks:
        work()
    step.callbacks.clear()


def check_per_sample_dot(method: Algorithm, step: StepContext, network: nn.Module) -> None:
    """Assert that the forward-mode pass gives each frame's inner product, and leaves everything as it was."""
    chance = step.generator.get_state()
    memory = {name: value.clone() for name, value in step.memory.items()}
    loss = unlabeled_loss(method, step)
    assert loss.per_sample_loss is not None
    rows = [torch.autograd.grad(each, list(network.parameters()), retain_graph=True, allow_unused=True,
                                materialize_grads=True) for each in loss.per_sample_loss]  # fmt: skip
    # The same again from the state before, as a rule sees it within one step.
    step.generator.set_state(chance)
    for name, value in step.memory.items():
        value.copy_(memory[name])
    parameters = list(network.parameters())
    term = UnlabeledLossTerm(loss, method, step, parameters, step.group.mean)
    chosen = torch.Generator().manual_seed(1)
    direction = torch.randn(sum(term.sizes), dtype=torch.float64, generator=chosen)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    change = term.per_sample_dot(direction)
    expected = torch.stack([torch.cat([part.flatten() for part in row]) @ direction for row in rows])
    torch.testing.assert_close(change, expected, atol=1e-9, rtol=1e-6)
    assert float(change.abs().max()) > 0
    assert torch.equal(step.generator.get_state(), chance)
    for state, kept in ((step.memory, memory), (network.state_dict(), before)):
        assert all(torch.equal(value, kept[name]) for name, value in state.items())


def train_score(world: TinyStore, out: Path, method: dict[str, Any], **changes: Any) -> float:
    """Train on the tiny world and return the last validation balanced accuracy; chance is 0.25."""
    settings = {"steps": 40, "evaluate_every": 40, "log_every": 20, "batch": {"labeled": 16, "unlabeled": 16}}
    run = train(world.config(method=method, **settings | changes), out)
    return float(run.info().history[-1]["validation_balanced_accuracy"])


def check_resumes(world: TinyStore, out: Path, **settings: Any) -> None:
    """Assert that a run that was stopped ends in the same bits as one that was not, memory included."""
    config = world.config(**settings)
    whole = train(config, out / "whole")
    with pytest.raises(StoppedError):
        train(config, out / "stopped", progress=StopAt(10))
    resumed = train(config, out / "stopped")
    ends = [checkpoint.load(run.path / "checkpoints" / "last.pt") for run in (whole, resumed)]
    assert same(*ends)


@dataclass
class _Exchange:
    """Where threads that stand for processes meet."""

    barrier: threading.Barrier
    slots: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Threads(Processes):
    """A world whose processes are threads."""

    exchange: _Exchange = field(default_factory=lambda: _Exchange(threading.Barrier(1)))

    def mean(self, value: Tensor) -> Tensor:
        return torch.stack(self._all(value)).mean(0)

    def all_gather(self, rows: Tensor) -> Tensor:
        parts = self._all(rows)
        whole = torch.cat(parts)
        for rank, part in enumerate(parts):
            whole[Processes(rank, self.size).rows(len(whole))] = part
        return whole

    def _all(self, value: Tensor) -> list[Tensor]:
        self.exchange.slots[self.rank] = value.detach().clone()
        self.exchange.barrier.wait()
        everyone = [self.exchange.slots[rank] for rank in range(self.size)]
        self.exchange.barrier.wait()
        return everyone


def run_threads(size: int, work: Callable[[Processes], Result]) -> list[Result]:
    """Run `work` in `size` processes that train together, here threads, and return what each returns, by rank.

    `work` builds its own network: nothing is shared but what goes through the world.
    """
    exchange = _Exchange(threading.Barrier(size, timeout=60))
    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(work, _Threads(rank, size, exchange)) for rank in range(size)]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        first = next((error for future in done if (error := future.exception()) is not None), None)
        if first is not None:
            exchange.barrier.abort()
            raise first
    return [future.result() for future in futures]
