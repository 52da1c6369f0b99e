"""Fit the weights of the text detector, `heart2heart/deidentify/burned_in.npz`, to invented text on synthetic tissue.

Command: python -m benchmarks.train_burned_in FOLDER OUT.npz [--crops 4000] [--clean 3000] [--steps 11000] [--jobs 2]
FOLDER holds the files of `heart2heart simulate --seed 5`; needs torch. The seed is 5 throughout. The crops come from
`benchmarks.text_crops`; no real file is used. `OUT.crops/` keeps the crops of each part, so that a broken run goes on.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.text_crops import clean_crops, crops
from heart2heart.deidentify.text_network import LAYERS

Bytes = npt.NDArray[np.uint8]
PART = 100  # crops that are kept together
CLEAN = 1000  # number of the first part without text
BATCH = 10
RATE = 5e-3
HARD, DRAWN = 3, 60  # crops of a batch that had the greatest loss of some that were drawn


class Net(nn.Module):
    """The layers of `heart2heart.deidentify.text_network`, in torch, each followed by batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(into, out, size, padding=size // 2, bias=size == 1) for into, out, size in LAYERS
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(out, momentum=0.03) for _, out, _ in LAYERS[:-1])
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, rows, columns)` of cells from float32 `(n, 3, height, width)`, 0 to 1."""
        half = nn.functional.max_pool2d
        fine = half(self._layer(nn.functional.pixel_unshuffle(planes.sqrt(), 2), 0), 2)
        fine = half(self._layer(fine, 1), 2)
        fine = self._layer(self._layer(fine, 2), 3)
        middle = self._layer(self._layer(half(fine, 2), 4), 5)
        coarse = self._layer(self._layer(half(middle, 2), 6), 7)
        middle = self._layer(middle + nn.functional.interpolate(coarse, scale_factor=2), 8)
        fine = self._layer(fine + nn.functional.interpolate(middle, scale_factor=2), 9)
        logits: torch.Tensor = self.layers[10](fine)
        return logits[:, 0]

    def _layer(self, x: torch.Tensor, index: int) -> torch.Tensor:
        result: torch.Tensor = self.norms[index](self.layers[index](x)).relu()
        return result


def fit(planes: Bytes, cells: npt.NDArray[np.int8], steps: int) -> Net:
    """Fit the network to crops and their cells."""
    noise = np.random.default_rng(5)
    torch.manual_seed(5)
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.15)
    losses = np.full(len(planes), np.inf, np.float32)
    mean = 0.0
    for step in range(steps):
        rows = noise.integers(0, len(planes), BATCH - HARD)
        drawn = noise.integers(0, len(planes), DRAWN)
        rows = np.concatenate([rows, drawn[np.argsort(losses[drawn])[-HARD:]]])
        turn, flip = int(noise.integers(4)), int(noise.integers(2))  # text has every direction; a mirror is as good
        pictures, truth = (_turned(torch.from_numpy(part[rows]).float(), turn, flip) for part in (planes, cells))
        gain = torch.from_numpy(noise.uniform(0.5, 1.3, (BATCH, 1, 1, 1)).astype(np.float32))
        logits = net((pictures * gain / 255).clamp(max=1))
        each = nn.functional.binary_cross_entropy_with_logits(logits, truth.clamp(min=0), reduction="none")
        each = each * (truth >= 0)
        losses[rows] = each.detach().flatten(1).topk(16).values.mean(dim=1).numpy()
        loss = each.sum() / (truth >= 0).sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean = 0.98 * mean + 0.02 * loss.item() if step else loss.item()
        if step % 50 == 0:
            print(step, f"{mean:.4f}", flush=True)
    return net.eval()


def _turned(part: torch.Tensor, turn: int, flip: int) -> torch.Tensor:
    turned = torch.rot90(part, turn, (-2, -1))
    return turned.flip(-1) if flip else turned


def save(net: Net, out: Path) -> None:
    """Write the weights as float16, the normalization folded in, in the order of the axes of `text_network`."""
    weights: dict[str, Any] = {}
    for index, layer in enumerate(net.layers):
        assert isinstance(layer, nn.Conv2d)
        weight = layer.weight.detach()
        if index < len(net.norms):
            norm = net.norms[index]
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * scale[:, None, None, None], norm.bias.detach() - norm.running_mean * scale
        else:
            assert layer.bias is not None
            bias = layer.bias.detach()
        weights[f"w{index}"] = weight.numpy().transpose(2, 3, 1, 0).astype(np.float16)
        weights[f"b{index}"] = bias.numpy().astype(np.float16)
    np.savez(out, **weights)


def _kept_crops(folder: Path, keep: Path, part: int) -> None:
    path = keep / f"{part}.npz"
    if not path.exists():
        planes, cells = (crops if part < CLEAN else clean_crops)(folder, PART, part)
        partial_path = keep / f"{part}.tmp.npz"
        np.savez(partial_path, planes=planes, cells=cells)
        partial_path.rename(path)


def main(folder: Path, out: Path, *, count: int, clean: int, steps: int, jobs: int) -> None:
    """Make the crops, fit, and write the weights."""
    keep = out.with_suffix(".crops")
    keep.mkdir(exist_ok=True)
    parts = [*range(count // PART), *range(CLEAN, CLEAN + clean // PART)]
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(partial(_kept_crops, folder, keep), parts))
    arrays = []
    for part in parts:
        with np.load(keep / f"{part}.npz") as stored:
            arrays.append((stored["planes"], stored["cells"]))
    planes, cells = (np.concatenate(each) for each in zip(*arrays, strict=True))
    print(f"{len(planes)} crops, {(cells == 1).mean():.3f} of the cells text", flush=True)
    save(fit(planes, cells, steps), out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=4000)
    parser.add_argument("--clean", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=11000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    main(options.folder, options.out, count=options.crops, clean=options.clean, steps=options.steps, jobs=options.jobs)
