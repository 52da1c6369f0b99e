"""Which frames' running statistics carry a network to another hospital? One network, scored with several records.

    python -m benchmarks.running_statistics runs/fixmatch --split split --store A --store B

The weights stay as they are; only the running mean and variance of batch normalisation are recorded anew, each time
from other frames: labeled ones, the pool's, weakly or strongly augmented, and at last the unlabeled test frames of the
very hospital that is scored (prediction-time batch normalisation: Li et al., arXiv 1603.04779; Nado et al., arXiv
2006.10963). That last row reads test frames, though no label: it says what is left to win, and is no result of the
network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from heart2heart.errors import RunError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.policy import Policy
from heart2heart.training.run import Run
from heart2heart.training.validation import balanced_accuracy, infer
from pipelines.command_line import run as enter

Batch = Callable[[], Tensor]
MOMENTUM, ROUNDS = 0.05, 100


@dataclass(frozen=True)
class Tested:
    """The labeled test frames of one hospital: uint8 `(n, size, size)`, and int64 targets `(n,)`."""

    site: str
    pixels: Tensor
    targets: Tensor

    def score(self, network: nn.Module) -> float:
        """Return balanced accuracy in per cent."""
        return 100 * balanced_accuracy(infer(network.eval(), self.pixels), self.targets)


def recorded(network: nn.Module, batches: Sequence[Batch]) -> nn.Module:
    """Return a copy of a network with running statistics of these batches alone.

    Raises:
        RunError: it has no batch normalisation.
    """
    copied = copy.deepcopy(network).train()
    norms = [module for module in copied.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        raise RunError("this network has no batch normalisation", remedy="Name a run of a WideResNet")
    for norm in norms:
        norm.momentum = MOMENTUM
        norm.reset_running_stats()
    with torch.no_grad():
        for _ in range(ROUNDS):
            for batch in batches:
                copied(batch())
    return copied.eval()


def batches_of(pixels: Tensor, count: int, policy: Policy, generator: torch.Generator) -> Batch:
    """Return a function that draws `count` augmented frames, float32 `(count, 1, size, size)`, at each call."""

    def draw() -> Tensor:
        chosen = torch.randint(len(pixels), (count,), generator=generator)
        return augment(policy, pixels[chosen], generator)

    return draw


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    split: Annotated[Path, typer.Option(help="The split that it was trained on.")],
    store: Annotated[list[Path], typer.Option(help="Frame store; give it once for each store.")],
    seed: Annotated[int, typer.Option(help="Seed of the frames drawn and of their augmentation.")] = 0,
) -> None:
    """Print balanced accuracy by hospital for each record."""
    trained, frames, manifest = Run.load(run), FrameStores.open(store), SplitManifest.load(split)
    weak, strong = trained.config.augmentation.weak, trained.config.augmentation.strong
    generator = torch.Generator().manual_seed(seed)

    def pixels(role: str) -> Tensor:
        return torch.from_numpy(frames.read(manifest.select(frames, role).rows))

    selection = manifest.select(frames, "test")
    sites = np.array(selection.members["site"].to_pylist())
    tested = []
    for site in (*manifest.source_sites, *manifest.held_out_sites):
        scored = (sites == site) & (selection.targets >= 0)
        rows, targets = selection.rows[scored], torch.from_numpy(selection.targets[scored])
        tested.append(Tested(site, torch.from_numpy(frames.read(rows)), targets))
    labeled, pool = pixels("train"), pixels("unlabeled")
    size = trained.config.batch
    parts = {
        "labeled, weak": batches_of(labeled, size.labeled, weak, generator),
        "labeled, strong": batches_of(labeled, size.labeled, strong, generator),
        "pool, weak": batches_of(pool, size.unlabeled, weak, generator),
        "pool, strong": batches_of(pool, size.unlabeled, strong, generator),
    }
    records = {name: [batch] for name, batch in parts.items()}
    records["labeled and both of the pool"] = [parts[name] for name in ("labeled, weak", "pool, weak", "pool, strong")]
    print("| record | " + " | ".join(each.site for each in tested) + " |\n|---|" + "---|" * len(tested))

    def row(name: str, networks: Sequence[nn.Module]) -> None:
        scores = [each.score(network) for each, network in zip(tested, networks, strict=True)]
        print(f"| {name} | " + " | ".join(f"{score:.1f}" for score in scores) + " |", flush=True)

    row("as trained", [trained.network] * len(tested))
    for name, batches in records.items():
        row(name, [recorded(trained.network, batches)] * len(tested))
    own = [batches_of(each.pixels, size.unlabeled, weak, generator) for each in tested]
    row("the hospital's own test frames", [recorded(trained.network, [batch]) for batch in own])


if __name__ == "__main__":
    enter(main)
