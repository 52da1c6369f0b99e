"""Builds a classifier by name: our WideResNet, one of `monai.networks.nets`, or one of a plugin.

Each network has a class of options, which a configuration's `network.options` must match and which builds the network.
MONAI is imported only when a network is built, since that takes seconds.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from inspect import isabstract
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from heart2heart.config import Config
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.registry import Registry
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


class NetworkOptions(Config):
    """The options of a network, named under `network.options`; a plugin registers a subclass.

    Examples:
        >>> class Linear(NetworkOptions):
        ...     bias: bool = True
        ...
        ...     def build(self, shape: ClassifierShape) -> nn.Module:
        ...         inputs = shape.channels * shape.size**2
        ...         return nn.Sequential(nn.Flatten(), nn.Linear(inputs, shape.classes, self.bias))
        >>> Linear(bias=False).build(ClassifierShape(classes=4, channels=1, size=8))[1]
        Linear(in_features=64, out_features=4, bias=False)
    """

    @abstractmethod
    def build(self, shape: ClassifierShape) -> nn.Module:
        """Return a network from float `(n, channels, size, size)` to logits `(n, classes)`, freshly initialised."""


class WideResNetOptions(NetworkOptions):
    """WideResNet (Zagoruyko and Komodakis 2016)."""

    variant: Literal["canonical", "paper"] = "canonical"
    """`canonical` is WRN-28-2; `paper` is that of Fix-A-Step's supplement."""
    depth: int = 28
    """Layers as if there were three groups: 4 + 6 x units a group, e.g. 10, 16, 22, 28."""
    widen: int = 2
    """Width of the first group, in units of 16 channels."""
    blocks: int | None = None
    """Groups; null takes the variant's (3, or 4 for `paper`)."""
    norm_momentum: float | None = None
    """Share of the newest batch in the running statistics; null takes the variant's (0.1, or 0.001 for `paper`)."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        return WideResNet(shape.classes, shape.channels, **self.model_dump())


Layer = str | tuple[str, dict[str, Any]]
"""A layer as MONAI names it: a name, or a name and its arguments."""


class MonaiOptions(NetworkOptions):
    """A classifier of `monai.networks.nets`, with its options of the same names."""

    monai_name: ClassVar[str]
    shape_names: ClassVar[tuple[str, str]] = ("in_channels", "num_classes")
    """What MONAI calls the number of channels and of classes; it differs by family."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        from monai.networks import nets

        make = getattr(nets, self.monai_name)
        numbers = zip(self.shape_names, (shape.channels, shape.classes), strict=True)
        options = {name: getattr(self, name) for name in type(self).model_fields}
        given = {name: value for name, value in options.items() if value is not None}
        network: nn.Module = make(spatial_dims=2, **dict(numbers), **given)
        return network


class EfficientNetOptions(MonaiOptions):
    """EfficientNet (Tan and Le 2019), of MONAI."""

    monai_name: ClassVar[str] = "EfficientNetBN"

    model_name: str = "efficientnet-b0"
    """`efficientnet-b0` to `efficientnet-b8`, or `efficientnet-l2`."""
    pretrained: bool = False
    """Take MONAI's ImageNet weights, which are downloaded; they need frames of three channels."""
    norm: Layer = ("batch", {"eps": 0.001, "momentum": 0.01})
    """Normalisation."""
    adv_prop: bool = False
    """Take the weights that were trained with adversarial examples."""


class DenseNetOptions(MonaiOptions):
    """DenseNet (Huang et al. 2017), of MONAI."""

    shape_names: ClassVar[tuple[str, str]] = ("in_channels", "out_channels")

    pretrained: bool = False
    """Take torchvision's ImageNet weights, which are downloaded; they need frames of three channels."""
    init_features: int = 64
    """Channels of the stem."""
    growth_rate: int = 32
    """Channels that each layer adds."""
    block_config: tuple[int, ...] | None = None
    """Layers of each block; null takes the network's own."""
    bn_size: int = 4
    """Width of the bottleneck, in growth rates."""
    act: Layer = ("relu", {"inplace": True})
    """Activation."""
    norm: Layer = "batch"
    """Normalisation."""
    dropout_prob: float = Field(0.0, ge=0, lt=1)
    """Dropout after each layer."""


class ResNetOptions(MonaiOptions):
    """ResNet (He et al. 2016), of MONAI; the stem has stride 2, as in everyone else's ResNet."""

    shape_names: ClassVar[tuple[str, str]] = ("n_input_channels", "num_classes")

    conv1_t_size: int = 7
    """Side of the stem's kernel."""
    conv1_t_stride: int = 2
    """Stride of the stem."""
    no_max_pool: bool = False
    """Leave out the pooling after the stem."""
    shortcut_type: Literal["A", "B"] = "B"
    """Shortcut where the resolution changes: `A` pads, `B` has a convolution."""
    widen_factor: float = 1.0
    """Width, in that of the published network."""
    bias_downsample: bool = True
    """Whether a shortcut's convolution has a bias."""
    act: Layer = ("relu", {"inplace": True})
    """Activation."""
    norm: Layer = "batch"
    """Normalisation."""


class SENetOptions(MonaiOptions):
    """Squeeze-and-excitation network (Hu et al. 2018), of MONAI."""

    pretrained: bool = False
    """Take ImageNet weights, which are downloaded; they need frames of three channels."""
    dropout_prob: float | None = Field(None, ge=0, lt=1)
    """Dropout before the classifier; null takes the network's own."""


class ViTOptions(MonaiOptions):
    """Vision transformer (Dosovitskiy et al. 2021), of MONAI."""

    patch_size: int = 16
    """Side of a patch, pixels; it divides the frames' side."""
    hidden_size: int = 768
    """Width of a token; a multiple of `num_heads`."""
    mlp_dim: int = 3072
    """Width of the layer inside each block."""
    num_layers: int = 12
    """Blocks."""
    num_heads: int = 12
    """Attention heads."""
    proj_type: Literal["conv", "perceptron"] = "conv"
    """How a patch becomes a token."""
    pos_embed_type: Literal["none", "learnable", "sincos"] = "learnable"
    """Position embedding."""
    dropout_rate: float = Field(0.0, ge=0, lt=1)
    """Dropout."""
    post_activation: Literal["", "Tanh"] = ""
    """Activation after the classifier; none by default, so that logits are unbounded."""
    qkv_bias: bool = False
    """Whether queries, keys and values have a bias."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        from monai.networks.nets.vit import ViT

        size = (shape.size, shape.size)
        options = self.model_dump()
        network = ViT(shape.channels, size, classification=True, num_classes=shape.classes, spatial_dims=2, **options)
        return _FirstElement(network)


def _monai(kind: type[MonaiOptions], name: str, monai_name: str | None = None) -> type[NetworkOptions]:
    """Return a family's options for one of its networks."""
    content = {"__module__": __name__, "__doc__": f"{name}: {kind.__doc__}", "monai_name": monai_name or name,
               "__annotations__": {"monai_name": ClassVar[str]}}  # fmt: skip
    return type(f"{name}Options", (kind,), content)


_BUILTIN: dict[str, type[NetworkOptions]] = {
    "WideResNet": WideResNetOptions,
    "EfficientNetBN": EfficientNetOptions,
    **{name: _monai(DenseNetOptions, name) for name in ("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264")},
    **{
        name: _monai(ResNetOptions, name, name.lower())
        for name in ("ResNet10", "ResNet18", "ResNet34", "ResNet50", "ResNet101")
    },
    **{name: _monai(SENetOptions, name) for name in ("SENet154", "SEResNet50", "SEResNet101", "SEResNext50")},
    "ViT": ViTOptions,
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
    settings = NETWORKS[name].parse(options, where="network.options")
    try:
        return settings.build(ClassifierShape(classes, channels, size))
    except ImportError as error:
        what = f"{name} needs a package that MONAI leaves optional ({str(error).splitlines()[0]})"
        raise ConfigError(what, where="network.name", remedy="Install the package that it names") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError | UnknownNameError):
            raise
        what = f"{name} cannot be built with these options ({error})"
        raise ConfigError(what, where="network.options", remedy="Change the option that the message names") from error
