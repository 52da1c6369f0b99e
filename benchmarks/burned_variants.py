"""Clips with invented text and codes burned in, in the many ways in which identity gets into a picture.

Written at any angle, in 8 to 120 px, gray or colour, on boxes or on tissue; still, moving, or shown in a part of the
frames; as QR, Data Matrix and bar codes; and as a block beside the scan that comes and goes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks.planted_text import FONTS, LEGIBLE, load_font, random_text

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
PAD = 3  # pixels around the ink that must be inside too
COLOURS = {
    "red": (230, 30, 30), "green": (40, 220, 60), "blue": (40, 60, 255), "yellow": (250, 240, 60),
    "cyan": (60, 230, 240), "magenta": (230, 40, 230),
}  # fmt: skip


class BurnedVariant(NamedTuple):
    """One clip with something burned in.

    Attributes:
        name: Kind of the variant.
        frames: uint8 `(n, height, width)`, or RGB `(n, height, width, 3)` where the name begins with `colour`.
        ink: bool `(n, height, width)`: strokes of the letters, or the whole code.
        text: Letters, or payload of the code.
        glyphs: uint8 `(n, height, width)`: 1 + index of the letter of each stroke, 0 elsewhere; 1 in a code.
        angle: Degrees, counterclockwise.
        size: Of the font, or side of a module of a code, pixels.
    """

    name: str
    frames: Bytes
    ink: Mask
    text: str
    glyphs: Bytes
    angle: float
    size: int


@dataclass(frozen=True)
class _Stamp:
    """Something to burn in: how much of each pixel is ink, what lies under it, and the letters.

    Attributes:
        cover: float32 `(h, w)`, 0 to 1.
        ground: float32 `(h, w)`: share of a plain ground under the ink.
        glyphs: uint8 `(h, w)`: 1 + index of the letter.
        text: Letters or payload.
    """

    cover: npt.NDArray[np.float32]
    ground: npt.NDArray[np.float32]
    glyphs: Bytes
    text: str


@dataclass(frozen=True)
class Kind:
    """One kind of variant.

    Attributes:
        name: Name of the kind.
        sizes: Least and greatest size of the font, pixels.
        angle: Degrees, counterclockwise.
        style: `plain`, `dark`, `white`, `box` (dark on light), `ground` (light on dark), `outlined`, or a colour.
        when: `always`, `half`, `few`, `blink`, or `ticker`.
        code: `qr`, `matrix`, `bars`, or nothing for letters.
    """

    name: str
    sizes: tuple[int, int] = (12, 24)
    angle: float = 0.0
    style: str = "plain"
    when: str = "always"
    code: str = ""


KINDS = (
    *(Kind(f"plain {low}-{high} px", (low, high)) for low, high in ((8, 11), (12, 16), (17, 24), (25, 40), (41, 64))),
    Kind("plain 65-90 px", (65, 90)), Kind("plain 91-120 px", (91, 120)),
    *(Kind(f"{angle} degrees {low}-{high} px", (low, high), angle) for angle in (90, 270)
      for low, high in ((9, 14), (15, 24), (25, 64))),
    Kind("180 degrees", angle=180), Kind("180 degrees 25-64 px", (25, 64), 180),
    Kind("30 degrees", (10, 24), 30), Kind("-30 degrees", (10, 24), -30), Kind("30 degrees 25-64 px", (25, 64), 30),
    Kind("dark on tissue", (12, 32), style="dark"), Kind("white", (10, 32), style="white"),
    Kind("dark on a light box", (10, 48), style="box"), Kind("light on a dark box", (10, 48), style="ground"),
    Kind("outlined", (12, 48), style="outlined"),
    *(Kind(f"colour {colour}", (11, 32), style=colour) for colour in COLOURS),
    Kind("ticker", (12, 24), when="ticker"), Kind("ticker 25-64 px", (25, 64), when="ticker"),
    Kind("first half of the frames", (10, 32), when="half"), Kind("three frames", (12, 32), when="few"),
    Kind("blinking", (12, 32), when="blink"), Kind("vertical in half of the frames", (12, 24), 90, when="half"),
    Kind("QR code", (2, 6), code="qr"), Kind("Data Matrix", (3, 6), code="matrix"),
    Kind("bar code", (2, 3), code="bars"),
)  # fmt: skip
"""Kinds of text inside the scan."""


def burned_variants(frames: Bytes, inside: Mask, seed: int, kinds: tuple[Kind, ...] = KINDS) -> Iterator[BurnedVariant]:
    """Yield one variant of each kind that fits into the scan.

    Args:
        frames: uint8 `(n, height, width)`.
        inside: bool `(height, width)`: where the ink must lie.
        seed: Of every choice.
        kinds: Kinds to make.
    """
    for index, kind in enumerate(kinds):
        variant = plant(frames, inside, kind, random.Random(f"{seed} {index}"))
        if variant is not None:
            yield variant


def plant(frames: Bytes, inside: Mask, kind: Kind, draw: random.Random) -> BurnedVariant | None:
    """Burn one text or code into a clip; None where it does not fit or could not be read."""
    size = draw.randint(*kind.sizes)
    for _ in range(40):
        stamp = _code(kind.code, size, draw) if kind.code else _letters(kind, size, draw)
        tall, wide = stamp.cover.shape
        corners = _corners(frames, inside, stamp, kind, draw)
        if corners is None:
            continue
        y, x = corners[0]
        around = float(frames.mean(axis=0)[y : y + tall, x : x + wide].mean())
        levels = _levels(kind, around, draw)
        if levels is not None:
            return _burned(frames, stamp, kind, size, corners, levels)
    return None


def _burned(
    frames: Bytes,
    stamp: _Stamp,
    kind: Kind,
    size: int,
    corners: list[tuple[int, int]],
    levels: tuple[tuple[int, ...], float],
) -> BurnedVariant:
    ink_level, ground_level = levels
    coloured = len(ink_level) == 3
    written = np.repeat(frames[..., None], len(ink_level), axis=3)
    glyphs = np.zeros(frames.shape, np.uint8)
    tall, wide = stamp.cover.shape
    shown = shown_frames(len(frames), kind.when)
    for shown_frame in np.flatnonzero(shown):
        y, x = corners[shown_frame if len(corners) > 1 else 0]
        part = np.s_[shown_frame, y : y + tall, x : x + wide]
        base = written[part].astype(np.float32)
        base += stamp.ground[..., None] * (ground_level - base)
        base += stamp.cover[..., None] * (np.array(ink_level, np.float32) - base)
        written[part] = base.round()
        glyphs[part] = stamp.glyphs
    result = written if coloured else written[..., 0]
    return BurnedVariant(kind.name, result, glyphs > 0, stamp.text, glyphs, kind.angle, size)


def shown_frames(n: int, when: str) -> Mask:
    """Return the frames in which the text is shown, bool `(n,)`."""
    numbers = np.arange(n)
    return {
        "half": numbers < max(1, n // 2),
        "few": (numbers >= n // 3) & (numbers < n // 3 + 3),
        "blink": numbers % 4 < 2,
    }.get(when, np.ones(n, bool))


def _corners(
    frames: Bytes, inside: Mask, stamp: _Stamp, kind: Kind, draw: random.Random
) -> list[tuple[int, int]] | None:
    """Return the upper left corner of the stamp, one or one a frame; None where it does not fit."""
    tall, wide = stamp.cover.shape
    if tall > inside.shape[0] or wide > inside.shape[1]:
        return None
    fits = _positions(inside, tall, wide)
    if not len(fits):
        return None
    y, x = (int(side) for side in fits[draw.randrange(len(fits))])
    if kind.when != "ticker" or len(frames) == 1:
        return [(y, x)]
    row = np.flatnonzero(_row_positions(fits, y))
    first, last = int(fits[row[0]][1]), int(fits[row[-1]][1])
    if last - first < 2 * len(frames) // 3:
        return None
    step, start = min(draw.randint(2, 9), max(1, (last - first) // len(frames))), draw.randint(first, last)
    return [(y, first + (start - first + step * frame) % (last - first)) for frame in range(len(frames))]


def _positions(inside: Mask, tall: int, wide: int) -> npt.NDArray[np.int64]:
    """Return the corners `(k, 2)` at which a rectangle lies inside."""
    sums = np.pad(inside.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    area = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    return np.argwhere(area == tall * wide)


def _row_positions(fits: npt.NDArray[np.int64], y: int) -> Mask:
    in_row: Mask = fits[:, 0] == y
    return in_row


def _levels(kind: Kind, around: float, draw: random.Random) -> tuple[tuple[int, ...], float] | None:
    """Return the levels of the ink and of the ground; None where the ink could not be read."""
    if kind.style in COLOURS:
        colour = COLOURS[kind.style]
        return (colour, 0.0) if max(abs(level - around) for level in colour) >= 2 * LEGIBLE else None
    if kind.code or kind.style == "box":
        return (draw.choice((0, 10, 25)),), float(draw.choice((255, 230, 200)))
    if kind.style == "ground":
        return (draw.choice((255, 215, 175)),), float(draw.choice((0, 25)))
    if kind.style == "outlined":
        return (255,), 0.0
    level = {"dark": draw.randint(0, 20), "white": 255}.get(kind.style, draw.randint(60, 255))
    return ((level,), 0.0) if abs(level - around) >= LEGIBLE else None


def _letters(kind: Kind, size: int, draw: random.Random) -> _Stamp:
    """Draw letters; long lines get shorter where the size is great."""
    text = random_text(draw)
    text = text[: max(2, min(len(text), round(draw.uniform(150, 330) / size)))].strip(" ,^.-/") if size > 24 else text
    font, smooth = load_font(draw.choice(FONTS), size), draw.random() < 0.7
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    shape = (bottom - top + 2 * PAD, right - left + 2 * PAD)
    cover, glyphs = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for index, letter in enumerate(text):
        layer = Image.new("L", shape[::-1])
        brush = ImageDraw.Draw(layer)
        brush.fontmode = "L" if smooth else "1"
        brush.text((PAD - left + font.getlength(text[:index]), PAD - top), letter, fill=255, font=font)
        one = np.asarray(layer, np.float32) / 255
        glyphs[(one > 0.5) & (one >= cover)] = index + 1
        cover = np.maximum(cover, one)
    ground = np.ones(shape, np.float32) if kind.style in ("box", "ground") else np.zeros(shape, np.float32)
    if kind.style == "outlined":
        ground = ndimage.grey_dilation(cover, size=(3, 3))
    if kind.angle % 360:
        smoothly = Image.Resampling.BILINEAR
        cover, ground = (
            np.asarray(Image.fromarray(part).rotate(kind.angle, smoothly, expand=True), np.float32)
            for part in (cover, ground)
        )
        glyphs = np.asarray(Image.fromarray(glyphs).rotate(kind.angle, expand=True), np.uint8)
    return _Stamp(cover, ground, glyphs, text)


def _code(code: str, module: int, draw: random.Random) -> _Stamp:
    payload = random_text(draw)
    modules = _CODES[code](payload, draw)
    across = modules.repeat(module, axis=1)
    dark = across.repeat(draw.randint(24, 60), axis=0) if code == "bars" else across.repeat(module, axis=0)
    cover = dark.astype(np.float32)
    return _Stamp(cover, np.ones_like(cover), np.ones(cover.shape, np.uint8), payload)


def _qr(payload: str, draw: random.Random) -> Mask:
    import cv2

    drawn = np.asarray(cv2.QRCodeEncoder.create().encode(payload))
    return np.pad(drawn < 128, 0 if drawn[0, 0] > 128 else 2)


def _matrix(payload: str, draw: random.Random) -> Mask:
    """Return a symbol with the finder of a Data Matrix (ISO/IEC 16022) and random modules."""
    side = draw.choice((12, 16, 20, 24))
    modules = np.array([[draw.random() < 0.5 for _ in range(side)] for _ in range(side)])
    modules[0], modules[:, -1] = np.arange(side) % 2 == 0, np.arange(side) % 2 == 1
    modules[-1] = modules[:, 0] = True
    return np.pad(modules, 1)


def _bars(payload: str, draw: random.Random) -> Mask:
    """Return a row of bars of one to four modules, as in EAN and Code 128."""
    widths = [draw.randint(1, 4) for _ in range(2 * draw.randint(16, 28) + 1)]
    bars = np.concatenate([np.full(width, index % 2 == 0) for index, width in enumerate(widths)])
    return np.pad(bars, 4)[None]


_CODES: dict[str, Callable[[str, random.Random], Mask]] = {"qr": _qr, "matrix": _matrix, "bars": _bars}
