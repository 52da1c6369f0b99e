"""What augmentation costs a batch: our policies, the nearest pipelines of kornia and albumentations, a training step.

    python -m benchmarks.augmentation --size 64 --frames 64
    python -m benchmarks.augmentation --device cuda --size 112 --frames 320

All rows take the same uint8 frames and return float32 frames of the same shape. The peers have no time gain, shadow,
haze, sector or writing; their pipelines hold the operations nearest to ours with the same probabilities. kornia works
on the batch, albumentations frame by frame on the CPU; one that is not installed is left out. The last column
is the share of one WideResNet step (forward, backward, update) on as many frames. The second table has the acoustic
policy with one operation alone, over the policy with none. On the CPU one thread is used and its own time is counted,
so that other work counts little; the rows take turns, and the median of each is shown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heart2heart.training.augment.acoustic import ACOUSTIC_OPERATIONS, AcousticPolicy
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.per_sample import load_albumentations
from heart2heart.training.augment.policy import STRONG, WEAK, Policy
from heart2heart.training.config import TrainConfig
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import AugmentedBatch, Trainer

CLASSES = 4
STEP = "one step"
NONE = "no operation"


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--depth", type=int, default=28)
    parser.add_argument("--widen", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    frames = fan_frames(arguments.frames, arguments.size).to(device)
    rows = policies(frames) | peers(frames) | {STEP: network_step(arguments, device)}
    print(table(measure(rows, arguments.rounds, device)))
    if find_spec("kornia") is None:
        print("\nkornia is not installed: no row.")
    print()
    print(operations_table(measure(single_operations(frames), arguments.rounds, device)))


def fan_frames(n: int, size: int) -> Tensor:
    """Return fans of noise on black, uint8 `(n, size, size)`."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)) - size / 2, indexing="ij")
    fan = (x.abs() <= 0.8 * y + 2) & (x.square() + y.square() < (0.95 * size) ** 2)
    return torch.randint(20, 220, (n, size, size), generator=generator, dtype=torch.uint8) * fan


def policies(frames: Tensor) -> dict[str, Callable[[], object]]:
    """Return our own rows."""
    acoustic = AcousticPolicy()
    settings = {
        "weak": WEAK,
        "strong (RandAugment, cutout)": STRONG,
        "acoustic": Policy(acoustic=acoustic),
        "strong and acoustic": STRONG.model_copy(update={"acoustic": acoustic}),
    }
    return {name: _augmenter(policy, frames) for name, policy in settings.items()}


def single_operations(frames: Tensor) -> dict[str, Callable[[], object]]:
    """Return one row for each acoustic operation alone, and one for none."""
    nothing = AcousticPolicy(probabilities=dict.fromkeys(ACOUSTIC_OPERATIONS, 0.0))
    settings = {NONE: nothing} | {name: AcousticPolicy().only(name) for name in ACOUSTIC_OPERATIONS}
    return {name: _augmenter(Policy(acoustic=policy), frames) for name, policy in settings.items()}


def _augmenter(policy: Policy, frames: Tensor) -> Callable[[], object]:
    generator = torch.Generator(frames.device).manual_seed(0)
    return lambda: augment(policy, frames, generator)


def peers(frames: Tensor) -> dict[str, Callable[[], object]]:
    """Return the rows of kornia and albumentations, where they are installed."""
    rows: dict[str, Callable[[], object]] = {}
    if find_spec("kornia") is not None:
        pipeline = kornia_pipeline().to(frames.device)
        rows["kornia, nearest"] = lambda: pipeline(frames[:, None].float() / 255) * 2 - 1
    if find_spec("albumentations") is None:
        return rows
    transform, pictures = albumentations_pipeline(), frames.cpu().numpy()

    def per_frame() -> Tensor:
        augmented = np.stack([transform(image=picture)["image"] for picture in pictures])
        return normalise(torch.from_numpy(augmented).to(frames.device))[:, None]

    return rows | {"albumentations, nearest": per_frame}


def kornia_pipeline() -> Any:
    """Return flip, affine map, gamma, brightness, contrast, sharpness, blur and noise of kornia."""
    kornia = import_module("kornia.augmentation")
    return kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(p=0.5),
        kornia.RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.78, 1.28), shear=(-5, 5), p=0.8),
        kornia.RandomGaussianBlur((5, 5), (0.1, 1.0), p=0.5),
        kornia.RandomSharpness(1.0, p=0.3),
        kornia.RandomGaussianNoise(std=0.05, p=0.5),
        kornia.RandomGamma((0.45, 2.2), p=0.8),
        kornia.RandomBrightness((0.67, 1.5), p=0.3),
        kornia.RandomContrast((0.67, 1.5), p=0.3),
        data_keys=["input"],
    )


def albumentations_pipeline() -> Any:
    """Return the same of albumentations."""
    albumentations = load_albumentations()
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                rotate=(-10, 10), translate_percent=(-0.1, 0.1), scale=(0.78, 1.28), shear=(-5, 5), p=0.8
            ),
            albumentations.GaussianBlur(blur_limit=(3, 5), p=0.5),
            albumentations.Sharpen(p=0.3),
            albumentations.MultiplicativeNoise(multiplier=(0.8, 1.2), elementwise=True, p=0.5),
            albumentations.RandomGamma(gamma_limit=(45, 220), p=0.8),
            albumentations.RandomBrightnessContrast(0.33, 0.33, p=0.3),
        ]
    )


def network_step(arguments: argparse.Namespace, device: torch.device) -> Callable[[], object]:
    """Return one step of labels only."""
    config = TrainConfig.parse({"data": {"stores": ["none"], "split": "none"}}, where="benchmark")
    torch.manual_seed(0)
    options = {"depth": arguments.depth, "widen": arguments.widen}
    network = place_network(build_network("WideResNet", classes=CLASSES, size=arguments.size, **options), device)
    generator = torch.Generator(device).manual_seed(0)
    trainer = Trainer(network, config, classes=CLASSES, weights=None, generator=generator)
    frames = torch.rand(arguments.frames, 1, arguments.size, arguments.size, device=device)
    targets = torch.eye(CLASSES, device=device)[torch.arange(arguments.frames, device=device) % CLASSES]
    batch = AugmentedBatch(frames, targets, (), torch.arange(0, device=device), ())
    return lambda: trainer.step(batch, 0)


def measure(rows: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Return the median milliseconds of each row."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(-2, rounds):  # the first two warm up
        for name, call in rows.items():
            start = clock()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn >= 0:
                times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def table(milliseconds: Mapping[str, float]) -> str:
    """Return the measurements as a Markdown table; `STEP` is what the others are a share of."""
    step = milliseconds[STEP]
    lines = ["| a batch | ms | share of a step |", "|---|---|---|"]
    lines += [f"| {name} | {value:.1f} | {value / step:.1%} |" for name, value in milliseconds.items()]
    return "\n".join(lines)


def operations_table(milliseconds: Mapping[str, float]) -> str:
    """Return the cost of each operation over `NONE` as a Markdown table."""
    lines = ["| operation alone | ms over none |", "|---|---|"]
    lines += [f"| {name} | {value - milliseconds[NONE]:.2f} |" for name, value in milliseconds.items() if name != NONE]
    return "\n".join([*lines, "", f"none: {milliseconds[NONE]:.2f} ms"])


if __name__ == "__main__":
    main()
