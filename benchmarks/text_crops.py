"""Crops of synthetic tissue with invented text and codes, and with marks and textures that are not text.

No real file is used. Half of the crops come from simulated clips, half from speckle of many grains that moves or stands
still, with walls, vessels and edges; on both lie lines, crosses, ticks, bars, dots and curves, which are not text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks.burned_variants import Kind, plant
from benchmarks.planted_text import QUALITIES, compressed
from benchmarks.scan_regions import scan_and_frames
from heart2heart.deidentify.text_evidence import TextEvidence
from heart2heart.deidentify.text_network import CELL
from heart2heart.errors import DicomError
from heart2heart.ingest.source_files import find_files

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
SIDE = (192, 256)  # rows, columns of a crop
MIN_CLIP = 48  # pixels a side of a simulated clip
LIKELY = 0.65  # share of crops with text
SMALL = 0.15  # share of crops of small pictures, with black around them
CHANGED = 16  # gray levels by which text must change a plane to be seen in it


def crops(folder: Path, count: int, part: int) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return planes `(count, 3, *SIDE)` and the truth of their cells, each part with draws of its own."""
    draw, noise = random.Random(5 + 1000 * part), np.random.default_rng([5, part])
    clips = _clips(folder)
    planes, cells = zip(*(example(draw, noise, clips) for _ in range(count)), strict=True)
    return np.stack(planes), np.stack(cells)


def clean_crops(folder: Path, count: int, part: int) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return planes without text of up to 60 frames, with twice as many marks, as `crops` does."""
    draw, noise = random.Random(5 + 1000 * part), np.random.default_rng([5, part])
    clips = _long_clips(folder)
    planes = []
    for _ in range(count):
        frames = background(draw, noise, clips, draw.choice((1, 6, 12, 24, 60)))
        for _ in range(draw.choice((0, 1, 2, 4, 8))):
            frames = decoy(draw, frames)
        if draw.random() < SMALL:
            frames = frames * _window(draw).astype(np.uint8)
        planes.append(planes_of(compressed(frames, draw.choice(QUALITIES)) if draw.random() < 0.5 else frames))
    return np.stack(planes), np.zeros((count, SIDE[0] // CELL, SIDE[1] // CELL), np.int8)


@cache
def _long_clips(folder: Path) -> list[Bytes]:
    return [frames for frames in simulated(folder, step=3, start=1, most=60) if min(frames.shape[1:]) >= MIN_CLIP]


@cache
def _clips(folder: Path) -> list[Bytes]:
    return [frames for frames in simulated(folder) if min(frames.shape[1:]) >= MIN_CLIP]


def simulated(folder: Path, *, start: int = 0, step: int = 6, most: int = 12) -> Iterator[Bytes]:
    """Yield up to `most` consecutive frames of every sixth clip of a folder, or at another step."""
    for path in find_files([folder])[start::step]:
        with suppress(DicomError):
            yield scan_and_frames(path, most)[1]


def example(draw: random.Random, noise: np.random.Generator, clips: list[Bytes]) -> tuple[Bytes, npt.NDArray[np.int8]]:
    """Return the planes of `TextEvidence` `(3, *SIDE)`, and 1, 0 or -1 (either) for each cell."""
    n = draw.choice((1, 1, 2, 4, 8, 12))
    frames = background(draw, noise, clips, n)
    for _ in range(draw.choice((0, 1, 2, 4))):
        frames = decoy(draw, frames)
    free = np.ones(SIDE, bool)
    if draw.random() < SMALL:
        free = _window(draw)
        frames = frames * free.astype(np.uint8)
    clean = frames
    ink, hull = np.zeros(SIDE, bool), np.zeros(SIDE, bool)
    for _ in range(draw.choice((1, 2, 3, 4)) if draw.random() < LIKELY else 0):
        variant = plant(frames, free, random_kind(draw), draw)
        if variant is None:
            continue
        frames, strokes = variant.frames, np.asarray(variant.ink.any(axis=0), bool)
        ink |= strokes
        hull |= _closed(strokes, max(9, 2 * (variant.size // 4) + 1))
        free &= ~np.asarray(ndimage.maximum_filter(hull, 17), bool)
    shown = compressed(frames, draw.choice(QUALITIES)) if draw.random() < 0.8 else frames
    planes = planes_of(shown)
    if not ink.any():
        return planes, np.zeros((SIDE[0] // CELL, SIDE[1] // CELL), np.int8)
    before = planes_of(clean).astype(np.int16)
    seen = ink & (np.abs(planes - before) >= CHANGED).any(axis=0)
    # Strokes that no plane shows cannot be learnt: what is near them counts as either.
    text = hull & np.asarray(ndimage.maximum_filter(seen, 9), bool)
    near = np.asarray(ndimage.maximum_filter(hull, 13), bool)
    blocks = (SIDE[0] // CELL, CELL, SIDE[1] // CELL, CELL)
    inner, outer = text.reshape(blocks).mean(axis=(1, 3)) > 0.25, near.reshape(blocks).any(axis=(1, 3))
    return planes, np.where(inner, 1, np.where(outer, -1, 0)).astype(np.int8)


def planes_of(frames: Bytes) -> Bytes:
    """Return the planes of the frames of one crop."""
    evidence = TextEvidence(*SIDE)
    evidence.add(frames)
    return evidence.planes()


def random_kind(draw: random.Random) -> Kind:
    """Return a random size, angle, style, time of appearance, or kind of code."""
    angle = draw.choice((0, 0, 0, 90, 270, 180, draw.uniform(-60, 60), draw.uniform(-60, 60), draw.uniform(-180, 180)))
    style = draw.choice(("plain", "plain", "plain", "dark", "white", "box", "ground", "outlined"))
    when = draw.choice(("always", "always", "always", "half", "few", "blink", "ticker"))
    if draw.random() < 0.08:
        return Kind("", (2, 5), angle, style, when, draw.choice(("qr", "matrix", "bars")))
    size = round(math.exp(draw.uniform(math.log(7), math.log(110))))
    return Kind("", (size, size), angle, style, when)


def background(draw: random.Random, noise: np.random.Generator, clips: list[Bytes], n: int) -> Bytes:
    """Return uint8 `(n, *SIDE)` without text and marks."""
    source = draw.random()
    if source < 0.55:
        frames = recorded(draw, clips, n)
    elif source < 0.85:
        frames = speckle(draw, noise, n)
    else:
        frames = coarse(draw, noise, n)
    if draw.random() < 0.25:
        frames = vessels(draw, noise, frames)
    if draw.random() < 0.3:
        frames = frames * _sector(draw)
    if draw.random() < 0.1:  # areas that were blanked
        frames = frames.copy()
        for _ in range(draw.choice((1, 2, 3))):
            y, x = (4 * draw.randrange(length // 4) for length in SIDE)
            frames[:, y : y + 4 * draw.randint(2, 8), x : x + 4 * draw.randint(2, 20)] = 0
    return frames


def speckle(draw: random.Random, noise: np.random.Generator, n: int) -> Bytes:
    """Return uint8 `(n, *SIDE)`: blurred speckle under a slowly varying brightness, moving by chance, with walls."""
    still = draw.random() < 0.2
    grain = (0, draw.uniform(0.4, 2.5), draw.uniform(0.4, 4.0))
    grains = noise.gamma(draw.uniform(0.6, 3.0), 1.0, (1 if still else n, *SIDE)).astype(np.float32)
    tissue = ndimage.gaussian_filter(grains, grain, truncate=2.5)
    tissue = tissue.repeat(n, 0) if still else tissue
    slow = ndimage.gaussian_filter(noise.normal(size=(SIDE[0] // 4, SIDE[1] // 4)), draw.uniform(2, 8))
    slow = np.exp(draw.uniform(0, 1.2) * slow / (slow.std() + 1e-6)).repeat(4, 0).repeat(4, 1)
    tissue = tissue * slow / (tissue.mean() + 1e-6) * draw.uniform(4, 110)
    rows = np.arange(SIDE[0])[:, None] + draw.uniform(-0.6, 0.6) * np.arange(SIDE[1])[None]
    for _ in range(draw.randrange(3)):
        centre, thick, step = draw.uniform(0, SIDE[0]), draw.uniform(2, 14), draw.choice((0.0, 1.0, 3.0))
        for index in range(n):
            tissue[index] += draw.uniform(60, 220) * np.exp(-(((rows - centre - step * index) / thick) ** 2))
    speckled: Bytes = np.clip(tissue, 0, 255).astype(np.uint8)
    return speckled


def coarse(draw: random.Random, noise: np.random.Generator, n: int) -> Bytes:
    """Return uint8 `(n, *SIDE)`: square noise, or sparse bright dots on a plain ground."""
    side = draw.choice((1, 2, 2, 3, 4))
    shape = (n, -(-SIDE[0] // side), -(-SIDE[1] // side))
    if draw.random() < 0.6:
        form = draw.uniform(0.8, 3.0)
        small = noise.gamma(form, draw.uniform(10, 60) / form, shape)
    else:
        share, level = draw.uniform(0.0, 0.1), draw.randint(0, 120)
        small = np.where(noise.random(shape) < share, draw.randint(level, 255), level)
    noisy: Bytes = np.clip(small, 0, 255).astype(np.uint8).repeat(side, 1).repeat(side, 2)[:, : SIDE[0], : SIDE[1]]
    return noisy


def recorded(draw: random.Random, clips: list[Bytes], n: int) -> Bytes:
    """Return a crop of up to `n` consecutive frames of a simulated clip, brightened, enlarged or reduced at random."""
    clip = clips[draw.randrange(len(clips))]
    first = draw.randrange(max(1, len(clip) - n + 1))
    factor = draw.choice((0.33, 0.5, 1.0, 1.0, 1.5, 2.0, 3.0))
    tall, wide = (min(have, int(side / factor)) for have, side in zip(clip.shape[1:], SIDE, strict=True))
    y, x = draw.randrange(clip.shape[1] - tall + 1), draw.randrange(clip.shape[2] - wide + 1)
    shape, how = (SIDE[1], SIDE[0]), Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    crop = [
        np.asarray(Image.fromarray(one).resize(shape, how))
        for one in clip[first : first + n, y : y + tall, x : x + wide]
    ]
    gray: Bytes = np.clip(np.stack(crop) * draw.uniform(0.6, 2.2), 0, 255).astype(np.uint8)
    return gray


def vessels(draw: random.Random, noise: np.random.Generator, frames: Bytes) -> Bytes:
    """Add bright or dark blobs and branches with sharp edges, as of Doppler, in a part of the picture."""
    width = draw.uniform(1.5, 7)
    grain = (width, width * draw.uniform(0.4, 2.5))
    field = ndimage.gaussian_filter(noise.normal(size=SIDE).astype(np.float32), grain, truncate=2.5)
    blobs = field > field.std() * draw.uniform(0.6, 2.2)
    y, x = draw.randrange(SIDE[0] - 32), draw.randrange(SIDE[1] - 32)
    part = np.zeros(SIDE, bool)
    part[y : y + draw.randint(32, SIDE[0]), x : x + draw.randint(32, SIDE[1])] = True
    level = np.float32(draw.choice((0, 90, 140, 190, 230, 255)))
    cover = ndimage.uniform_filter((blobs & part).astype(np.float32), draw.choice((1, 1, 3)))
    strength = draw.choice((1.0, 1.0, 0.7))
    shown = np.ones(len(frames)) if draw.random() < 0.6 else noise.random(len(frames))
    out = [frame + strength * share * cover * (level - frame) for frame, share in zip(frames, shown, strict=True)]
    return np.stack(out).astype(np.uint8)


def decoy(draw: random.Random, frames: Bytes) -> Bytes:
    """Draw something that machines draw and that is not text into every frame."""
    layer = Image.new("L", (SIDE[1], SIDE[0]))
    brush, level = ImageDraw.Draw(layer), draw.choice((140, 190, 230, 255))
    x, y = draw.randrange(4, SIDE[1] - 4), draw.randrange(4, SIDE[0] - 4)
    arm, wide = draw.choice((3, 4, 6, 8, 12, 30)), draw.choice((1, 1, 1, 2, 3, 6))
    other = (draw.randrange(-20, SIDE[1] + 20), draw.randrange(-20, SIDE[0] + 20))
    shape = draw.randrange(11)
    if shape == 0:
        brush.line((x - arm, y, x + arm, y), level, wide)
        brush.line((x, y - arm, x, y + arm), level, wide)
    elif shape == 1:
        brush.line((x, y, *other), level, wide)
    elif shape in (2, 3):
        step = draw.randrange(4, 40)
        for offset in range(0, SIDE[shape == 3], step):
            corner = (x, offset) if shape == 2 else (offset, y)
            brush.rectangle((*corner, corner[0] + draw.choice((0, wide, arm)), corner[1] + wide - 1), level)
    elif shape == 4:
        brush.ellipse((x - 3 * arm, y - 2 * arm, x + 3 * arm, y + 2 * arm), outline=level, width=wide)
    elif shape == 5:
        ends = [(offset, y + 14 * draw.gauss(0, 1) * (draw.random() < 0.15)) for offset in range(0, SIDE[1], 4)]
        brush.line(ends, level, wide)
    elif shape == 6:
        brush.rectangle((x, y, x + 4 * arm, y + draw.randrange(4, 60)), level)
    elif shape == 7:
        brush.polygon(((x, y), (x + arm, y + 2 * arm), (x - arm, y + 2 * arm)), level)
    elif shape == 8:  # the box of colour Doppler
        slant = draw.randrange(-30, 30)
        width, height = draw.randrange(30, 160), draw.randrange(30, 120)
        corners = ((x, y), (x + width, y), (x + width + slant, y + height), (x + slant, y + height), (x, y))
        brush.line(corners, level, wide)
    elif shape == 9:  # a line of dots between two crosses
        for step in range(draw.randint(4, 20)):
            at_x, at_y = x + step * (other[0] - x) // 20, y + step * (other[1] - y) // 20
            brush.rectangle((at_x, at_y, at_x + wide - 1, at_y + wide - 1), level)
    else:  # a bar of gray levels
        for step in range(100):
            brush.line((x, y + step, x + 10, y + step), 255 - 2 * step)
    drawn: Bytes = np.maximum(frames, np.asarray(layer))
    return drawn


def _window(draw: random.Random) -> Mask:
    """Return a rectangle at the upper left of a crop; a picture is padded below and to the right."""
    window = np.zeros(SIDE, bool)
    window[: draw.randint(56, SIDE[0]), : draw.randint(72, SIDE[1])] = True
    return window


def _sector(draw: random.Random) -> Bytes:
    """Return 1 inside a half plane or a fan, 0 outside."""
    rows, columns = np.mgrid[: SIDE[0], : SIDE[1]]
    x, y, angle = draw.uniform(0, SIDE[1]), draw.uniform(-100, SIDE[0] / 2), draw.uniform(0.3, 1.6)
    distance = np.hypot(rows - y, columns - x)
    inside = (np.abs(np.arctan2(columns - x, rows - y)) < angle) & (distance < draw.uniform(120, 420))
    sector: Bytes = inside.astype(np.uint8)
    return sector


def _closed(strokes: Mask, side: int) -> Mask:
    """Return the strokes with what lies between them."""
    padded = np.pad(strokes, side).astype(np.uint8)
    closed = ndimage.minimum_filter(ndimage.maximum_filter(padded, side), side)
    return np.asarray(closed[side:-side, side:-side], bool)
