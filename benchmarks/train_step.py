"""What a Fix-A-Step step costs beside its base method's, and beside the way of the authors' code, in one run.

    python -m benchmarks.train_step --labeled 16 --unlabeled 80 --size 64 --depth 10 --widen 1
    python -m benchmarks.train_step --device cuda --labeled 64 --unlabeled 320 --size 112 --variant paper

Rows: FixMatch alone; FixMatch with Fix-A-Step in separate graphs (the default); the same with the joint batch; and one
joint graph walked backwards three times (labeled, unlabeled, and their weighted sum), as the authors' code does. Frames
are augmented beforehand, so that only the steps are compared. The rows take turns, and the median of each is shown: on
a CPU of the processor time of all threads, which other programs on the machine hardly change.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from heart2heart.training.config import TrainConfig
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.optimiser import flat_gradient
from heart2heart.training.train_step import AugmentedBatch, Trainer

CLASSES = 4
BASE, SEPARATE, JOINT, THREE = "FixMatch", "+ Fix-A-Step", "+ Fix-A-Step, joint", "+ Fix-A-Step, three backwards"


class ThreeBackwards(Trainer):
    """The procedure of the authors' code: one retained graph, three backward passes, a decision on the host."""

    def step(self, batch: AugmentedBatch, step_index: int) -> dict[str, Tensor]:
        """Take one step."""
        step = self._step_context(batch, step_index, self.config.steps, self.config.optimiser.lr)
        first, second = self.algorithm.labeled_loss(step).value, self.algorithm.unlabeled_loss(step)
        assert second is not None
        g_labeled = flat_gradient(first, self.parameters, retain_graph=True)
        g_unlabeled = flat_gradient(second.value, self.parameters, retain_graph=True)
        both = flat_gradient(first + second.value, self.parameters)
        opposed = bool((g_labeled @ g_unlabeled).item() < 0)
        self._update(g_labeled if opposed else both, step.lr)
        return {"loss_labeled": first.detach()}


def step_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a benchmark of one step: batch, network, steps and device."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labeled", type=int, default=16)
    parser.add_argument("--unlabeled", type=int, default=80)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--variant", default="canonical")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--widen", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    return parser


def main() -> None:
    """Measure and print the table."""
    arguments = step_parser(__doc__).parse_args()
    print(table(measure(arguments), arguments.labeled + arguments.unlabeled))


def measure(arguments: argparse.Namespace, precision: str = "auto") -> dict[str, float]:
    """Return the median seconds a step of each way."""
    device = torch.device(arguments.device)
    both = {"mixing": True, "gradient": "fix_a_step"}
    ways: dict[str, tuple[type[Trainer], dict[str, Any]]] = {
        BASE: (Trainer, {}),
        SEPARATE: (Trainer, {"fix_a_step": both}),
        JOINT: (Trainer, {"fix_a_step": both, "batch_norm": "joint"}),
        THREE: (ThreeBackwards, {"fix_a_step": both, "batch_norm": "joint"}),
    }
    steps: dict[str, Callable[[int], None]] = {}
    for name, (kind, changes) in ways.items():
        learner = build_trainer(arguments, {"precision": precision} | changes, kind)
        steps[name] = stepper(learner, noise_views(learner, arguments, device), device)
    clock = clock_of(device)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for index in range(-3, arguments.steps):  # the first three warm up
        for name, step in steps.items():
            start = clock()
            step(max(index, 0))
            if index >= 0:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return the clock of a measurement in seconds: processor time on a CPU, elapsed time on an accelerator."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def build_trainer(arguments: argparse.Namespace, changes: dict[str, Any], kind: type[Trainer] = Trainer) -> Trainer:
    """Return FixMatch with a WideResNet of the sizes that `arguments` name, and `changes` to its configuration."""
    device = torch.device(arguments.device)
    content = {"data": {"stores": ["none"], "split": "none"}, "method": {"name": "fixmatch"}} | changes
    config = TrainConfig.parse(content, where="benchmark")
    torch.manual_seed(0)
    options = {"variant": arguments.variant, "depth": arguments.depth, "widen": arguments.widen}
    network = build_network("WideResNet", classes=CLASSES, size=arguments.size, **options)
    generator = torch.Generator(device).manual_seed(0)
    return kind(place_network(network, device), config, classes=CLASSES, weights=None, generator=generator)


def stepper(learner: Trainer, views: AugmentedBatch, device: torch.device) -> Callable[[int], None]:
    """Return a function that runs one step on frames augmented beforehand, and waits for its end."""

    def step(number: int) -> None:
        learner.step(views, number)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def noise_views(learner: Trainer, arguments: argparse.Namespace, device: torch.device) -> AugmentedBatch:
    """Return one augmented batch of noise."""
    generator = torch.Generator(device).manual_seed(0)

    def frames(n: int) -> Tensor:
        shape = (n, arguments.size, arguments.size)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8, device=device)

    targets = torch.eye(CLASSES, device=device)[torch.arange(arguments.labeled, device=device) % CLASSES]
    index = torch.arange(arguments.unlabeled, device=device)
    return learner.augment(frames(arguments.labeled), targets, frames(arguments.unlabeled), index, generator)


def table(seconds: dict[str, float], images: int) -> str:
    """Return the measurements as a Markdown table.

    Args:
        seconds: Seconds a step by way.
        images: Labeled and unlabeled frames a step.
    """
    lines = ["| step | ms | images/s | cost over FixMatch |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {1e3 * value:.0f} | {images / value:.0f} | {value / seconds[BASE]:.2f} |"
        for name, value in seconds.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
