"""Operations on grey levels, fused: they act on a curve of 256 entries a frame, and the frame is read through it once.

Each operation may need the frame's statistics (mean, extremes, histogram). They follow from the one histogram of the
incoming frame and the curve so far, so the pixels are touched twice whatever the number of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from heart2heart.augment.policy import NAMES


def histogram(levels: Tensor) -> Tensor:
    """Count grey levels: int64 `(n, pixels)` in 0..255 to float32 `(n, 256)`."""
    counts = torch.zeros(len(levels), 256, device=levels.device)
    return counts.scatter_add_(1, levels, torch.ones((), device=levels.device).expand_as(levels))


def curves(counts: Tensor, operations: Tensor, values: Tensor) -> Tensor:
    """Compose the drawn tone operations.

    Args:
        counts: float32 `(n, 256)`, the histogram of each frame.
        operations: int64 `(n, draws)`, places in `policy.NAMES`; others than tone operations change nothing.
        values: float32 `(n, draws)`.

    Returns:
        float32 `(n, 256)`: the new grey level, a whole number in 0..255, of each old one.
    """
    curve = torch.arange(256.0, device=counts.device).expand_as(counts)
    for slot in range(operations.shape[1]):
        operation, value = operations[:, slot, None], values[:, slot, None]
        changed = curve
        for name, apply in TONE_OPERATIONS.items():
            changed = torch.where(operation == NAMES.index(name), apply(curve, counts, value), changed)
        curve = changed.round().clamp(0, 255)
    return curve


def _autocontrast(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    low = curve.masked_fill(counts == 0, 256).amin(1, keepdim=True)
    high = curve.masked_fill(counts == 0, -1).amax(1, keepdim=True)
    return torch.where(high > low, (curve - low) * 255 / (high - low), curve)


def _brightness(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    return curve * value


def _contrast(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    mean = (counts * curve).sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    return mean + value * (curve - mean)


def _equalize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    level = curve.long()
    now = torch.zeros_like(counts).scatter_add_(1, level, counts)
    below = now.cumsum(1)
    first = below.masked_fill(now == 0, float("inf")).amin(1, keepdim=True)
    rest = counts.sum(1, keepdim=True) - first
    return torch.where(rest > 0, ((below - first) * 255 / rest).clamp_min(0).gather(1, level), curve)


def _posterize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    step = torch.exp2(8 - value.floor())
    return (curve / step).floor() * step


def _solarize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    return torch.where(curve >= value * 255, 255 - curve, curve)


TONE_OPERATIONS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "autocontrast": _autocontrast,
    "brightness": _brightness,
    "contrast": _contrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
}
