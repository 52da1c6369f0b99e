"""Builds a classifier by name: our WideResNet, or one of `monai.networks.nets`.

MONAI names the same three things (channels, classes, frame size) differently in each family; this is the one place that
knows. It is imported only when a network is built, since that takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.networks.wide_resnet import WideResNet


@dataclass(frozen=True)
class ClassifierShape:
    """What a classifier takes and gives.

    Attributes:
        classes: Number of logits.
        channels: Channels of the input.
        size: Side of the frames, pixels.
    """

    classes: int
    channels: int
    size: int


class _FirstElement(nn.Module):
    """A network that returns a tuple, made to return its first element."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)[0]
        return logits


def _wide_resnet(shape: ClassifierShape, **options: Any) -> nn.Module:
    return WideResNet(shape.classes, shape.channels, **options)


def _efficientnet(shape: ClassifierShape, **options: Any) -> nn.Module:
    from monai.networks.nets.efficientnet import EfficientNetBN

    settings: dict[str, Any] = {"model_name": "efficientnet-b0", "pretrained": False, "spatial_dims": 2} | options
    return EfficientNetBN(in_channels=shape.channels, num_classes=shape.classes, **settings)


def _densenet(name: str, shape: ClassifierShape, **options: Any) -> nn.Module:
    from monai.networks import nets

    network: nn.Module = getattr(nets, name)(2, shape.channels, shape.classes, **options)
    return network


def _resnet(name: str, shape: ClassifierShape, **options: Any) -> nn.Module:
    from monai.networks import nets

    # MONAI's stem keeps the resolution unless told otherwise, at four times the cost of everyone else's ResNet.
    settings = {"spatial_dims": 2, "conv1_t_stride": 2} | options
    make = getattr(nets, name.lower())
    network: nn.Module = make(n_input_channels=shape.channels, num_classes=shape.classes, **settings)
    return network


def _senet(name: str, shape: ClassifierShape, **options: Any) -> nn.Module:
    from monai.networks import nets

    settings = {"spatial_dims": 2} | options
    network: nn.Module = getattr(nets, name)(in_channels=shape.channels, num_classes=shape.classes, **settings)
    return network


def _vit(shape: ClassifierShape, **options: Any) -> nn.Module:
    from monai.networks.nets.vit import ViT

    settings: dict[str, Any] = {"patch_size": 16, "spatial_dims": 2, "post_activation": ""} | options
    size = (shape.size, shape.size)
    return _FirstElement(ViT(shape.channels, size, classification=True, num_classes=shape.classes, **settings))


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "WideResNet": _wide_resnet,
    "EfficientNetBN": _efficientnet,
    **{name: partial(_densenet, name) for name in ("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264")},
    **{name: partial(_resnet, name) for name in ("ResNet10", "ResNet18", "ResNet34", "ResNet50", "ResNet101")},
    **{name: partial(_senet, name) for name in ("SENet154", "SEResNet50", "SEResNet101", "SEResNext50")},
    "ViT": _vit,
}
"""Every network that can be named in a configuration."""


def build_network(name: str, *, classes: int, channels: int = 1, size: int, **options: Any) -> nn.Module:
    """Build a classifier.

    Args:
        name: A name of `NETWORKS`: `WideResNet`, or a classifier of `monai.networks.nets`.
        classes: Number of logits.
        channels: Channels of the input.
        size: Side of the frames, pixels.
        **options: Passed on to the network, e.g. `variant="paper"`, or `model_name="efficientnet-b2"`.

    Returns:
        A network from float `(n, channels, size, size)` to logits `(n, classes)`.

    Raises:
        UnknownNameError: no such network; the message lists those that there are.
        ConfigError: an option that this network does not take.
    """
    if name not in NETWORKS:
        raise UnknownNameError.among("network", name, list(NETWORKS))
    try:
        return NETWORKS[name](ClassifierShape(classes, channels, size), **options)
    except ImportError as error:
        what = f"{name} needs a package that MONAI leaves optional ({str(error).splitlines()[0]})"
        raise ConfigError(what, where="network.name", remedy="Install the package that it names") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError | UnknownNameError):
            raise
        remedy = "See the network's options in MONAI's documentation; for WideResNet see the page Configuration of ours"
        raise ConfigError(
            f"{name} does not take these options ({error})", where="network.options", remedy=remedy
        ) from (error)
