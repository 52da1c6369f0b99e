"""Training at the machine's limit: the step, the data, the peer and inference, in one run.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.training --peer peer/bin/python
    python -m benchmarks.training --device cuda --size 112 --labeled 64 --unlabeled 320 --variant paper --pool 353500

Tables: (a) what Fix-A-Step costs over FixMatch, beside the three walks of the authors' code; (b) images a second beside
`semilearn` (benchmarks/peer_semilearn.py says how its environment is made); (c) what the data cost: pool and
augmentation without the network, the network without augmentation; inference; on a GPU also (d) the roofline. Frames
are noise: only speed is measured. On a CPU the figures are processor time, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from benchmarks import train_step
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.geometry import Geometry
from heart2heart.store.text_review import TextReview
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import LabeledFrames, TrainData
from heart2heart.training.loader import TrainLoader
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import INFERENCE_BATCH, infer

_LABELED, _DIFFERENT = 1500, 20_000
OTHERS: dict[str, dict[str, Any]] = {
    "bfloat16": {"precision": "bfloat16"},
    "compiled": {"compile": "on"},
    "compiled, bfloat16": {"compile": "on", "precision": "bfloat16"},
}
"""Settings that make a step faster and change its rounding."""
_LIMITS = {"canonical": 31_000, "paper": 24_000}
"""Frames a second that an H200's memory traffic allows, forward and backward, at 112 px."""


@dataclass(frozen=True)
class NoiseStore:
    """Frames of noise in memory, read as those of a store are; more are asked for than differ, so they repeat."""

    pixels: npt.NDArray[np.uint8]

    @property
    def geometry(self) -> Geometry:
        """How the frames were made."""
        return Geometry("tmed2", self.pixels.shape[1])

    @property
    def clips(self) -> pa.Table:
        """No clip: nobody asks."""
        return pa.table({})

    @property
    def frames(self) -> pa.Table:
        """No table: nobody asks."""
        return pa.table({})

    @property
    def text_review(self) -> TextReview:
        """No clip is withheld."""
        return TextReview()

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the pixels of `rows`."""
        return self.pixels[rows % len(self.pixels)]


def main() -> None:
    """Measure everything and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labeled", type=int, default=16)
    parser.add_argument("--unlabeled", type=int, default=80)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--variant", default="canonical")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--widen", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--pool", type=int, default=20_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peer", type=Path, help="Python of an environment that holds semilearn")
    parser.add_argument("--others", action="store_true", help="also in bfloat16 and compiled, which takes minutes")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{date.today()}, {name}, torch {torch.__version__}, {torch.get_num_threads()} threads, Python", end=" ")
    print(
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}; {arguments.labeled} + {arguments.unlabeled}",
        end="",
    )
    print(f" frames of {arguments.size} px, {arguments.variant} depth {arguments.depth} width {arguments.widen}\n")
    images = arguments.labeled + arguments.unlabeled
    print(train_step.table(train_step.measure(arguments), images), "\n", flush=True)
    seconds = whole_loop(arguments, device, others=OTHERS if arguments.others else {})
    print(loop_table(seconds | measure_peer(arguments), images), "\n", flush=True)
    print(f"Inference: {inference(arguments, device):.0f} frames/s, normalisation included")
    if device.type == "cuda":
        print(roofline(arguments, images / seconds["whole"]))


def whole_loop(
    arguments: argparse.Namespace,
    device: torch.device,
    changes: dict[str, Any] | None = None,
    others: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> dict[str, float]:
    """Return the median seconds of a FixMatch step: whole, without augmentation, without the network.

    Args:
        arguments: Sizes, as `main` parses them.
        device: Where to train.
        changes: Settings of the configuration beside FixMatch.
        others: Name -> further settings; the whole step is also measured with these.
    """
    learner, batches = _build(arguments, device, changes or {})
    views = batches.next(0)
    ways: dict[str, Callable[[], Any]] = {
        "whole": lambda: learner.step(batches.next(0), 0),
        "network": lambda: learner.step(views, 0),
        "data": lambda: batches.next(0),
    }
    for name, more in others.items():
        other, other_batches = _build(arguments, device, (changes or {}) | more)
        ways[name] = partial(_load_and_step, other, other_batches)
    return _take_turns(ways, arguments.steps, device)


def measure_peer(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds a step that the peer takes for the same sizes, in a process of its own, if there is one."""
    if arguments.peer is None:
        return {}
    script = Path(__file__).with_name("peer_semilearn.py")
    options = [f"--{name}={getattr(arguments, name)}" for name in ("size", "labeled", "unlabeled", "depth", "widen")]
    command = [str(arguments.peer), str(script), *options, f"--steps={arguments.steps}", f"--device={arguments.device}"]
    seconds = {}
    for name, more in (("semilearn", []), ("semilearn, apart", ["--apart"])):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True, timeout=1800)
        seconds[name] = float(json.loads(done.stdout.splitlines()[-1])["seconds_per_step"])
    return seconds


def inference(arguments: argparse.Namespace, device: torch.device) -> float:
    """Return frames a second from uint8 on the host to logits on the host."""
    network = place_network(_network(arguments), device).eval()
    pixels = torch.randint(0, 256, (INFERENCE_BATCH, arguments.size, arguments.size), dtype=torch.uint8)
    seconds = _take_turns({"infer": lambda: infer(network, pixels.to(device)).cpu()}, arguments.steps, device)
    return INFERENCE_BATCH / seconds["infer"]


def roofline(arguments: argparse.Namespace, rate: float) -> str:
    """Return the rate as a share of the limit, and the time of the paper's run of one fold."""
    hours = 25_000 * (arguments.labeled + arguments.unlabeled) / rate / 3600
    share = rate / limit_of(arguments.variant, arguments.size)
    return f"{rate:.0f} images/s, {share:.0%} of the roofline; 25,000 steps take {hours:.1f} hours"


def limit_of(variant: str, size: int) -> float:
    """Return the frames a second that memory traffic allows on an H200 (at 112 px); nan at another size."""
    return _LIMITS[variant] if size == 112 else math.nan


ROWS = {
    "whole": "our FixMatch, the whole loop",
    "network": "augmentation removed",
    "data": "network removed",
    "bfloat16": "our FixMatch with `precision: bfloat16`, the whole loop",
    "compiled": "our FixMatch with `compile: on`, the whole loop",
    "compiled, bfloat16": "our FixMatch with both, the whole loop",
    "semilearn": "semilearn 0.3.2, the whole loop, as its FixMatch settings have it (one joint batch)",
    "semilearn, apart": "semilearn 0.3.2 with use_cat false (batches apart, as ours)",
}


def loop_table(by_part: dict[str, float], images: int) -> str:
    """Return the measurements of the loop as a Markdown table."""
    lines = ["| loop | ms a step | images/s | over our whole loop |", "|---|---|---|---|"]
    for name, seconds in by_part.items():
        lines.append(
            f"| {ROWS[name]} | {1e3 * seconds:.0f} | {images / seconds:.0f} | {seconds / by_part['whole']:.2f} |"
        )
    return "\n".join(lines)


def _take_turns(ways: dict[str, Callable[[], Any]], steps: int, device: torch.device) -> dict[str, float]:
    clock = train_step.clock_of(device)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(-3, steps):  # the first three warm up
        for name, way in ways.items():
            start = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if index >= 0:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _network(arguments: argparse.Namespace) -> torch.nn.Module:
    options = {"variant": arguments.variant, "depth": arguments.depth, "widen": arguments.widen}
    return build_network("WideResNet", classes=train_step.CLASSES, size=arguments.size, **options)


def _load_and_step(learner: Trainer, batches: TrainLoader) -> None:
    learner.step(batches.next(0), 0)


def _build(arguments: argparse.Namespace, device: torch.device, changes: dict[str, Any]) -> tuple[Trainer, TrainLoader]:
    content: dict[str, Any] = {
        "data": {"stores": ["none"], "split": "none"},
        "method": {"name": "fixmatch"},
        "batch": {"labeled": arguments.labeled, "unlabeled": arguments.unlabeled},
    }
    config = TrainConfig.parse(content | changes, where="benchmark")
    rng = np.random.default_rng(0)
    count = _LABELED + arguments.pool
    frames = NoiseStore(rng.integers(0, 256, (min(count, _DIFFERENT), arguments.size, arguments.size), np.uint8))
    labeled = LabeledFrames(np.arange(_LABELED), np.arange(_LABELED) % train_step.CLASSES)
    classes = tuple(str(each) for each in range(train_step.CLASSES))
    split = SplitManifest(Path("none"), "noise", classes, 0, (), (), {}, "", SPLIT_MEMBERS.empty_table(), "")
    data = TrainData(frames, split, labeled, labeled, np.arange(_LABELED, count))
    torch.manual_seed(0)
    learner = Trainer(
        place_network(_network(arguments), device),
        config,
        classes=train_step.CLASSES,
        pool_size=arguments.pool,
        weights=None,
        generator=torch.Generator(device).manual_seed(0),
    )
    return learner, TrainLoader(config, data, learner, device)


if __name__ == "__main__":
    main()
