"""Copies that the certificate plants itself, to measure which of them its search finds."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Picture = npt.NDArray[np.uint8]

_FILE_SIDE = 224  # pixels a side at which copies are compressed, at least


def transformed(
    frame: Picture, *, scale: tuple[float, float] = (1.0, 1.0), degrees: float = 0.0, shift: float = 0.0
) -> Picture:
    """Return a frame scaled (down, along), turned about its middle and shifted right and down; zeros outside.

    Args:
        frame: uint8 `(N, N)`.
        scale: Above 1 enlarges.
        degrees: Angle.
        shift: Share of the side.
    """
    side = len(frame)
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / np.array(scale)[:, None]
    middle = np.full(2, (side - 1) / 2)
    offset = middle - matrix @ (middle + shift * side)
    return _gray(ndimage.affine_transform(frame.astype(np.float32), matrix, offset=offset, order=1))


def _gray(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _compressed(frame: Picture, *qualities: int) -> Picture:
    """Compress a frame once a quality, at the size that files have, each time at three quarters of the size before.

    At the stored size, which is smaller, compression would remove more.
    """
    side = len(frame)
    large = max(side, _FILE_SIDE)
    picture = Image.fromarray(frame).resize((large, large), Image.Resampling.BILINEAR)
    for quality in qualities:
        buffer = io.BytesIO()
        picture.resize((large, large), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=quality)
        picture = Image.open(buffer)
        large = large * 3 // 4
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def _overlaid(frame: Picture) -> Picture:
    side, copy = len(frame), frame.copy()
    copy[: side // 6, : side // 3] = 0
    copy[side // 24 : side // 8 : 3, 2 : side // 3 - 2] = 230
    copy[-(side // 6) :, -(side // 4) :] = 200
    return copy


def _depth_gain(frame: Picture) -> Picture:
    return _gray(frame * np.linspace(0.6, 1.4, len(frame))[:, None])


COPY_KINDS: dict[str, Callable[[Picture], Picture]] = {
    "flip": lambda frame: frame[:, ::-1].copy(),
    "crop 2 %": lambda frame: transformed(frame, scale=(1 / 0.96, 1 / 0.96)),
    "crop 5 %": lambda frame: transformed(frame, scale=(1 / 0.9, 1 / 0.9)),
    "padding 3 %": lambda frame: transformed(frame, scale=(1 / 1.06, 1 / 1.06)),
    "padding 10 %": lambda frame: transformed(frame, scale=(1 / 1.2, 1 / 1.2)),
    "shift": lambda frame: transformed(frame, shift=4 / 112),
    "turn 2 degrees": lambda frame: transformed(frame, degrees=2),
    "turn 8 degrees": lambda frame: transformed(frame, degrees=8),
    "overlay": _overlaid,
    "aspect 10 %": lambda frame: transformed(frame, scale=(1.0, 0.9)),
    "JPEG in padding": lambda frame: _compressed(transformed(frame, scale=(0.9, 0.9)), 25),
    "depth gain": _depth_gain,
    "re-encoded": lambda frame: _compressed(frame, 30, 40),
}
"""Kinds of copies. Crop and padding are shares of the side, cut or added at each edge; shift is 4 of 112 pixels."""
