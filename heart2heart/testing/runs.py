"""One training step around a tiny network in float64, and runs on a tiny store, for tests of a learning method.

The network is a plain `nn.Sequential`: a reference may call a copy of it, and use nothing of the package.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.progress import Progress
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.losses import CrossEntropy
from heart2heart.training.model_access import Forward, build_model_access
from heart2heart.training.train import train

B, U, K, SIZE, POOL = 6, 9, 3, 5, 20
"""Labeled and unlabeled frames of a batch, classes, side of a frame, frames in the pool."""


def tiny_network(seed: int = 0, outputs: int = K) -> nn.Sequential:
    """Return a network in float64 with convolution, batch normalisation and a classifier.

    Args:
        seed: Of the weights.
        outputs: Number of logits.
    """
    layers = (
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(36, outputs),
    )
    network = nn.Sequential(*layers).double()
    generator = torch.Generator().manual_seed(seed)  # not the global stream, which threads would share
    with torch.no_grad():
        for weight in network.parameters():
            noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            weight.copy_(0.3 * noise + (1 if weight is network[1].weight else 0))
    return network


def make_step(
    network: nn.Module,
    *,
    views: int,
    average: nn.Module | None = None,
    seed: int = 0,
    group: ProcessGroup | None = None,
    method: Algorithm | None = None,
    joint: bool = False,
    **changes: Any,
) -> StepContext:
    """Return a step over random frames.

    Args:
        network: In training mode; `tiny_network()` or a network of the same input.
        views: Views of the unlabeled batch.
        average: The averaged network; a copy of `network` in evaluation mode if None.
        seed: Of the frames, targets and positions in the pool, and of the step's own stream.
        group: The processes; each gets its rows of the same batch.
        method: Its memory, as it is before the first step, goes into the step.
        joint: Pass labeled and unlabeled frames as one batch.
        **changes: Other fields of `StepContext`.
    """
    group = group or ProcessGroup()
    generator = torch.Generator().manual_seed(seed)

    def draw_frames(n: int) -> Tensor:
        return torch.randn(n, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)

    targets = torch.eye(K, dtype=torch.float64)[torch.randint(K, (B,), generator=generator)]
    labeled, unlabeled = draw_frames(B), [draw_frames(U) for _ in range(views)]
    pool_index = torch.randperm(POOL, generator=generator)[:U]
    labeled_rows, unlabeled_rows = group.rows(B), group.rows(U)
    labeled, unlabeled_views = labeled[labeled_rows], tuple(view[unlabeled_rows] for view in unlabeled)
    access = build_model_access(
        Forward(network.train(), "float32"),
        Forward(copy.deepcopy(network) if average is None else average, "float32").eval(),
        K,
        (labeled, *unlabeled_views) if joint else (),
    )
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    fields: dict[str, Any] = {
        "model_access": access,
        "labeled": labeled,
        "targets": targets[labeled_rows],
        "unlabeled": unlabeled_views,
        "pool_index": pool_index[unlabeled_rows],
        "criterion": CrossEntropy(),
        "step": 0,
        "steps": 50,
        "lr": 0.1,
        "memory": {} if method is None else method.initial_memory(POOL, K, weights),
        "generator": torch.Generator().manual_seed(seed),
        "group": group,
    }
    return StepContext(**fields | changes)


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    """Return the flat gradient of a scalar over a network's parameters; zero where there is none."""
    parts = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def unlabeled_loss(method: Algorithm, step: StepContext) -> AlgorithmLoss:
    """Return the unlabeled loss of a method that has one, having asserted its form.

    The loss is a scalar, its metrics carry no gradient, and the loss of each frame, if any, has it for its mean.
    """
    loss = method.unlabeled_loss(step)
    assert loss is not None, f"{method.title} has no unlabeled loss in step {step.step} of stage {step.stage}"
    assert loss.value.shape == (), f"the unlabeled loss must be a scalar, got the shape {tuple(loss.value.shape)}"
    for name, value in loss.metrics.items():
        assert not value.requires_grad, f"the metric {name} carries a gradient: use .detach()"
    if loss.per_sample_loss is not None:
        torch.testing.assert_close(
            loss.per_sample_loss.mean(), loss.value, msg=lambda text: f"per_sample_loss has another mean: {text}"
        )
    return loss


def finish_step(step: StepContext) -> None:
    """Call what a method has put off to the end of the step, as the training loop does."""
    for callback in step.callbacks:
        callback()
    step.callbacks.clear()


def check_per_sample_dot(method: Algorithm, step: StepContext, network: nn.Module) -> None:
    """Assert that the forward-mode pass gives each frame's inner product, and changes no memory, weight or stream.

    Args:
        method: Its unlabeled loss must be a mean over frames.
        step: A step of `make_step`.
        network: The step's network.
    """
    stream = step.generator.get_state()
    memory = {name: value.clone() for name, value in step.memory.items()}
    loss = unlabeled_loss(method, step)
    assert loss.per_sample_loss is not None, "the loss has no per_sample_loss"
    parameters = list(network.parameters())
    rows = [torch.autograd.grad(each, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            for each in loss.per_sample_loss]  # fmt: skip
    # A rule sees the step as it was before the loss was computed.
    step.generator.set_state(stream)
    for name, value in step.memory.items():
        value.copy_(memory[name])
    term = UnlabeledLossTerm(loss, method, step, parameters, step.group.mean)
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(sum(term.sizes), dtype=torch.float64, generator=generator)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    change = term.per_sample_dot(direction)
    expected = torch.stack([torch.cat([part.flatten() for part in row]) @ direction for row in rows])
    torch.testing.assert_close(
        change, expected, atol=1e-9, rtol=1e-6, msg=lambda text: f"per_sample_loss in forward mode: {text}"
    )
    assert float(change.abs().max()) > 0, "no frame has a gradient in this step"
    assert torch.equal(step.generator.get_state(), stream), "the forward-mode pass moved step.generator"
    for state, kept in ((step.memory, memory), (network.state_dict(), weights)):
        for name, value in state.items():
            assert torch.equal(value, kept[name]), f"the forward-mode pass changed {name}"


class Notes:
    """Progress that records the reports of a run."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, str]] = []

    def update(self, done: int, note: str = "") -> None:
        """See `heart2heart.progress.Progress`."""
        self.notes.append((done, note))


class StoppedError(Exception):
    """Ends a run, as a signal would."""


class StopAt(Notes):
    """Progress that ends the run when it reports a step.

    Args:
        step: The step.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, done: int, note: str = "") -> None:
        """End the run at the step, or later.

        Raises:
            StoppedError: the step is reached.
        """
        if done >= self.step:
            raise StoppedError


def same(one: Any, other: Any) -> bool:
    """Return whether two nested states are bitwise equal; `seconds` may differ."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one if key != "seconds")
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def train_score(store: TinyStore, out: Path, method: dict[str, Any], **changes: Any) -> float:
    """Train on a tiny store and return the last balanced accuracy on validation frames; chance is 0.25.

    Args:
        store: The store and its split.
        out: Folder of the run.
        method: The section `method` of the configuration.
        **changes: Other sections.
    """
    settings = {"steps": 40, "evaluate_every": 40, "log_every": 20, "batch": {"labeled": 16, "unlabeled": 16}}
    run = train(store.config(method=method, **settings | changes), out)
    return float(run.info().history[-1]["validation_balanced_accuracy"])


def check_resumes(store: TinyStore, out: Path, **settings: Any) -> None:
    """Assert that a run that was stopped and resumed ends bitwise equal to one that was not, memory included.

    Args:
        store: The store and its split.
        out: Folder for the two runs.
        **settings: Sections of the configuration.
    """
    config = store.config(**settings)

    def run(path: Path, progress: Progress | None) -> Path:
        return train(config, path, progress=progress).path / "checkpoints" / "last.pt"

    assert_resumes(run, out, stop=10)


def assert_resumes(run: Callable[[Path, Progress | None], Path], out: Path, *, stop: int) -> None:
    """Assert that what was stopped and resumed ends in the same bits as what was not.

    Args:
        run: Trains into a folder with a progress, and returns the last checkpoint.
        out: Folder for the two runs.
        stop: Step after which the one is stopped.
    """
    whole = run(out / "whole", None)
    try:
        run(out / "stopped", StopAt(stop))
    except StoppedError:
        pass
    else:
        raise AssertionError(f"the run ended before it could be stopped: give it {stop} steps or more")
    assert same(checkpoint.load(whole), checkpoint.load(run(out / "stopped", None))), (
        "a resumed run ends in other bits: keep what is remembered in the memory, and draw from step.generator"
    )
