"""Fit the weights of the text detector, `heart2heart/deidentify/burned_in.npz`, to invented text on synthetic tissue.

Command: python -m benchmarks.train_burned_in FOLDER OUT.npz (FOLDER of `heart2heart simulate --seed 5`; needs torch)
No real file is used. Half of the crops come from simulated clips, half from speckle of many grains that moves or stands
still, with walls and edges; on both lie lines, crosses, ticks, dots and curves, which are not text.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import nn

from benchmarks.burned_variants import Kind, plant
from benchmarks.planted_text import QUALITIES, compressed
from benchmarks.scan_regions import scan_and_frames
from heart2heart.deidentify.text_evidence import TILE, TextEvidence
from heart2heart.deidentify.text_network import CELL, LAYERS, MIN_SIDE
from heart2heart.errors import DicomError
from heart2heart.ingest.source_files import find_files

Bytes = npt.NDArray[np.uint8]
SIDE = (128, 128)  # rows, columns of a crop
CROPS, STEPS, BATCH = 3200, 2600, 32
PARTS = 4  # processes that make the crops
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
    """Return a crop of up to `n` consecutive frames of a simulated clip, brightened, enlarged or reduced at random."""
    clip = clips[draw.randrange(len(clips))]
    first = draw.randrange(max(1, len(clip) - n + 1))
    factor = draw.choice((0.25, 0.33, 0.5, 1.0, 1.0, 1.5, 2.0))
    tall, wide = (min(have, int(side / factor)) for have, side in zip(clip.shape[1:], SIDE, strict=True))
    y, x = draw.randrange(clip.shape[1] - tall + 1), draw.randrange(clip.shape[2] - wide + 1)
    shape, how = (SIDE[1], SIDE[0]), Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    crop = [
        np.asarray(Image.fromarray(one).resize(shape, how))
        for one in clip[first : first + n, y : y + tall, x : x + wide]
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


def random_kind(draw: random.Random) -> Kind:
    """Return a random angle, style, time of appearance, or kind of code."""
    slanted = [draw.uniform(-60, 60), draw.uniform(-60, 60), draw.uniform(-180, 180)]
    angle = draw.choice((0, 0, 0, 90, 270, 180, *slanted))
    style = draw.choice(("plain", "plain", "plain", "dark", "white", "box", "ground", "outlined"))
    when = draw.choice(("always", "always", "always", "half", "few", "blink", "ticker"))
    code = draw.choice(("qr", "matrix", "bars")) if draw.random() < 0.1 else ""
    return Kind("", (2, 5) if code else (7, 36), angle, style, when, code)


def example(draw: random.Random, noise: np.random.Generator, clips: list[Bytes]) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return the planes of `TextEvidence` `(3, *SIDE)`, and 1, 0 or -1 (either) for each cell."""
    n = draw.choice((1, 1, 1, 2, 4, 8, 12))
    frames = recorded(draw, clips, n) if draw.random() < 0.6 else speckle(draw, noise, n)
    for _ in range(draw.choice((0, 1, 2, 3))):
        frames = decoy(draw, frames)
    ink, free = np.zeros(frames.shape, bool), np.ones(SIDE, bool)
    for _ in range(draw.choice((1, 1, 2, 3)) if draw.random() < LIKELY else 0):
        if (variant := plant(frames, free, random_kind(draw), draw)) is not None:
            frames, ink = variant.frames, ink | variant.ink
            free &= ~ndimage.maximum_filter(np.asarray(ink.any(axis=0), bool), 17)
    if draw.random() < 0.8:
        frames = compressed(frames, draw.choice(QUALITIES))
    evidence = TextEvidence(*SIDE)
    evidence.add(frames)
    number = evidence.chosen().repeat(TILE, axis=0).repeat(TILE, axis=1)
    seen = np.take_along_axis(ink, number[None], axis=0)[0]
    text = ndimage.binary_closing(np.pad(seen, 16), np.ones((9, 9), bool))[16:-16, 16:-16]
    near = ndimage.maximum_filter(np.asarray(text | ink.any(axis=0), bool), 11)
    cells = (SIDE[0] // CELL, CELL, SIDE[1] // CELL, CELL)
    inner = text.reshape(cells).mean(axis=(1, 3)) > 0.4
    outer = near.reshape(cells).any(axis=(1, 3))
    return evidence.planes(), np.where(inner, 1, np.where(outer, -1, 0)).astype(np.int8)


def hard_negatives(folder: Path, part: int) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return planes and cells without text: coarse square noise, and clips in which areas were blanked."""
    draw, noise = random.Random(f"negative {part}"), np.random.default_rng([6, part])
    clips = [frames for frames in simulated(folder) if min(frames.shape[1:]) >= MIN_SIDE]
    parts = []
    for index in range(CROPS // PARTS // 4):
        n = draw.choice((1, 1, 4, 6, 12))
        if index % 3:
            side, shape = draw.choice((1, 2, 2, 4)), draw.uniform(0.8, 3.0)
            small = noise.gamma(shape, draw.uniform(10, 60) / shape, (n, *(length // side for length in SIDE)))
            frames = np.clip(small.repeat(side, 1).repeat(side, 2), 0, 255).astype(np.uint8)
        else:
            frames = recorded(draw, clips, n).copy()
        for _ in range(draw.choice((0, 1, 2, 3))):
            y, x = (CELL * draw.randrange(length // CELL) for length in SIDE)
            frames[:, y : y + CELL * draw.randint(2, 8), x : x + CELL * draw.randint(2, 20)] = 0
        evidence = TextEvidence(*SIDE)
        evidence.add(compressed(frames, draw.choice(QUALITIES)) if draw.random() < 0.5 else frames)
        parts.append(evidence.planes())
    return np.stack(parts), np.zeros((len(parts), *(length // CELL for length in SIDE)), np.int8)


class Net(nn.Module):
    """The layers of `heart2heart.deidentify.text_network`, in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(into, out, size, padding=reach * (size // 2), dilation=reach) for into, out, size, reach in LAYERS
        )

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, rows, columns)` of cells from float32 `(n, 3, height, width)`."""
        x = nn.functional.pixel_unshuffle(pair, 2)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < len(self.layers) - 1:
                x = x.relu()
            if index == 0:
                x = nn.functional.max_pool2d(x, 2)
        return x[:, 0]


def simulated(folder: Path) -> Iterator[Bytes]:
    """Yield up to 12 consecutive frames of every sixth clip of a folder."""
    for path in find_files([folder])[::6]:
        with suppress(DicomError):
            yield scan_and_frames(path, 12)[1]


def examples(folder: Path, part: int) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return planes `(n, 3, *SIDE)` and cells of one part of the crops, each part with draws of its own."""
    draw, noise = random.Random(5 + 1000 * part), np.random.default_rng([5, part])
    clips = [frames for frames in simulated(folder) if min(frames.shape[1:]) >= MIN_SIDE]
    planes, cells = zip(*(example(draw, noise, clips) for _ in range(CROPS // PARTS)), strict=True)
    return np.stack(planes), np.stack(cells)


def fit(planes: Bytes, cells: npt.NDArray[np.int8]) -> Net:
    """Fit the network to crops and their cells."""
    noise = np.random.default_rng(5)
    torch.manual_seed(5)
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, STEPS)
    for step in range(STEPS):
        rows = noise.integers(0, len(planes), BATCH)
        turn, flip = int(noise.integers(4)), int(noise.integers(2))  # text has every direction; a mirror is as good
        pictures, truth = (_turned(torch.from_numpy(part[rows]).float(), turn, flip) for part in (planes, cells))
        logits = net(pictures / 255)
        each = nn.functional.binary_cross_entropy_with_logits(logits, truth.clamp(min=0), reduction="none")
        loss = each[truth >= 0].mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(step, f"{loss.item():.4f}", flush=True)
    return net


def _turned(part: torch.Tensor, turn: int, flip: int) -> torch.Tensor:
    turned = torch.rot90(part, turn, (-2, -1))
    return turned.flip(-1) if flip else turned


def save(net: Net, out: Path) -> None:
    """Write the weights as float16, in the order of the axes of `text_network`."""
    weights: dict[str, Any] = {}
    for index, layer in enumerate(net.layers):
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        weights[f"w{index}"] = layer.weight.detach().numpy().transpose(2, 3, 1, 0).astype(np.float16)
        weights[f"b{index}"] = layer.bias.detach().numpy().astype(np.float16)
    np.savez(out, **weights)


def main(folder: Path, out: Path) -> None:
    """Make the crops, fit, and write the weights."""
    with ProcessPoolExecutor(PARTS) as pool:
        parts = list(pool.map(partial(examples, folder), range(PARTS)))
        parts += list(pool.map(partial(hard_negatives, folder), range(PARTS)))
    planes, cells = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    save(fit(planes, cells), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
