"""The encoder of a classifier: from frames to features, which are the input of its head or the output of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError
from heart2heart.training.networks.build import NetworkConfig, network_head
from heart2heart.training.networks.options import in_modules

_SHOWN = 12


class Encoder(nn.Module):
    """A network without its head.

    The weights keep the network's names below `network.`, so that they fit a classifier of the same configuration.

    Args:
        network: The classifier.
        head: Names of the modules that are its head; the features are the input of the first of them to run.
        layer: Name of a module whose output is taken instead; None takes the input of the head.

    Raises:
        ConfigError: the network has no layer of this name, or no head of its own.

    Examples:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Linear(3, 2))
        >>> Encoder(network, head=["2"])(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([5, 3])
    """

    def __init__(self, network: nn.Module, head: Sequence[str], layer: str | None = None) -> None:
        super().__init__()
        self.network, self.head, self.layer = network, tuple(head), layer
        names = [name for name, _ in network.named_modules() if name]
        if layer is not None and layer not in names:
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            what = f"{type(network).__name__} has no layer {layer!r}"
            raise ConfigError(what, where="layer", remedy=f"Its layers are: {shown}")
        if layer is None and not self.head:
            what = f"{type(network).__name__} has no head, so its features are not known"
            raise ConfigError(what, where="layer", remedy="Name the layer whose output is the representation")

    def forward(self, frames: Tensor) -> Tensor:
        """Return features `(n, d)` of frames `(n, channels, size, size)`; maps and tokens are averaged."""
        kept: list[Tensor] = []
        modules = dict(self.network.named_modules())
        if self.layer is not None:

            def keep_output(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                kept.append(output)

            handles = [modules[self.layer].register_forward_hook(keep_output)]
        else:

            def keep_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                kept.append(inputs[0])

            handles = [modules[name].register_forward_pre_hook(keep_input) for name in self.head]
        try:
            self.network(frames)
        finally:
            for handle in handles:
                handle.remove()
        if not kept or not isinstance(kept[0], Tensor):
            what = f"the layer {self.layer or self.head[0]!r} gives no tensor when a frame passes"
            raise ConfigError(what, where="layer", remedy="Name a layer that every frame passes through")
        return pool_features(kept[0])

    def weights(self) -> dict[str, Tensor]:
        """Return copies of the network's weights and buffers by name, without those of the head, on the CPU."""
        state = self.network.state_dict()
        return {name: value.detach().cpu().clone() for name, value in state.items() if not in_modules(name, self.head)}

    def trained_parameters(self, size: int) -> list[nn.Parameter]:
        """Return the parameters that the features depend on.

        Args:
            size: Side of the frames, pixels.
        """
        parameters = list(self.network.parameters())
        was_training = self.training
        frames = torch.zeros(2, 1, size, size, device=parameters[0].device)
        gradients = torch.autograd.grad(self.eval()(frames).sum(), parameters, allow_unused=True)
        self.train(was_training)
        return [each for each, gradient in zip(parameters, gradients, strict=True) if gradient is not None]


def pool_features(features: Tensor) -> Tensor:
    """Return one vector a frame: the mean over places of a map `(n, d, h, w)`, or over tokens `(n, tokens, d)`.

    Raises:
        ConfigError: the tensor has another number of dimensions.
    """
    if features.ndim == 4:
        return features.mean((2, 3))
    if features.ndim == 3:
        return features.mean(1)
    if features.ndim != 2:
        what = f"the layer gives a tensor of {features.ndim} dimensions, which is no vector, map or row of tokens"
        raise ConfigError(what, where="layer", remedy="Name another layer")
    return features


def build_encoder(network: nn.Module, config: NetworkConfig, layer: str | None = None) -> Encoder:
    """Return the encoder of a network.

    Args:
        network: The network that `config` built.
        config: The section `network` of its configuration.
        layer: See `Encoder`.

    Raises:
        ConfigError: see `Encoder`.
    """
    return Encoder(network, network_head(config, network), layer)
