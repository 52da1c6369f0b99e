"""Entropy minimisation on a hospital's frames, with the scale and shift of batch normalisation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from heart2heart.training.adaptation_statistics import FrameBatch, batch_norm_layers
from heart2heart.training.validation import PixelClassifier


def weighted_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of the entropy of softmax probabilities, nats.

    Args:
        logits: `(n, classes)`.
        weights: `(n,)`, not all 0.

    Examples:
        >>> logits = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> round(weighted_entropy(logits, torch.tensor([1.0, 1.0])).item(), 4)
        0.3466
    """
    log_p = logits.log_softmax(1)
    entropy = -(log_p.exp() * log_p).sum(1)
    return (weights * entropy).sum() / weights.sum()


def minimise_entropy(
    network: nn.Module, batches: Callable[[], Iterable[FrameBatch]], *, steps: int, rate: float
) -> list[float]:
    """Change scale and shift of every batch normalisation, so that predictions have a lower entropy.

    Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization" (ICLR 2021), section 3. Unlike there, the
    statistics are those of all frames, estimated before, and stay as they are. Other weights do not change.

    Args:
        network: A classifier in evaluation mode.
        batches: Gives the frames; read again from the start when they end.
        steps: Steps of Adam.
        rate: Learning rate.

    Returns:
        The entropy before each step, nats.
    """
    layers = batch_norm_layers(network).values()
    affine = [parameter for layer in layers for parameter in layer.parameters()]
    trainable = {parameter: parameter.requires_grad for parameter in network.parameters()}
    for parameter in trainable:
        parameter.requires_grad_(False)
    for parameter in affine:
        parameter.requires_grad_(True)
    optimiser = torch.optim.Adam(affine, lr=rate)
    classifier = PixelClassifier(network)
    entropies: list[float] = []
    while len(entropies) < steps:
        for batch in batches():
            weights = torch.from_numpy(batch.weights).to(batch.pixels.device, torch.float32)
            entropy = weighted_entropy(classifier(batch.pixels), weights)
            for parameter, gradient in zip(affine, torch.autograd.grad(entropy, affine), strict=True):
                parameter.grad = gradient
            optimiser.step()
            entropies.append(float(entropy.detach()))
            if len(entropies) == steps:
                break
    for parameter, required in trainable.items():
        parameter.requires_grad_(required)
        parameter.grad = None
    return entropies
