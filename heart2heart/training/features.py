"""Features of frames, the inputs of a network's classifier, with the logits: what the scope of a model is fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heart2heart.errors import RunError
from heart2heart.training.derived_networks import AdjustedLogits, Ensemble
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.run import Run
from heart2heart.training.validation import INFERENCE_BATCH, infer

Floats = npt.NDArray[np.float32]


class FeatureExtractor:
    """Computes features and logits of frames in one pass.

    The features are the inputs of the last linear layer; of an ensemble those of every member, one after the other.

    Args:
        run: A finished run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def compute(self, pixels: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Return features `(n, d)` and logits `(n, classes)` of frames, float32.

        Args:
            pixels: uint8 `(n, size, size)`.

        Raises:
            RunError: the network does not end in a linear layer.

        Examples:
            >>> import heart2heart as h2h
            >>> model, clip = h2h.load_model("run"), h2h.load_clip("clip.dcm", geometry=h2h.load_model("run").geometry)
            >>> features, logits = FeatureExtractor(model).compute(clip.pixels)
            >>> len(features), bool(np.allclose(logits, model.predict(clip.pixels), atol=1e-5))
            (4, True)
        """
        kept: list[Tensor] = []

        def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            kept.append(inputs[0].float())

        features: list[Tensor] = []
        logits: list[Tensor] = []
        handles = [layer.register_forward_pre_hook(keep) for layer in self._classifiers]
        try:
            for start in range(0, max(len(pixels), 1), INFERENCE_BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + INFERENCE_BATCH]))
                logits.append(infer(self.run.network, batch.to(self.run.device)))
                features.append(torch.cat(kept, dim=1))
                kept.clear()
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat(features).cpu().numpy(), torch.cat(logits).cpu().numpy()

    @cached_property
    def _classifiers(self) -> list[nn.Linear]:
        return [self._last_linear(network) for network in trained_networks(self.run.network)]

    def _last_linear(self, network: nn.Module) -> nn.Linear:
        """Return the linear layer that runs last; a trial pass finds it."""
        order: list[nn.Linear] = []

        def note(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
            if isinstance(layer, nn.Linear) and out.ndim == 2 and out.shape[1] >= len(self.run.classes):
                order.append(layer)

        handles = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, nn.Linear)]
        size = self.run.geometry.size
        try:
            infer(network, torch.zeros(1, size, size, dtype=torch.uint8, device=self.run.device))
        finally:
            for handle in handles:
                handle.remove()
        if not order:
            what = f"the network {self.run.config.network.name} does not end in a linear layer, so it has no features"
            raise RunError(what, where=self.run.path, remedy="Train a network that does, such as wide_resnet")
        return order[-1]


def trained_networks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the networks that training gave, of which others are made."""
    if isinstance(network, Ensemble):
        for member in network.members:
            yield from trained_networks(member)
    elif isinstance(network, AdjustedLogits | ClassOutputs):
        yield from trained_networks(network.network)
    else:
        yield network
