"""What each gradient rule costs beside FixMatch's weighted sum, with Fix-A-Step's mixing around all, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.gradient_rules --labeled 16 --unlabeled 80 --size 64 --depth 10 --widen 1

Frames are augmented beforehand. The rules take turns, and the median of each is shown, in processor time on a CPU so
that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks.train_step import build_trainer, noise_views, step_parser, stepper
from heart2heart.training.gradient_rules import GRADIENT_RULES

BASE = "sum"


def main() -> None:
    """Measure and print the table."""
    print(table(measure(step_parser(__doc__).parse_args())))


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the median seconds a step of each rule."""
    device = torch.device(arguments.device)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    steps: dict[str, Callable[[int], None]] = {}
    for rule in GRADIENT_RULES:
        settings = {
            "fix_a_step": {"mixing": True, "gradient": rule},
            "method": {"name": "fixmatch", "params": {"threshold": 0.0}},  # every frame has a loss
        }
        trainer = build_trainer(arguments, settings)
        batch = noise_views(trainer, arguments, device)
        if trainer.probe_share:
            batch = replace(batch, probe=(batch.labeled.flip(3), batch.targets))
        steps[rule] = stepper(trainer, batch, device)
    seconds: dict[str, list[float]] = {rule: [] for rule in steps}
    for index in range(-2, arguments.steps):  # the first two warm up
        for rule, step in steps.items():
            start = clock()
            step(max(index, 0))
            if index >= 0:
                seconds[rule].append(clock() - start)
    return {rule: statistics.median(values) for rule, values in seconds.items()}


def table(seconds: dict[str, float]) -> str:
    """Return the measurements as a Markdown table.

    Args:
        seconds: Seconds a step by rule; `sum` is the base.
    """
    lines = ["| rule | ms | cost over the sum |", "|---|---|---|"]
    lines += [f"| `{rule}` | {1e3 * value:.0f} | {value / seconds[BASE]:.2f} |" for rule, value in seconds.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
