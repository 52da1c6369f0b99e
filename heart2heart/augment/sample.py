"""Draws the parameters of a policy, apart from their use: they can be recorded, replayed and compared."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

from heart2heart.augment.policy import NAMES, Operation, Policy


@dataclass(frozen=True)
class Parameters:
    """What was drawn for `n` frames.

    Attributes:
        flip: bool `(n,)`.
        shift: float32 `(n, 2)`, crop offset x, y from the middle of the padded frame, whole pixels.
        operations: int64 `(n, draws)`, places in `policy.NAMES`; an operation that is not applied is `identity`.
        values: float32 `(n, draws)`, in the units of `policy.Operation`.
        cutout: float32 `(n, 2)`, where the square starts x, y, pixels; it ends at the frame's border at the latest.
    """

    flip: Tensor
    shift: Tensor
    operations: Tensor
    values: Tensor
    cutout: Tensor

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.flip)

    def take(self, index: slice) -> Parameters:
        """Return the parameters of some of the frames."""
        return Parameters(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def to(self, device: torch.device | str) -> Parameters:
        """Return the same parameters on another device."""
        return Parameters(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def sample(policy: Policy, n: int, size: int, generator: torch.Generator) -> Parameters:
    """Draw the parameters of `n` frames of `size` x `size` pixels, on the generator's device.

    Args:
        policy: What to draw from.
        n: Number of frames.
        size: Side of the frames, pixels.
        generator: The only source of chance.
    """
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator, device=device)

    pad = round(policy.crop * size)
    flip = uniform(n) < policy.flip
    shift = integers(-pad, pad + 1, n, 2).float()
    drawn = _ranges(policy.operations, device)[integers(0, len(policy.operations), n, policy.draws)]
    strength = integers(1, policy.magnitude, n, policy.draws) / 10
    sign = torch.where((uniform(n, policy.draws) < 0.5) & (drawn[..., 3] > 0), -1.0, 1.0)
    applied = uniform(n, policy.draws) < policy.probability
    operations = torch.where(applied, drawn[..., 0].long(), NAMES.index("identity"))
    values = sign * (drawn[..., 1] + strength * (drawn[..., 2] - drawn[..., 1]))
    # The centre is uniform over the frame. As in the authors' code a square that would begin outside is moved in.
    side = cutout_side(policy, size)
    cutout = (integers(0, size, n, 2).float() - side // 2).clamp_min(0)
    return Parameters(flip, shift, operations, values, cutout)


@lru_cache
def _ranges(operations: tuple[Operation, ...], device: torch.device) -> Tensor:
    """Return number, low, high and sign of each operation; kept, since sending it makes the host wait."""
    return torch.tensor([[NAMES.index(op.name), op.low, op.high, op.signed] for op in operations], device=device)


def cutout_side(policy: Policy, size: int) -> int:
    """Return the side of the cut-out square in pixels."""
    return round(policy.cutout * size)
