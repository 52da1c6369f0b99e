"""The random parameters of the acoustic policy: one row of numbers a frame, 0 where nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from heart2heart.training.augment.acoustic import ACOUSTIC_OPERATIONS, KNOTS, AcousticPolicy


@dataclass(frozen=True)
class Column:
    """One number that is drawn for each frame, evenly from `low` to `high`.

    Attributes:
        low: Lower end, in units of `scale`.
        high: Upper end, in units of `scale`.
        operation: The operation that it belongs to, whose probability decides whether it is 0; empty: always drawn.
        scale: The range of the policy that it is a multiple of; empty: none.
    """

    low: float
    high: float
    operation: str = ""
    scale: str = ""


def _amount(name: str, low: float = -1.0, high: float = 1.0) -> Column:
    return Column(low, high, operation=name, scale=name)


COLUMNS: Mapping[str, Column] = {
    **{name: _amount(name) for name in ("depth", "aspect", "rotation", "sector_angle")},
    **{f"shift_{axis}": _amount("shift") for axis in "xy"},
    "blur": _amount("blur", 0.0),
    "blur_axial": Column(0.0, 1.0, operation="blur", scale="blur_axial"),
    "sharpness": _amount("sharpness"),
    "speckle": _amount("speckle", 0.0),
    "attenuation": _amount("attenuation", 0.0),
    **{f"time_gain_{knot}": _amount("time_gain") for knot in range(KNOTS)},
    "shadow": _amount("shadow", 0.25),
    "shadow_slope": Column(-0.8, 0.8),
    "shadow_width": Column(0.03, 0.15),
    "shadow_depth": Column(0.0, 0.4),
    "haze": _amount("haze", 0.0),
    "haze_depth": Column(0.0, 0.4),
    "haze_width": Column(0.05, 0.25),
    **{name: _amount(name) for name in ("gain", "dynamic_range", "gamma", "brightness", "contrast")},
    "black_level": _amount("black_level", 0.0),
    "background": _amount("background", 0.1),
    "overlay": _amount("overlay", 0.4),
    "apex": Column(0.0, 0.5),
    **{name: Column(0.0, 1.0) for name in ("grain", "grain_x", "grain_y", "sheet", "sheet_x", "sheet_y")},
}
"""Every number of a frame by name.

Units are those of the policy, and natural logarithms for its factors. `shadow_slope` and `shadow_width` are tangents of
the scan line's angle; `shadow_depth`, `haze_depth` and `haze_width` shares of the side, from the probe. `apex` is the
height of the point where the scan lines meet above the upper edge, share of the side: curved and straight probes have
one far above. `grain` and `sheet` choose textures and where they begin, shares of their number and side.
"""


@dataclass(frozen=True)
class AcousticParameters:
    """What the acoustic policy drew for `n` frames.

    Attributes:
        values: float32 `(n, columns)`, in the order of `COLUMNS`.
    """

    values: Tensor

    def __getitem__(self, name: str) -> Tensor:
        """Return one column, float32 `(n,)`."""
        return self.values[:, _POSITIONS[name]]

    def factor(self, name: str) -> Tensor:
        """Return the factor of a column that holds its logarithm, float32 `(n,)`, rounded alike by every processor."""
        return self[name].double().exp().float()

    def knots(self) -> Tensor:
        """Return the knots of the time-gain curve, dB, float32 `(n, KNOTS)`."""
        first = _POSITIONS["time_gain_0"]
        return self.values[:, first : first + KNOTS]

    def take(self, index: slice) -> AcousticParameters:
        """Return the parameters of some of the frames."""
        return AcousticParameters(self.values[index])

    def to(self, device: torch.device | str) -> AcousticParameters:
        """Return the same parameters on another device."""
        return AcousticParameters(self.values.to(device))


_POSITIONS = {name: position for position, name in enumerate(COLUMNS)}


def draw_acoustic(policy: AcousticPolicy, n: int, generator: torch.Generator) -> AcousticParameters:
    """Draw the acoustic parameters of `n` frames, on the generator's device.

    Args:
        policy: What to draw from.
        n: Number of frames.
        generator: The only source of chance.
    """
    device = generator.device
    low, span, operation, probability = _table(policy.model_dump_json(), device)
    uniform = torch.rand(n, len(COLUMNS), generator=generator, device=device)
    applied = torch.rand(n, len(probability), generator=generator, device=device) < probability
    return AcousticParameters((low + uniform * span) * applied[:, operation])


def fixed_parameters(values: Mapping[str, Tensor], n: int) -> AcousticParameters:
    """Return parameters that are 0 but for the named columns, each `(n,)`."""
    columns = [values[name].float() if name in values else torch.zeros(n) for name in COLUMNS]
    return AcousticParameters(torch.stack(columns, 1))


@lru_cache
def _table(policy: str, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return lower end, span and operation of each column and the operations' probabilities; the last is always 1.

    The tensors are kept, since sending them makes the host wait.
    """
    settings = AcousticPolicy.model_validate_json(policy)
    scales = [settings.amount(column.scale) if column.scale else 1.0 for column in COLUMNS.values()]
    ranges = [
        (scale * column.low, scale * (column.high - column.low))
        for scale, column in zip(scales, COLUMNS.values(), strict=True)
    ]
    names = (*ACOUSTIC_OPERATIONS, "")
    operation = [names.index(column.operation) for column in COLUMNS.values()]
    chances = [settings.probabilities[name] for name in ACOUSTIC_OPERATIONS]
    low, span = torch.tensor(ranges, device=device).T
    return low, span, torch.tensor(operation, device=device), torch.tensor([*chances, 2.0], device=device)
