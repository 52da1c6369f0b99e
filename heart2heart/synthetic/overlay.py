"""What machines burn into their pictures beside the sector: names, settings, ticks, bars, and the ECG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from heart2heart.synthetic.cardiac_motion import cycle_curve
from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.scan_conversion import ScanConverter

Bytes = npt.NDArray[np.uint8]
Rgb = tuple[int, int, int]
Box = tuple[int, int, int, int]


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


class OverlayLayer:
    """A black picture to draw graphics on, laid over every frame by the brighter value.

    Args:
        rows: Rows of the picture.
        columns: Columns of the picture.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._image = Image.new("RGB", (columns, rows))
        self._draw = ImageDraw.Draw(self._image)

    @property
    def text_height(self) -> int:
        """Height of ordinary text, pixels."""
        return max(9, self.rows // 34)

    def draw_text(self, x: float, y: float, words: str, tint: Rgb, *, right: bool = False) -> None:
        """Write one line, its upper left (or right) corner at (x, y)."""
        self._draw.text((x, y), words, fill=tint, font=_font(self.text_height), anchor="ra" if right else "la")

    def draw_line(self, points: list[tuple[float, float]], tint: Rgb) -> None:
        """Draw a thin line."""
        self._draw.line(points, fill=tint, width=1)

    def fill_rectangle(self, box: Box, tint: Rgb) -> None:
        """Fill a rectangle; the last column and row are part of it."""
        self._draw.rectangle(box, fill=tint)

    def paste_bar(self, box: Box, colours: Bytes) -> None:
        """Put a vertical bar of colours, top first, uint8 `(n, 3)`, into a rectangle."""
        strip = Image.fromarray(colours[:, None, :]).resize((box[2] - box[0], box[3] - box[1]))
        self._image.paste(strip, box[:2])

    def composite(self, frames: Bytes) -> Bytes:
        """Lay the graphics over frames.

        Args:
            frames: uint8 `(n, rows, columns)` or `(n, rows, columns, 3)`.

        Returns:
            Frames of one channel when both are gray, else RGB.
        """
        drawn = np.asarray(self._image)
        gray = bool((drawn[..., 0] == drawn[..., 1]).all() and (drawn[..., 0] == drawn[..., 2]).all())
        if frames.ndim == 3 and not gray:
            rgb = np.empty((*frames.shape, 3), dtype=np.uint8)
            for channel in range(3):  # several times as fast as repeating the gray value first
                np.maximum(frames, drawn[..., channel], out=rgb[..., channel])
            return rgb
        covered: Bytes = np.maximum(frames, drawn[..., 0] if frames.ndim == 3 else drawn)
        return covered


def draw_depth_ticks(
    layer: OverlayLayer, side: str, sector: ScanConverter, machine: MachineConfig, depth_cm: float, tint: Rgb
) -> None:
    """Draw a tick each centimetre, a longer one each five, to the right of the sector or along its edge."""
    per_cm = sector.length / depth_cm
    half = np.deg2rad(machine.sector_degrees) / 2
    for centimetre in range(int(depth_cm) + 1):
        long = centimetre % 5 == 0
        if side == "right":
            x, y = min(sector.box[2] + 6, machine.columns - 26), sector.apex[1] + centimetre * per_cm
            layer.draw_line([(x - (5 if long else 2), y), (x, y)], tint)
        else:
            radius = sector.length * machine.face + centimetre * per_cm
            x = sector.apex[0] + radius * np.sin(half) + 3
            y = sector.apex[1] + radius * np.cos(half) - sector.length * machine.face
            layer.fill_rectangle(
                (round(x), round(y), round(x) + (2 if long else 1), round(y) + (2 if long else 1)), tint
            )


def draw_scan_line(layer: OverlayLayer, sector: ScanConverter, machine: MachineConfig, angle: float, tint: Rgb) -> None:
    """Draw a line from the face down the whole sector at `angle` radians: the M-line or a Doppler beam."""
    start, end = sector.length * machine.face, sector.length * (1 + machine.face)
    centre = sector.apex[1] - start
    layer.draw_line([(sector.apex[0] + r * np.sin(angle), centre + r * np.cos(angle)) for r in (start, end)], tint)


def draw_colour_box(
    layer: OverlayLayer,
    sector: ScanConverter,
    machine: MachineConfig,
    beams: tuple[float, float],
    samples: tuple[float, float],
    tint: Rgb,
) -> None:
    """Outline a part of the sector given as fractions of its beams and samples."""
    half = np.deg2rad(machine.sector_degrees) / 2
    left, right = (-half + 2 * half * fraction for fraction in beams)
    near, far = (sector.length * (machine.face + fraction) for fraction in samples)
    centre = sector.apex[1] - sector.length * machine.face
    arc = np.linspace(left, right, 24)
    ring = [(a, near) for a in arc] + [(a, far) for a in arc[::-1]] + [(arc[0], near)]
    layer.draw_line([(float(sector.apex[0] + r * np.sin(a)), float(centre + r * np.cos(a))) for a, r in ring], tint)


@dataclass(frozen=True)
class EcgTrace:
    """An ECG over the time of a clip; the cursor marks the frame.

    Attributes:
        box: x0, y0, x1, y1 (last column and row) of the strip.
        seconds: Time that the strip shows.
    """

    box: Box
    seconds: float

    def draw(self, layer: OverlayLayer, heart_rate: float, start: float, tint: Rgb) -> None:
        """Draw the trace whose first column has the phase `start`."""
        x = np.arange(self.box[0], self.box[2] + 1)
        time = (x - self.box[0]) / (self.box[2] - self.box[0]) * self.seconds
        trace = cycle_curve("ecg", start + time * heart_rate / 60.0)
        tall = self.box[3] - self.box[1]
        y = self.box[3] - (trace + 0.25) / 1.3 * tall
        layer.draw_line([(float(a), float(b)) for a, b in zip(x, y, strict=True)], tint)

    def draw_cursor(self, frames: Bytes, times: npt.NDArray[np.float64]) -> None:
        """Put the cursor of each frame, `times` seconds after the first, into `frames`."""
        width = self.box[2] - self.box[0]
        for frame, time in zip(frames, times, strict=True):
            x = self.box[0] + int(min(time / self.seconds, 1.0) * (width - 2))
            frame[self.box[1] : self.box[3], x : x + 2] = 200
