"""Builds a classifier by name: our own networks, one of `monai.networks.nets`, or one of a plugin.

Each network has a class of options, which a configuration's `network.options` must match and which builds the network.
"""

from __future__ import annotations

from inspect import isabstract
from typing import Any

from torch import nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.registry import Registry
from heart2heart.training.networks.efficientnet_lite import EfficientNetLite0Options
from heart2heart.training.networks.monai_nets import MONAI_NETWORKS
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions
from heart2heart.training.networks.sononet import SonoNet16Options
from heart2heart.training.networks.timm_nets import TimmOptions
from heart2heart.training.networks.wide_resnet import WideResNetOptions

_BUILTIN: dict[str, type[NetworkOptions]] = {
    "WideResNet": WideResNetOptions,
    "SonoNet16": SonoNet16Options,
    "EfficientNetLite0": EfficientNetLite0Options,
    **MONAI_NETWORKS,
    "timm": TimmOptions,
}

NETWORKS: Registry[type[NetworkOptions]] = Registry(
    "network",
    "heart2heart.networks",
    _BUILTIN,
    "a subclass of heart2heart.training.networks.NetworkOptions with build",
    lambda part: isinstance(part, type) and issubclass(part, NetworkOptions) and not isabstract(part),
)
"""Every network that a configuration can name; `NETWORKS.register(name, cls)` adds one."""


def build_network(name: str, *, classes: int, channels: int = 1, size: int, **options: Any) -> nn.Module:
    """Build a classifier.

    Args:
        name: A name of `NETWORKS`: `WideResNet`, a classifier of `monai.networks.nets`, or one of a plugin.
        classes: Number of logits.
        channels: Channels of the input.
        size: Side of the frames, pixels.
        **options: Options of the network, e.g. `variant="paper"`, or `model_name="efficientnet-b2"`.

    Returns:
        A network from float `(n, channels, size, size)` to logits `(n, classes)`.

    Raises:
        UnknownNameError: no such network; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
        ConfigError: an option that this network does not take; the message lists those that it takes.

    Examples:
        >>> network = build_network("WideResNet", classes=4, size=32, depth=10, widen=1)
        >>> sum(parameter.numel() for parameter in network.parameters())
        77172
    """
    settings = NETWORKS[name].parse_stored(options, where="network.options")
    try:
        return settings.build(ClassifierShape(classes, channels, size))
    except ImportError as error:
        what = f"{name} needs a package that is not installed ({str(error).splitlines()[0]})"
        raise ConfigError(what, where="network.name", remedy="Install the package that it names") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError | UnknownNameError):
            raise
        what = f"{name} cannot be built with these options ({error})"
        raise ConfigError(what, where="network.options", remedy="Change the option that the message names") from error
