"""Frames that `embed` passes in a second of processor time, by network and precision.

    OMP_NUM_THREADS=1 python -m benchmarks.embedding --repeats 5

256 random frames of 112 pixels (seed 0) in batches of 32 by networks with random weights: neither changes the time.
The fastest of the repeats counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from heart2heart.cli.output import text_table
from heart2heart.representation.encoder import build_encoder
from heart2heart.representation.loaded_encoder import EmbeddingPrecision, LoadedEncoder
from heart2heart.store.geometry import Geometry
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import NetworkConfig, build_network

SIZE, BATCH, BATCHES = 112, 32, 8
NETWORKS: dict[str, dict[str, Any]] = {"WideResNet": {"depth": 10, "widen": 1}, "EfficientNetLite0": {}}
LARGE_STORE = 350_000  # frames


def frames_a_second(name: str, options: dict[str, Any], precision: EmbeddingPrecision, repeats: int) -> float:
    """Return the frames that a network embeds in a second of processor time.

    Args:
        name: The network.
        options: Its options.
        precision: As of `embed`.
        repeats: Times that all frames are embedded.
    """
    device = torch.device("cpu")
    config = NetworkConfig(name=name, options=options)
    network = place_network(build_network(name, classes=2, size=SIZE, **options), device)
    encoder = build_encoder(network, config).eval().requires_grad_(False)
    loaded = LoadedEncoder(Path(), encoder, config, Geometry(size=SIZE), device, precision)
    frames = np.random.default_rng(0).integers(0, 256, (BATCHES, BATCH, SIZE, SIZE), np.uint8)
    loaded.embed(frames[0])
    seconds = []
    for _ in range(repeats):
        before = time.process_time()
        for batch in frames:
            loaded.embed(batch)
        seconds.append(time.process_time() - before)
    return BATCHES * BATCH / min(seconds)


def main(repeats: int) -> None:
    """Print one row for each network and precision."""
    rows = []
    for name, options in NETWORKS.items():
        for precision in get_args(EmbeddingPrecision):
            rate = frames_a_second(name, options, precision, repeats)
            rows.append((name, precision, f"{rate:.0f}", f"{LARGE_STORE / rate / 2 / 60:.0f}"))
    print(text_table(("network", "precision", "frames a processor second", "350,000 on two cores, minutes"), rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    main(parser.parse_args().repeats)
