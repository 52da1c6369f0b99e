"""The network's section of a training configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from heart2heart.config import Config
from heart2heart.training.named_settings import check_name, check_settings, union_schema
from heart2heart.training.networks.build import NETWORKS

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
    freeze: Freeze = "none"
    """`encoder` trains the head alone; the encoder's batch normalisation and dropout work as in evaluation."""
    encoder_lr: float = Field(1.0, gt=0, le=100)
    """Learning rate of the encoder, in units of the head's."""

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
        pretrained = self.init != SCRATCH or bool(self.options.get("pretrained"))
        if self.freeze == "encoder" and not pretrained:
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
