"""The classifiers of `monai.networks.nets` and their options, and the encoders of timm by name.

MONAI and timm are imported only when a network is built, since that takes seconds; timm is an extra. Weights come from
`network.init` alone: nothing is downloaded.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, field_validator
from torch import Tensor, nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions


class _FirstElement(nn.Module):
    """A network that returns a tuple, made to return its first element."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)[0]
        return logits


Layer = str | tuple[str, dict[str, Any]]
"""A layer as MONAI names it: a name, or a name and its arguments."""


class MonaiOptions(NetworkOptions):
    """A classifier of `monai.networks.nets`, with its options of the same names."""

    monai_name: ClassVar[str]
    shape_names: ClassVar[tuple[str, str]] = ("in_channels", "num_classes")
    """What MONAI calls the number of channels and of classes; it differs by family."""

    _unlisted: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def parse_stored(cls, content: dict[str, Any], *, where: str | Path) -> Self:
        """Return the options of a run; MONAI gets those that are not listed here, such as `progress`."""
        unlisted = {name for name in content if name not in cls.model_fields}
        if unlisted:
            unlisted &= _parameters(cls.monai_name)
        options = cls.parse({name: value for name, value in content.items() if name not in unlisted}, where=where)
        options._unlisted.update({name: content[name] for name in unlisted})
        return options

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        from monai.networks import nets

        make = getattr(nets, self.monai_name)
        numbers = zip(self.shape_names, (shape.channels, shape.classes), strict=True)
        options = {name: getattr(self, name) for name in type(self).model_fields}
        arguments = {name: value for name, value in options.items() if value is not None} | self._unlisted
        network: nn.Module = make(spatial_dims=2, **dict(numbers), **arguments)
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

    monai_name: ClassVar[str] = "ViT"

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
        options = self.model_dump() | self._unlisted
        network = ViT(shape.channels, size, classification=True, num_classes=shape.classes, spatial_dims=2, **options)
        return _FirstElement(network)


def _parameters(name: str) -> set[str]:
    """Return the names of the arguments of a network of `monai.networks.nets`, those of its base classes included."""
    from monai.networks import nets
    from monai.networks.nets.resnet import ResNet

    make = getattr(nets, name)
    makers = [kind for kind in make.__mro__ if kind is not object] if isinstance(make, type) else [make, ResNet]
    return {parameter for maker in makers for parameter in inspect.signature(maker).parameters}


def _monai(kind: type[MonaiOptions], name: str, monai_name: str | None = None) -> type[NetworkOptions]:
    """Return a family's options for one of its networks."""
    content = {"__module__": __name__, "__doc__": f"{name}: {kind.__doc__}", "monai_name": monai_name or name,
               "__annotations__": {"monai_name": ClassVar[str]},
               "model_config": ConfigDict(use_attribute_docstrings=False)}  # fmt: skip
    # The fields bring their descriptions along; to search for docstrings of a class without source takes 0.1 s each.
    return type(f"{name}Options", (kind,), content)


_NAMES: dict[type[MonaiOptions], tuple[str, ...]] = {
    DenseNetOptions: ("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264"),
    ResNetOptions: ("ResNet10", "ResNet18", "ResNet34", "ResNet50", "ResNet101"),
    SENetOptions: ("SENet154", "SEResNet50", "SEResNet101", "SEResNext50"),
}

MONAI_NETWORKS: dict[str, type[NetworkOptions]] = {"EfficientNetBN": EfficientNetOptions}
"""MONAI's classifiers by name."""

for _kind, _names in _NAMES.items():
    for _name in _names:
        MONAI_NETWORKS[_name] = _monai(_kind, _name, _name.lower() if _kind is ResNetOptions else None)
MONAI_NETWORKS["ViT"] = ViTOptions


_OURS = ("pretrained", "in_chans", "num_classes", "checkpoint_path", "cache_dir", "pretrained_cfg",
         "pretrained_cfg_overlay")  # fmt: skip
"""Arguments that this package sets itself, or that download."""
_SHOWN = 8


class TimmOptions(NetworkOptions):
    """A network of timm (Wightman 2019); it needs the extra `timm`."""

    model: str = Field("resnet18", pattern=r"^[A-Za-z0-9_.]+$")
    """Name of the model, as `timm.list_models()` lists it."""
    drop_rate: float = Field(0.0, ge=0, lt=1)
    """Dropout before the classifier."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the model, such as `img_size` of a vision transformer; they differ by model."""

    @field_validator("arguments")
    @classmethod
    def _check_arguments(cls, value: dict[str, Any]) -> dict[str, Any]:
        refused = sorted(value.keys() & set(_OURS))
        if refused:
            raise ValueError(f"{', '.join(refused)} cannot be set here; name weights in network.init")
        return value

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`.

        Raises:
            ConfigError: timm cannot be imported.
            UnknownNameError: timm has no model of this name; the message lists some that are like it.
        """
        try:
            import timm
        except (ImportError, RuntimeError) as error:  # a torchvision of another build of torch is a RuntimeError
            what = f"timm cannot be imported ({str(error).splitlines()[0]})"
            remedy = "Install the extra, pip install 'heart2heart[timm]', with torch and torchvision of one build"
            raise ConfigError(what, where="network.name", remedy=remedy) from error
        if not timm.is_model(self.model):
            alike = timm.list_models(f"*{self.model[:_SHOWN]}*")[:_SHOWN] or timm.list_models("resnet*")[:_SHOWN]
            what = f"timm has no model {self.model!r}"
            raise UnknownNameError(what, where="network.options", remedy=f"Some that it has: {', '.join(alike)}")
        network: nn.Module = timm.create_model(
            self.model,
            pretrained=False,
            in_chans=shape.channels,
            num_classes=shape.classes,
            drop_rate=self.drop_rate,
            **self.arguments,
        )
        return network
