"""Counts synchronisations of host and device inside a step, for every method and gradient rule, by torch's profiler.

    python -m benchmarks.host_synchronisation
    python -m benchmarks.host_synchronisation --device cuda --steps 20

A step is everything between two readings of the metrics: drawing the batch, augmenting it, `Trainer.step`, and keeping
its scalars. On a graphics card a wait is a synchronisation of stream, device or event, or a copy back to the host. On
the CPU there is nothing to wait for, so what would wait is counted instead: turning a tensor into a number
(`_local_scalar_dense`), and operations whose result's shape depends on values (`nonzero`, `masked_select`, `unique`).
The first steps, which fill caches, are not counted. Ends with 1 if there is a wait.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import FrameSampler
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.metrics import Meter
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer

CLASSES, FRAMES, SIZE, POOL = 4, 8, 16, 64
WARM = 3
"""Steps before counting."""

SYNCHRONISING_OPERATORS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2")
SYNCHRONISING_CALLS = (
    "cudaStreamSynchronize",
    "cudaDeviceSynchronize",
    "cudaEventSynchronize",
    "Memcpy DtoH",
    "cudaMemcpy",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=4)
    arguments = parser.parse_args()
    rows = []
    for method in ALGORITHMS:
        for rule in GRADIENT_RULES if ALGORITHMS[method].views else ["sum"]:
            counts = synchronisations(method, rule, torch.device(arguments.device), steps=arguments.steps)
            rows.append((method, rule, ", ".join(f"{name} x {n}" for name, n in counts.items()) or "none"))
    print("| method | gradient rule | waits |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.exit(int(any(row[-1] != "none" for row in rows)))


def synchronisations(method: str, rule: str, device: torch.device, *, steps: int = 2) -> Counter[str]:
    """Return what made the host wait, or would have, within some steps, by the name of the event.

    Args:
        method: A name of `ALGORITHMS`; Fix-A-Step's mixing stands before it where it can.
        rule: A name of `GRADIENT_RULES`.
        device: Where to train.
        steps: How many to look at.
    """
    content: dict[str, Any] = {
        "data": {"stores": ["none"], "split": "none"},
        "method": {"name": method},
        "fix_a_step": {"mixing": not ALGORITHMS[method].mixes_labeled, "gradient": rule},
        "batch": {"labeled": FRAMES, "unlabeled": FRAMES},
        "steps": 1000,
        "precision": "float32",
    }
    config = TrainConfig.parse(content, where="benchmark")
    torch.manual_seed(0)
    built = ALGORITHMS[method].parse({}, where="benchmark")
    outputs = CLASSES + built.extra_outputs(CLASSES)
    network = build_network("WideResNet", classes=outputs, size=SIZE, depth=10, widen=1, blocks=1)
    chance = torch.Generator(device).manual_seed(0)
    learner = Trainer(
        place_network(network, device), config, classes=CLASSES, pool_size=POOL, weights=None, generator=chance
    )
    pixels = torch.randint(0, 256, (POOL, SIZE, SIZE), dtype=torch.uint8).to(device)
    targets = functional.one_hot(torch.arange(POOL) % CLASSES).float().to(device)
    sampler = FrameSampler(POOL, torch.Generator().manual_seed(0), device)
    meter = Meter()

    def step(index: int) -> None:
        labeled, unlabeled = sampler.take(FRAMES), sampler.take(FRAMES)
        probe = (pixels[labeled], targets[labeled]) if learner.probe_share else ()
        views = learner.augment(pixels[labeled], targets[labeled], pixels[unlabeled], unlabeled, chance, probe)
        meter.add(learner.step(views, index), {"labeled": labeled, "unlabeled": unlabeled})

    for index in range(WARM):
        step(index)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize(device)
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as seen:
        for index in range(WARM, WARM + steps):
            step(index)
    names = [event.name for event in seen.events()]
    looked_for = SYNCHRONISING_CALLS if cuda else SYNCHRONISING_OPERATORS
    counts = Counter(name for name in names if name.startswith(looked_for))
    if cuda:
        # The profiler itself synchronises once when it ends; a copy to the device is no wait.
        counts = Counter({name: n for name, n in counts.items() if not name.startswith("cudaMemcpyAsync")})
        counts.subtract({"cudaDeviceSynchronize": 1})
    return +counts


if __name__ == "__main__":
    main()
