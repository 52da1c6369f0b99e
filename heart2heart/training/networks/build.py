"""Builds a classifier by name from the network's section of a configuration, and freezes its encoder if asked.

A network is one of our own, one of `monai.networks.nets`, or one of a plugin. Each has a class of options, which a
configuration's `network.options` must match and which builds the network. The encoder is everything but the head: it
may be frozen, or trained at a rate of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isabstract
from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from torch import nn

from heart2heart.config import Config
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.registry import Registry, check_name, check_settings, union_schema
from heart2heart.training.networks.efficientnet_lite import EfficientNetLite0Options
from heart2heart.training.networks.library_nets import MONAI_NETWORKS, TimmOptions
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions, in_modules
from heart2heart.training.networks.sononet import SonoNet16Options
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


SCRATCH = "scratch"

Freeze = Literal["none", "encoder"]
InputRange = Literal["symmetric", "imagenet"]


class NetworkConfig(Config):
    """The network."""

    name: str = "WideResNet"
    """`WideResNet`, `SonoNet16`, `EfficientNetLite0`; a classifier of `monai.networks.nets`, such as `EfficientNetBN`
    or `DenseNet121`; or a plugin's."""
    options: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    """Options of the network, which differ by `network.name`; the sections on networks list them."""
    init: str = SCRATCH
    """What the weights begin from: `scratch`, a file of weights (.safetensors, .pt, .pth, .npz), or the folder of a
    finished run. Nothing is downloaded. A run that was begun does not need the file any more."""
    init_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    """Hash of the file, which a run records; a file with another hash is refused. Null takes the file as it is."""
    init_licence: str | None = Field(None, max_length=200)
    """Licence of the weights; null takes the first lines of a licence file beside them (`LICENSE`, `NAME.LICENSE`)."""
    init_input: InputRange = "symmetric"
    """Colours that a file with a stem of three channels was trained on: `symmetric` is -1 to 1 in each, `imagenet` is
    the usual mean and deviation of each. Either is folded into our stem, which takes grey from -1 to 1."""
    init_scored: bool = False
    """Accept an encoder whose pretraining read frames of patients whom the split scores, without labels. Results are
    then of a method that saw their pictures, and the report says so."""
    freeze: Freeze = "none"
    """`encoder` trains the head alone; the encoder's batch normalisation and dropout work as in evaluation."""
    encoder_lr: float = Field(1.0, gt=0, le=100)
    """Learning rate of the encoder, in units of the head's."""

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights begin from those of an earlier training."""
        return self.init != SCRATCH or bool(self.options.get("pretrained"))

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_name(NETWORKS, value)

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        stored = bool(info.context and info.context.get("stored"))
        return check_settings(NETWORKS, info.data.get("name"), value, stored=stored)

    @model_validator(mode="after")
    def _check_initialisation(self) -> NetworkConfig:
        if self.freeze == "encoder" and not self.is_pretrained:
            raise ValueError("freeze: an encoder with random weights would stay random; name weights in network.init")
        if self.freeze == "encoder" and self.encoder_lr != 1:
            raise ValueError("encoder_lr: a frozen encoder has no learning rate; leave it 1, or freeze=none")
        if self.init == SCRATCH and (self.init_sha256, self.init_licence) != (None, None):
            raise ValueError("init_sha256, init_licence: they belong to weights; name these in network.init")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        common = {key: field for key, field in cls.model_fields.items() if key not in ("name", "options")}
        return union_schema(NETWORKS, "options", cls().name, handler, common=common)


def network_head(config: NetworkConfig, network: nn.Module) -> tuple[str, ...]:
    """Return the names of the modules that are a network's head.

    Args:
        config: The configuration that the network was built by.
        network: The network.
    """
    return NETWORKS[config.name].parse(config.options, where="network.options").head(network)


def prepare_encoder(network: nn.Module, config: NetworkConfig) -> tuple[str, ...]:
    """Freeze a network's encoder if the configuration says so.

    Args:
        network: The network, in training mode.
        config: The configuration that it was built by.

    Returns:
        The names of the modules that are its head; none if head and encoder are trained alike.
    """
    if config.freeze == "none" and config.encoder_lr == 1:
        return ()
    head = network_head(config, network)
    if config.freeze == "encoder":
        freeze_encoder(network, head)
        set_encoder_to_evaluation(network, head)
    return head


def freeze_encoder(network: nn.Module, head: Sequence[str]) -> None:
    """Exclude all parameters but the head's from training.

    Args:
        network: The network.
        head: Names of the modules that are its head.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(in_modules(name, head))


def set_encoder_to_evaluation(network: nn.Module, head: Sequence[str]) -> None:
    """Put the encoder into evaluation mode, so that batch normalisation and dropout no longer depend on the batch.

    Args:
        network: The network, in training mode.
        head: Names of the modules that are its head.
    """
    for name, module in network.named_modules():
        holds_head = not name or any(in_modules(part, (name,)) for part in head)
        if not holds_head and not in_modules(name, head):
            module.eval()
