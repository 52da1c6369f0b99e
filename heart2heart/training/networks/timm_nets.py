"""The encoders of timm, by name; timm is an extra, and is imported only when a network is built.

Weights come from `network.init` alone: nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator
from torch import nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions

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
