"""The albumentations driver: replays the same parameters frame by frame, on the CPU.

It serves as the independent reference of the batched driver, and as the way to compose a policy with anything else that
albumentations offers. Importing albumentations may look for updates on the network; that is switched off first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heart2heart.training.augment.acoustic_per_sample import AcousticSample
from heart2heart.training.augment.batched import map_pixels, operation_maps
from heart2heart.training.augment.policy import (
    GEOMETRIC_OPERATIONS,
    GREY_LEVEL_OPERATIONS,
    OPERATION_NAMES,
    AugmentationParameters,
    Policy,
    cutout_side,
)

Image = npt.NDArray[np.uint8]


def apply_per_sample(policy: Policy, pixels: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Augment a batch, one frame at a time.

    Args:
        policy: The policy that `parameters` were drawn from.
        pixels: uint8 `(n, size, size)`.
        parameters: What was drawn.

    Returns:
        float32 `(n, size, size)`, whole grey levels 0 to 255, on the device of `pixels`.
    """
    frames = pixels.cpu().numpy()
    drawn = parameters.to("cpu")
    out = np.empty(frames.shape, np.float32)
    for index, frame in enumerate(frames):
        out[index] = compose(policy, drawn, index, frames.shape[-1])(image=frame)["image"]
    return torch.from_numpy(out).to(pixels.device)


def compose(policy: Policy, parameters: AugmentationParameters, index: int, size: int) -> Any:
    """Return the transform that replays what was drawn for one frame.

    Args:
        policy: The policy that `parameters` were drawn from.
        parameters: What was drawn for a batch, on the CPU.
        index: Index of the frame in the batch.
        size: Side of the frames, pixels.

    Returns:
        An `albumentations.Compose` of uint8 `(size, size)` images; it draws nothing itself.
    """
    albumentations = load_albumentations()
    from cv2 import BORDER_REFLECT_101

    frame_parameters = parameters.take(slice(index, index + 1))
    names = [OPERATION_NAMES[number] for number in frame_parameters.operations[0].tolist()]
    values = frame_parameters.values[0].tolist()
    pad = round(policy.crop * size)
    x, y = (pad + int(offset) for offset in frame_parameters.shift[0].tolist())
    sample = None
    if frame_parameters.acoustic is not None and policy.acoustic is not None:
        sample = AcousticSample(policy.acoustic, frame_parameters.acoustic, size)
        crop = (
            float(frame_parameters.shift[0, 0]),
            float(frame_parameters.shift[0, 1]),
            bool(frame_parameters.flip[0]),
        )
        steps = [
            _step(partial(sample.warp, crop=crop, extra=operation_maps(frame_parameters, size)[0].double().numpy()))
        ]
    else:
        steps = [
            albumentations.HorizontalFlip(p=float(frame_parameters.flip[0])),
            albumentations.Pad(pad, border_mode=BORDER_REFLECT_101),
        ]
        if GEOMETRIC_OPERATIONS & set(names):
            steps.append(_step(partial(_warp, parameters=frame_parameters, size=size, x=x, y=y)))
        steps.append(albumentations.Crop(x, y, x + size, y + size))
    sharpness = [value for name, value in zip(names, values, strict=True) if name == "sharpness"]
    if sharpness:
        steps.append(_step(partial(_sharpen, factors=sharpness)))
    steps += [_step(sample.curve)] if sample else []
    steps += [_tone(name, value) for name, value in zip(names, values, strict=True) if name in GREY_LEVEL_OPERATIONS]
    steps += [_step(sample.surround)] if sample else []
    if policy.cutout:
        left, top = (int(start) for start in frame_parameters.cutout[0].tolist())
        side = cutout_side(policy, size)
        steps.append(_step(partial(_cut, left=left, top=top, side=side)))
    return albumentations.Compose(steps)


def load_albumentations() -> Any:
    """Return albumentations, which is slow to import, without its look for updates on the network."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # before the first import
    return import_module("albumentations")


def _step(function: Callable[..., Image]) -> Any:
    return load_albumentations().Lambda(image=partial(_call, function), name="heart2heart")


def _call(function: Callable[..., Image], image: Image, **_: object) -> Image:
    return function(image)


def _tone(name: str, value: float) -> Any:
    albumentations = load_albumentations()
    if name == "autocontrast":
        return albumentations.AutoContrast(method="pil", p=1)
    if name == "equalize":
        return albumentations.Equalize(p=1)
    if name == "posterize":
        bits = int(value)
        # Eight bits change nothing, and albumentations accepts at most seven.
        return albumentations.Posterize(num_bits=(bits, bits), p=1) if bits < 8 else albumentations.NoOp()
    if name == "solarize":
        return albumentations.Solarize(threshold_range=(value, value), p=1)
    factors = {"brightness": (1.0, 1.0), "contrast": (1.0, 1.0)} | {name: (value, value)}
    return albumentations.ColorJitter(**factors, saturation=(1.0, 1.0), hue=(0.0, 0.0), p=1)


def _warp(image: Image, *, parameters: AugmentationParameters, size: int, x: int, y: int) -> Image:
    """Warp the padded image about the middle of the crop that begins at `x`, `y`; outside the crop is black."""
    import cv2

    maps = operation_maps(parameters, size)
    to_centre = torch.eye(3)
    to_centre[:2, 2] = torch.tensor([x + (size - 1) / 2, y + (size - 1) / 2])
    matrix = (to_centre @ maps[0] @ torch.linalg.inv(to_centre))[:2].numpy()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    inside = (map_pixels(maps, size)[0].abs() <= size / 2).all(-1).numpy()
    warped[y : y + size, x : x + size] *= inside.astype(np.uint8)
    return np.asarray(warped, np.uint8)


def _sharpen(image: Image, *, factors: list[float]) -> Image:
    import cv2

    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    sharp = image.astype(np.float32)
    for factor in factors:
        smooth = cv2.filter2D(sharp, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        sharp = smooth + factor * (sharp - smooth)
    return np.asarray(sharp.round().clip(0, 255), np.uint8)


def _cut(image: Image, *, left: int, top: int, side: int) -> Image:
    image = image.copy()
    image[top : top + side, left : left + side] = 127
    return image
