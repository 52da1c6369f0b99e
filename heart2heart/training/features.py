"""Features of frames with the logits: what the scope of a model is fitted on.

The features are taken at every resolution of a network, not only before its classifier: training drops there what does
not help to tell its own views apart, and so what sets other views and other organs apart from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.errors import RunError
from heart2heart.training.derived_networks import AdjustedLogits, Ensemble
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.run import Run
from heart2heart.training.validation import INFERENCE_BATCH, infer

Floats = npt.NDArray[np.float32]

MAP_CHANNELS = 256
"""Most channels of a map that features are taken of; of more, as many evenly spaced ones."""
GRID_WIDTH = 1024
"""Most features of the grid over the last map; wide maps have a coarser grid, of 2 x 2, or none."""


class FeatureExtractor:
    """Computes features and logits of frames in one pass.

    The features are mean and standard deviation of each channel in the last map of every resolution, and the means of
    the last map in a grid of 3 x 3 fields. A network without maps gives the inputs of its last linear layer instead; an
    ensemble gives those of every member, one after the other.

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
            RunError: the network has neither maps nor a last linear layer.

        Examples:
            >>> import heart2heart as h2h
            >>> model, clip = h2h.load_model("run"), h2h.load_clip("clip.dcm", geometry=h2h.load_model("run").geometry)
            >>> features, logits = FeatureExtractor(model).compute(clip.pixels)
            >>> len(features), bool(np.allclose(logits, model.predict(clip.pixels), atol=1e-5))
            (4, True)
        """
        features: list[Tensor] = []
        logits: list[Tensor] = []
        recorders = [_MapRecorder(network, len(self.run.classes)) for network in self._networks]
        try:
            for start in range(0, max(len(pixels), 1), INFERENCE_BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + INFERENCE_BATCH]))
                logits.append(infer(self.run.network, batch.to(self.run.device)))
                features.append(torch.cat([self._features(each) for each in recorders], dim=1))
        finally:
            for each in recorders:
                each.close()
        return torch.cat(features).cpu().numpy(), torch.cat(logits).cpu().numpy()

    def _features(self, recorder: _MapRecorder) -> Tensor:
        maps, inputs = recorder.take()
        if maps:
            return map_features(maps)
        if inputs is None:
            what = f"the network {self.run.config.network.name} has neither maps nor a last linear layer"
            raise RunError(what, where=self.run.path, remedy="Train a network that does, such as wide_resnet")
        return inputs

    @cached_property
    def _networks(self) -> list[nn.Module]:
        return list(trained_networks(self.run.network))


def map_features(maps: list[Tensor]) -> Tensor:
    """Return means and standard deviations of maps, and a grid of means of the last one: `(n, d)`.

    Args:
        maps: Each `(n, channels, height, width)`, the largest first.

    Examples:
        >>> map_features([torch.ones(1, 2, 6, 6), torch.zeros(1, 4, 3, 3)]).shape
        torch.Size([1, 48])
    """
    few = [_some_channels(each.float()) for each in maps]
    parts = [statistic for each in few for statistic in (each.mean((2, 3)), each.std((2, 3), correction=0))]
    side = next((side for side in (3, 2) if side**2 * few[-1].shape[1] <= GRID_WIDTH), 0)
    if side:
        parts.append(functional.adaptive_avg_pool2d(few[-1], side).flatten(1))
    return torch.cat(parts, dim=1)


def _some_channels(one: Tensor) -> Tensor:
    channels = one.shape[1]
    if channels <= MAP_CHANNELS:
        return one
    return one[:, torch.linspace(0, channels - 1, MAP_CHANNELS, device=one.device).round().long()]


class _MapRecorder:
    """Keeps the last map of every resolution, and the inputs of the last linear layer, of the latest pass."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        self._classes = classes
        self._maps: dict[tuple[int, int], Tensor] = {}
        self._inputs: Tensor | None = None
        self._handles = [layer.register_forward_hook(self._keep) for layer in network.modules() if layer is not network]

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...], out: object) -> None:
        if not isinstance(out, Tensor):
            return
        if out.ndim == 4 and min(out.shape[-2:]) > 1:
            self._maps[out.shape[-2], out.shape[-1]] = out
        elif isinstance(layer, nn.Linear) and out.ndim == 2 and out.shape[1] >= self._classes:
            self._inputs = inputs[0].float()

    def take(self) -> tuple[list[Tensor], Tensor | None]:
        """Return the maps, the largest first, and the inputs; what is kept is let go."""
        maps = [self._maps[size] for size in sorted(self._maps, reverse=True)]
        inputs, self._maps, self._inputs = self._inputs, {}, None
        return maps, inputs

    def close(self) -> None:
        """Listen to the network no longer."""
        for handle in self._handles:
            handle.remove()


def trained_networks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the networks that training gave, of which others are made."""
    if isinstance(network, Ensemble):
        for member in network.members:
            yield from trained_networks(member)
    elif isinstance(network, AdjustedLogits | ClassOutputs):
        yield from trained_networks(network.network)
    else:
        yield network
