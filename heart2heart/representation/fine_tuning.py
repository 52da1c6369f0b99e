"""Fine-tuning of encoder and a new head on a few labeled clips: what few-shot classification is compared with."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.config import Config
from heart2heart.errors import DivergedError
from heart2heart.representation.few_shot import class_means
from heart2heart.representation.loaded_encoder import LoadedEncoder
from heart2heart.store.frame_store import Frames
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.policy import LABELED, Policy
from heart2heart.training.data import FrameSampler
from heart2heart.training.loader import seeded_generator
from heart2heart.training.optimiser import OptimiserConfig, build_optimiser
from heart2heart.training.validation import INFERENCE_BATCH

Ints = npt.NDArray[np.int64]


class FineTuneSettings(Config):
    """How an encoder with a new head is trained on a few labels."""

    steps: int = Field(200, ge=1, le=100_000)
    """Steps."""
    batch: int = Field(16, ge=2, le=4096)
    """Frames a step; they repeat where there are fewer."""
    optimiser: OptimiserConfig = OptimiserConfig(name="adam", lr=1e-3, weight_decay=0.0)
    """The optimiser, at a constant learning rate."""
    view: Policy = LABELED
    """Augmentation of the labeled frames."""
    frozen: bool = False
    """Train the head alone."""


def fine_tune(
    encoder: LoadedEncoder,
    frames: Frames,
    rows: Ints,
    targets: Ints,
    classes: int,
    settings: FineTuneSettings,
    seed: int,
) -> nn.Module:
    """Return a copy of an encoder with a new linear head, trained on labeled frames.

    The head begins as the nearest class mean (Qi et al., "Low-Shot Learning with Imprinted Weights", 2018). The batch
    normalisation keeps the statistics of the encoder: a few frames have none of their own.

    Args:
        encoder: The encoder, which stays as it is.
        frames: The stores.
        rows: int64 `(n,)`, rows of the labeled frames.
        targets: int64 `(n,)`, their classes.
        classes: Number of classes.
        settings: How it is trained.
        seed: Seed of order and augmentation.

    Returns:
        From float frames `(n, 1, size, size)` to logits `(n, classes)`, in evaluation mode.

    Raises:
        DivergedError: the loss became non-finite.
    """
    device, cpu = encoder.device, torch.device("cpu")
    head = _nearest_mean_head(encoder.embed(frames.read(rows)), targets, classes)
    body = deepcopy(encoder.encoder)
    model = nn.Sequential(body, head).to(device).eval()
    trained = {id(each) for each in head.parameters()}
    if not settings.frozen:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        trained |= {id(each) for each in body.trained_parameters(encoder.geometry.size)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    optimiser = build_optimiser(model, settings.optimiser)
    sampler = FrameSampler(len(rows), seeded_generator(seed, "fine-tuning order", cpu), cpu)
    generator = seeded_generator(seed, "fine-tuning augmentation", device)
    pixels, labels = torch.from_numpy(frames.read(rows)).to(device), torch.from_numpy(targets).to(device)
    for _ in range(settings.steps):
        chosen = sampler.take(settings.batch).to(device)
        optimiser.zero_grad()
        logits = model(augment(settings.view, pixels[chosen], generator))
        loss = functional.cross_entropy(logits, labels[chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    if not bool(loss.isfinite()):
        remedy = "Lower optimiser.lr of the fine-tuning"
        raise DivergedError("the loss of fine-tuning is not finite", where=encoder.path, remedy=remedy)
    return model.requires_grad_(False)


def _nearest_mean_head(features: npt.NDArray[np.float32], targets: Ints, classes: int) -> nn.Linear:
    """Return the layer whose largest logit is the nearest class mean; its scale makes the logits differ by about 1."""
    means = torch.from_numpy(class_means(features, targets, classes))
    scale = 1 / (means - means.mean(0)).square().sum(1).mean().clamp_min(1e-12)
    head = nn.Linear(means.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(scale * means)
        head.bias.copy_(-scale / 2 * means.square().sum(1))
    return head


@torch.inference_mode()
def frame_logits(model: nn.Module, frames: Frames, rows: Ints, device: torch.device) -> npt.NDArray[np.float32]:
    """Return float32 logits `(n, classes)` of rows of some stores, n at least 1."""
    parts: list[Tensor] = []
    for start in range(0, len(rows), INFERENCE_BATCH):
        pixels = torch.from_numpy(frames.read(rows[start : start + INFERENCE_BATCH])).to(device)
        parts.append(model(normalise(pixels)[:, None]).float().cpu())
    return np.asarray(torch.cat(parts).numpy(), np.float32)
