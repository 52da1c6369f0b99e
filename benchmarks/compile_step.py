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

from benchmarks import train_step


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
        both = {"mixing": True, "gradient": "fix_a_step"}
        learner = train_step.build_trainer(arguments, {"fix_a_step": both, "compile": compiled})
        views = train_step.noise_views(learner, arguments, learner.device)
        steps[compiled] = train_step.stepper(learner, views, learner.device)
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


if __name__ == "__main__":
    main()
