"""Fit the weights of the text detector, `heart2heart/deidentify/burned_in.npz`, to invented text on synthetic tissue.

Command: python -m benchmarks.train_burned_in FOLDER OUT.npz (FOLDER of `heart2heart simulate --seed 5`; needs torch)
No real file is used. Half of the crops come from simulated clips, half from speckle of many grains that moves or stands
still, with walls and edges; on both lie lines, crosses, ticks, dots and curves, which are not text.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import nn

from benchmarks.planted_text import QUALITIES, compressed, plant_text
from benchmarks.scan_regions import scans
from heart2heart.deidentify.burned_in_text import CELL, LAYERS, MIN_SIDE

Bytes = npt.NDArray[np.uint8]
SIDE = (128, 192)  # rows, columns of a crop
CROPS, STEPS, BATCH = 6000, 5000, 32
LIKELY = 0.6  # share of crops with text


def speckle(draw: random.Random, noise: np.random.Generator, n: int) -> Bytes:
    """Return uint8 `(n, *SIDE)`: blurred speckle under a slowly varying brightness, moving by chance, with walls."""
    grain = (0, draw.uniform(0.4, 2.5), draw.uniform(0.4, 4.0))
    still = draw.random() < 0.2
    grains = noise.gamma(draw.uniform(0.6, 3.0), 1.0, (1 if still else n, *SIDE))
    tissue = ndimage.gaussian_filter(grains.repeat(n, 0) if still else grains, grain)
    slow = ndimage.gaussian_filter(noise.normal(size=SIDE), draw.uniform(8, 30))
    slow = np.exp(draw.uniform(0, 1.2) * slow / (slow.std() + 1e-6))
    tissue = tissue * slow / (tissue.mean() + 1e-6) * draw.uniform(4, 110)
    rows = np.arange(SIDE[0])[:, None] + draw.uniform(-0.6, 0.6) * np.arange(SIDE[1])[None]
    for _ in range(draw.randrange(3)):
        centre, thick, step = draw.uniform(0, SIDE[0]), draw.uniform(2, 14), draw.choice((0.0, 1.0, 3.0))
        for index in range(n):
            tissue[index] += draw.uniform(60, 220) * np.exp(-(((rows - centre - step * index) / thick) ** 2))
    if draw.random() < 0.25:
        tissue *= rows > draw.uniform(-60, SIDE[0])
    speckled: Bytes = np.clip(tissue, 0, 255).astype(np.uint8)
    return speckled


def recorded(draw: random.Random, clips: list[Bytes], n: int) -> Bytes:
    """Return a crop of `n` frames of a simulated clip, brightened and enlarged at random."""
    clip = clips[draw.randrange(len(clips))]
    clip = clip[np.sort([draw.randrange(len(clip)) for _ in range(n)])]
    factor = draw.choice((1.0, 1.0, 1.5, 2.0))
    tall, wide = (min(have, int(side / factor)) for have, side in zip(clip.shape[1:], SIDE, strict=True))
    y, x = draw.randrange(clip.shape[1] - tall + 1), draw.randrange(clip.shape[2] - wide + 1)
    shape = (SIDE[1], SIDE[0])
    crop = [
        np.asarray(Image.fromarray(one).resize(shape, Image.Resampling.BILINEAR))
        for one in clip[:, y : y + tall, x : x + wide]
    ]
    gray: Bytes = np.clip(np.stack(crop) * draw.uniform(0.6, 2.2), 0, 255).astype(np.uint8)
    return gray


def decoy(draw: random.Random, frames: Bytes) -> Bytes:
    """Draw something that machines draw and that is not text into every frame."""
    layer = Image.new("L", (SIDE[1], SIDE[0]))
    brush, level = ImageDraw.Draw(layer), draw.choice((140, 190, 230, 255))
    x, y = draw.randrange(4, SIDE[1] - 4), draw.randrange(4, SIDE[0] - 4)
    arm, wide = draw.randrange(3, 9), draw.choice((1, 1, 2))
    kind = draw.randrange(8)
    if kind == 0:
        brush.line((x - arm, y, x + arm, y), level, wide)
        brush.line((x, y - arm, x, y + arm), level, wide)
    elif kind == 1:
        brush.line((x, y, draw.randrange(SIDE[1]), draw.randrange(SIDE[0])), level, wide)
    elif kind in (2, 3):
        step = draw.randrange(4, 26)
        for offset in range(0, SIDE[kind == 3], step):
            corner = (x, offset) if kind == 2 else (offset, y)
            brush.rectangle((*corner, corner[0] + draw.choice((0, wide, arm)), corner[1] + wide - 1), level)
    elif kind == 4:
        brush.ellipse((x - 3 * arm, y - 2 * arm, x + 3 * arm, y + 2 * arm), outline=level, width=wide)
    elif kind == 5:
        ends = [(offset, y + 14 * draw.gauss(0, 1) * (draw.random() < 0.15)) for offset in range(0, SIDE[1], 4)]
        brush.line(ends, level, wide)
    elif kind == 6:
        brush.rectangle((x, y, x + 4 * arm, y + draw.randrange(4, 60)), level)
    else:
        brush.polygon(((x, y), (x + arm, y + 2 * arm), (x - arm, y + 2 * arm)), level)
    drawn: Bytes = np.maximum(frames, np.asarray(layer))
    return drawn


def example(draw: random.Random, noise: np.random.Generator, clips: list[Bytes]) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return the least and the greatest level of each pixel `(2, *SIDE)`, and 1, 0 or -1 (either) for each cell."""
    n = draw.choice((1, 1, 2, 4, 6, 6))
    frames = recorded(draw, clips, n) if draw.random() < 0.5 else speckle(draw, noise, n)
    for _ in range(draw.choice((0, 1, 2))):
        frames = decoy(draw, frames)
    ink, free = np.zeros(SIDE, bool), np.ones(SIDE, bool)
    for _ in range(draw.choice((1, 1, 2, 3)) if draw.random() < LIKELY else 0):
        if (written := plant_text(frames, free, draw, size=draw.randrange(7, 27))) is not None:
            frames, ink = written.frames, ink | written.ink
            free &= ~ndimage.binary_dilation(written.ink, np.ones((9, 25), bool))
    if draw.random() < 0.8:
        frames = compressed(frames, draw.choice(QUALITIES))
    text = ndimage.binary_closing(np.pad(ink, 16), np.ones((3, 15), bool))[16:-16, 16:-16]
    near = ndimage.binary_dilation(text, np.ones((9, 13), bool))
    cells = (SIDE[0] // CELL, CELL, SIDE[1] // CELL, CELL)
    inner = text.reshape(cells).mean(axis=(1, 3)) > 0.4
    outer = near.reshape(cells).any(axis=(1, 3))
    return np.stack([frames.min(axis=0), frames.max(axis=0)]), np.where(inner, 1, np.where(outer, -1, 0)).astype(
        np.int8
    )


class Net(nn.Module):
    """The layers of `heart2heart.deidentify.burned_in_text`, in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(into, out, size, padding=reach * (size // 2), dilation=reach) for into, out, size, reach in LAYERS
        )

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, rows, columns)` of cells from float32 `(n, 2, height, width)`."""
        x = nn.functional.pixel_unshuffle(pair, 2)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < len(self.layers) - 1:
                x = x.relu()
            if index == 0:
                x = nn.functional.max_pool2d(x, 2)
        return x[:, 0]


def main(folder: Path, out: Path) -> None:
    """Make the crops, fit, and write the weights as float16."""
    draw, noise = random.Random(5), np.random.default_rng(5)
    torch.manual_seed(5)
    clips = [seen.sample for _, seen in scans([folder], every=3) if min(seen.sample.shape[1:]) >= MIN_SIDE]
    examples = [example(draw, noise, clips) for _ in range(CROPS)]
    pairs, cells = (torch.from_numpy(np.stack(part)) for part in zip(*examples, strict=True))
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, STEPS)
    for step in range(STEPS):
        rows = torch.from_numpy(noise.integers(0, CROPS, BATCH))
        truth = cells[rows].float()
        logits = net(pairs[rows].float() / 255)
        each = nn.functional.binary_cross_entropy_with_logits(logits, truth.clamp(min=0), reduction="none")
        loss = each[truth >= 0].mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            print(step, f"{loss.item():.4f}", flush=True)
    weights: dict[str, Any] = {}
    for index, layer in enumerate(net.layers):
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        weights[f"w{index}"] = layer.weight.detach().numpy().transpose(2, 3, 1, 0).astype(np.float16)
        weights[f"b{index}"] = layer.bias.detach().numpy().astype(np.float16)
    np.savez(out, **weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
