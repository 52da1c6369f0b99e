"""Invented names, numbers and dates, written into frames in the many ways in which machines write.

Every choice is drawn: words, font, size of 8 to 24 px, colour, place, smooth or hard edges, plain, outlined, with a
shadow, on a dark ground or dark on a light box, opaque or not, and the quality of the JPEG that follows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

Bytes = npt.NDArray[np.uint8]
SIZES = (8, 24)
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "STIXGeneralBol", "cmss10",
    "cmtt10", "",
)  # fmt: skip
STYLES = ("plain", "plain", "outlined", "shadow", "ground", "box")
# White, light gray, gray, yellow, green, cyan, orange, as gray levels (ITU-R BT.601).
INKS = (255, 215, 175, 226, 150, 179, 174)
QUALITIES = (95, 85, 75, 60)
LEGIBLE = 40  # gray levels by which ink and its surroundings must differ, or nobody could read it
_SYLLABLES = ("ka", "mor", "eli", "tan", "vos", "ber", "din", "ula", "ser", "pov", "gri", "hal", "ney", "zor", "wim")


@dataclass(frozen=True)
class PlantedText:
    """Frames with a line of text in them.

    Attributes:
        frames: uint8 `(n, height, width)`.
        ink: bool `(height, width)`: the strokes of the letters.
        size: Of the font, pixels.
        style: One of `STYLES`.
    """

    frames: Bytes
    ink: npt.NDArray[np.bool_]
    size: int
    style: str


def random_text(draw: random.Random) -> str:
    """Return a name as `FAMILY^GIVEN` or in another common order, or a number, or a name with a date."""
    names = ["".join(draw.choices(_SYLLABLES, k=draw.choice((2, 3)))) for _ in range(2)]
    change = draw.choice((str.upper, str.upper, str.capitalize))
    names = [change(name) for name in names]
    number = str(draw.randrange(10**6, 10**8))
    day = f"{draw.randrange(1, 29):02d}{{0}}{draw.randrange(1, 13):02d}{{0}}{draw.randrange(1930, 2011)}"
    forms = [sign.join(names) for sign in ("^", ", ", " ")]
    forms += [names[0], f"ID {number}", number, f"{number[:3]}-{number[3:]}"]
    forms += [day.format(draw.choice("./-")), f"{names[0]} {day.format('.')}"]
    return draw.choice(forms)


@cache
def load_font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return one of `FONTS`; the empty name is Pillow's own."""
    if not name:
        return ImageFont.load_default(size=size)
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


def plant_text(pictures: Bytes, inside: npt.NDArray[np.bool_], draw: random.Random, *, size: int) -> PlantedText | None:
    """Write one line at one random place into every frame; None when there is no place where it could be read.

    Args:
        pictures: uint8 `(n, height, width)`.
        inside: bool `(height, width)`: where the line must lie whole.
        draw: Source of every choice.
        size: Of the font, pixels.
    """
    text, style, ink = random_text(draw), draw.choice(STYLES), draw.choice(INKS)
    font, smooth, alpha = load_font(draw.choice(FONTS), size), draw.random() < 0.7, draw.choice((1.0, 1.0, 1.0, 0.8))
    height, width = inside.shape
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    wide, tall, pad = right - left, bottom - top, 2
    for _ in range(200 if height > tall + 2 * pad and width > wide + 2 * pad else 0):
        x, y = draw.randrange(pad, width - wide - pad), draw.randrange(pad, height - tall - pad)
        near = np.s_[y - pad : y + tall + pad, x - pad : x + wide + pad]
        if not inside[near].all():
            continue
        layer = Image.new("L", (width, height))
        brush = ImageDraw.Draw(layer)
        brush.fontmode = "L" if smooth else "1"
        brush.text((x - left, y - top), text, fill=255, font=font)
        cover = np.asarray(layer, np.float32) / 255
        strokes = cover > 0.5
        around = pictures.mean(axis=0)[near][~strokes[near]].mean()
        level, under = float(ink), None
        if style == "outlined":
            under = (_grown(strokes, 1), 0.0)
        elif style == "shadow":
            under = (np.roll(strokes, (1, 1), (0, 1)), 0.0)
        elif style == "ground":
            under, around = (_box(strokes, near), 25.0), 25.0
        elif style == "box":
            under, level, around = (_box(strokes, near), float(ink)), 15.0, float(ink)
        if not strokes.any() or (style != "outlined" and alpha * abs(level - around) < LEGIBLE):
            continue
        base = pictures.astype(np.float32)
        if under is not None:
            base = np.where(under[0], np.float32(under[1]), base)
        written = base + alpha * cover * (level - base)
        return PlantedText(written.round().astype(np.uint8), strokes, size, style)
    return None


def _grown(strokes: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    from scipy import ndimage

    grown: npt.NDArray[np.bool_] = ndimage.binary_dilation(strokes, np.ones((2 * by + 1, 2 * by + 1), bool))
    return grown


def _box(strokes: npt.NDArray[np.bool_], near: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
    box = np.zeros_like(strokes)
    box[near] = True
    return box


def compressed(frames: Bytes, quality: int) -> Bytes:
    """Return gray frames `(n, height, width)` as they come out of JPEG of `quality`."""
    coded = [
        simplejpeg.encode_jpeg(np.ascontiguousarray(frame[..., None]), quality, "GRAY", "Gray") for frame in frames
    ]
    return np.stack([simplejpeg.decode_jpeg(frame, "GRAY")[..., 0] for frame in coded])
