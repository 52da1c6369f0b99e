"""How well VAT's power iteration finds its direction: the exact product, and finite differences of several lengths.

    OMP_NUM_THREADS=1 python -m benchmarks.vat_direction --size 112

A small WideResNet is trained for some steps on blurred noise. The direction for a batch is then computed in float64,
and every other way is held against it: shown are the mean cosine over the frames, and the time of one batch. Cosines
are 1 for the same direction, and about 0 for one drawn at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.training.algorithms.consistency import difference_iteration, exact_iteration, normalise_rows
from heart2heart.training.batch_norm import no_bn_update
from heart2heart.training.model_access import Forward
from heart2heart.training.networks.build import build_network

CLASSES, FRAMES = 4, 8
LENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--widen", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    torch.manual_seed(0)

    def build() -> nn.Module:
        size, depth, widen = arguments.size, arguments.depth, arguments.widen
        return build_network("WideResNet", classes=CLASSES, size=size, depth=depth, widen=widen)

    network, frames = build(), pictures(arguments.size)
    fit(network, frames, arguments.steps)
    double = build().double()
    double.load_state_dict(network.state_dict())
    print("\n".join(rows(network, double, frames, normalise_rows(torch.randn_like(frames)))))


def pictures(size: int) -> Tensor:
    """Return blurred noise from -1 to 1, `(FRAMES, 1, size, size)`."""
    return (3 * functional.avg_pool2d(2 * torch.rand(FRAMES, 1, size, size) - 1, 5, 1, 2)).clamp(-1, 1)


def fit(network: nn.Module, frames: Tensor, steps: int) -> None:
    """Train the network to tell the pictures apart, so that its logits are not those of chance."""
    parameters = list(network.parameters())
    for _ in range(steps):
        loss = functional.cross_entropy(network(frames), torch.arange(FRAMES) % CLASSES)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.sub_(gradient, alpha=0.05)


def rows(network: nn.Module, double: nn.Module, frames: Tensor, noise: Tensor) -> list[str]:
    """Return the lines of the table."""
    single, low = Forward(network, "float32"), Forward(network, "bfloat16")
    with no_bn_update(network), no_bn_update(double):
        truth = exact_iteration(double, frames.double(), noise.double())

        def cosine(find: Callable[[], Tensor]) -> tuple[float, float]:
            start = time.perf_counter()
            direction = find()
            return float((direction.double() * truth).flatten(1).sum(1).mean()), 1000 * (time.perf_counter() - start)

        value, milliseconds = cosine(partial(exact_iteration, single, frames, noise))
        lines = ["| power iteration | float32 | bfloat16 | ms, float32 |", "|---|---|---|---|"]
        lines.append(f"| exact, always in float32 | {value:.3f} | {value:.3f} | {milliseconds:.0f} |")
        for xi in LENGTHS:
            value, milliseconds = cosine(partial(difference_iteration, single, frames, noise, xi))
            rough, _ = cosine(partial(difference_iteration, low, frames, noise, xi))
            lines.append(f"| difference, xi {xi:g} | {value:.3f} | {rough:.3f} | {milliseconds:.0f} |")
    return lines


if __name__ == "__main__":
    main()
