"""Time of a training step with and without `compile: on`: FixMatch with Fix-A-Step, alternating in one process.

    python -m benchmarks.compile_step --labeled 16 --unlabeled 32 --size 48 --depth 10 --widen 1
    python -m benchmarks.compile_step --device cuda --labeled 64 --unlabeled 320 --size 112 --variant paper

Frames are augmented beforehand: only the network is compiled. The table has the seconds of the first two steps, in
which torch compiles every shape that the step passes through the network, and the median of the steps after; the last
line has the number of steps from which the run is shorter for it.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor

from heart2heart.training.config import TrainConfig
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer

CLASSES = 4


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labeled", type=int, default=16)
    parser.add_argument("--unlabeled", type=int, default=32)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--variant", default="canonical")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--widen", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # what an earlier run compiled does not count
        print(table(arguments))


def table(arguments: argparse.Namespace) -> str:
    """Measure, and return the table."""
    steps: dict[str, Callable[[int], None]] = {}
    first: dict[str, float] = {}
    for compiled in ("off", "on"):
        learner = _learner(arguments, compiled)
        steps[compiled] = _stepper(learner, arguments)
        start = time.perf_counter()
        for index in range(2):
            steps[compiled](index)
        first[compiled] = time.perf_counter() - start
        if learner.notes:
            raise SystemExit(learner.notes[0])
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for index in range(2, arguments.steps + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step(index)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = ["| compile | first two steps, s | step, ms | faster |", "|---|---|---|---|"]
    for name, value in median.items():
        lines.append(f"| {name} | {first[name]:.1f} | {1e3 * value:.1f} | {median['off'] / value:.2f} |")
    spared = median["off"] - median["on"]
    paid = math.ceil((first["on"] - first["off"]) / spared) if spared > 0 else None
    lines.append("It never pays." if paid is None else f"It pays from {paid} steps on.")
    return "\n".join(lines)


def _stepper(learner: Trainer, arguments: argparse.Namespace) -> Callable[[int], None]:
    """Return a function that runs one step on frames augmented beforehand, and waits for its end."""
    device = torch.device(arguments.device)
    chance = torch.Generator(device).manual_seed(0)

    def frames(n: int) -> Tensor:
        shape = (n, arguments.size, arguments.size)
        return torch.randint(0, 256, shape, generator=chance, dtype=torch.uint8, device=device)

    targets = torch.eye(CLASSES, device=device)[torch.arange(arguments.labeled, device=device) % CLASSES]
    index = torch.arange(arguments.unlabeled, device=device)
    views = learner.augment(frames(arguments.labeled), targets, frames(arguments.unlabeled), index, chance)

    def step(number: int) -> None:
        learner.step(views, number)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def _learner(arguments: argparse.Namespace, compiled: str) -> Trainer:
    content = {
        "data": {"stores": ["none"], "split": "none"},
        "method": {"name": "fixmatch"},
        "fix_a_step": {"mixing": True, "gradient": "fix_a_step"},
        "compile": compiled,
    }
    config = TrainConfig.parse(content, where="benchmark")
    torch.manual_seed(0)
    options = {"variant": arguments.variant, "depth": arguments.depth, "widen": arguments.widen}
    network = place_network(
        build_network("WideResNet", classes=CLASSES, size=arguments.size, **options), torch.device(arguments.device)
    )
    generator = torch.Generator(arguments.device).manual_seed(0)
    return Trainer(network, config, classes=CLASSES, weights=None, generator=generator)


if __name__ == "__main__":
    main()
