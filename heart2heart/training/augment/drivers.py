"""Draw, then apply by one of the two drivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from heart2heart.training.augment.batched import apply_batched, normalise
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.augment.per_sample import apply_per_sample
from heart2heart.training.augment.policy import AugmentationParameters, Policy, draw_parameters

DRIVERS: Mapping[str, Callable[[Policy, Tensor, AugmentationParameters], Tensor]] = {
    "batched": apply_batched,
    "albumentations": apply_per_sample,
}
"""Each maps policy, uint8 `(n, size, size)` and parameters to float32 grey levels of the same shape."""


@torch.no_grad()
def augment(
    policy: Policy,
    pixels: Tensor,
    generator: torch.Generator,
    *,
    driver: str = "batched",
    total: int | None = None,
    rows: slice = slice(None),
    extra: ExtraPipeline | None = None,
) -> Tensor:
    """Augment a batch into what networks take.

    Args:
        policy: What to draw from.
        pixels: uint8 `(n, size, size)`.
        generator: The only source of chance, on the device of `pixels`.
        driver: A name of `DRIVERS`.
        total: Frames of the whole batch where `pixels` are a part of it: what is drawn for a frame does not depend on
            the part that it is in.
        rows: Which of them `pixels` are.
        extra: A pipeline that is applied to the frames first, on the CPU.

    Returns:
        float32 `(n, 1, size, size)`, from -1 to 1.
    """
    whole = draw_parameters(policy, len(pixels) if total is None else total, pixels.shape[-1], generator)
    parameters = whole.take(rows)
    if extra is not None:
        seeds = torch.randint(2**62, (len(whole),), generator=generator, device=generator.device)
        pixels = extra(pixels, seeds[rows])
    return normalise(DRIVERS[driver](policy, pixels, parameters))[:, None]
