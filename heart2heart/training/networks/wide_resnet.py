"""WideResNet (Zagoruyko and Komodakis 2016) out of MONAI's layers, in the form `canonical` and in the paper's.

MONAI's own `ResNet` cannot express it: four stages, activation after the sum, and `norm` and `act` reach only the stem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions

STEM = 16
NORM_GROUPS = 8
"""Groups of channels of group normalisation; they divide every width."""

NormName = Literal["batch", "group"]


@dataclass(frozen=True)
class WideResNetVariant:
    """What differs between the forms.

    Attributes:
        blocks: Groups of units; the first keeps the resolution, each other halves it and doubles the width.
        norm: MONAI's name and arguments of the normalisation.
        act: MONAI's name and arguments of the activation.
        skip_activation: In the first unit of every group but the first, the convolution takes the raw input. That is
            what the authors' code does: the unit's first norm stays without effect and gets no gradient.
        xavier: Whether the classifier is initialised by Xavier's rule.
    """

    blocks: int
    norm: tuple[str, dict[str, Any]]
    act: tuple[str, dict[str, Any]]
    skip_activation: bool
    xavier: bool


VARIANTS = {
    "canonical": WideResNetVariant(3, ("batch", {}), ("relu", {"inplace": True}), skip_activation=False, xavier=False),
    "paper": WideResNetVariant(
        4,
        ("batch", {"momentum": 0.001}),
        ("leakyrelu", {"negative_slope": 0.1, "inplace": True}),
        skip_activation=True,
        xavier=True,
    ),
}


def _convolution(inside: int, outside: int, *, kernel: int = 3, stride: int = 1) -> nn.Module:
    from monai.networks.blocks.convolutions import Convolution

    return Convolution(2, inside, outside, strides=stride, kernel_size=kernel, bias=False, conv_only=True)


def _norm_act(variant: WideResNetVariant, channels: int) -> nn.Sequential:
    from monai.networks.layers.utils import get_act_layer, get_norm_layer

    return nn.Sequential(get_norm_layer(variant.norm, spatial_dims=2, channels=channels), get_act_layer(variant.act))


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each after norm and activation, beside a shortcut."""

    def __init__(
        self, variant: WideResNetVariant, inside: int, outside: int, stride: int, *, first_group: bool
    ) -> None:
        super().__init__()
        self.resizes = inside != outside
        self.raw = variant.skip_activation and self.resizes and not first_group
        self.before = _norm_act(variant, inside)
        self.convolution = _convolution(inside, outside, stride=stride)
        self.between = _norm_act(variant, outside)
        self.second = _convolution(outside, outside)
        self.shortcut = _convolution(inside, outside, kernel=1, stride=stride) if self.resizes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        active = x if self.raw else self.before(x)
        out = self.second(self.between(self.convolution(active)))
        return torch.add(out, self.shortcut(active if self.resizes else x))


class WideResNet(nn.Module):
    """Wide residual network for square or other frames of any size of at least 8 pixels.

    Args:
        classes: Number of logits.
        channels: Channels of the input.
        variant: `canonical` (WRN-28-2: 1,466,677 parameters at 1 channel and 5 classes) or `paper` (Fix-A-Step,
            supplement: four groups of 32 to 256 channels, LeakyReLU 0.1, batch-norm momentum 0.001, Xavier classifier;
            5,927,892 parameters at 3 channels and 4 classes). Convolutions start by Kaiming's rule, fan-out.
        depth: Layers as if there were three groups: 4 + 6 x units a group, e.g. 10, 16, 22, 28.
        widen: Width of the first group, in units of 16 channels.
        blocks: Groups; null takes the variant's (3, or 4 for `paper`).
        norm_momentum: Share of the newest batch in the running statistics; null takes the variant's (0.1, or 0.001 for
            `paper`). A run of a few hundred small batches needs something between.
        norm: `batch`; or `group` (Wu and He, ECCV 2018), eight groups of channels, which depends on no other frame and
            keeps no statistics.

    Raises:
        UnknownNameError: no such variant.
        ConfigError: a depth, width, number of groups or momentum that cannot be.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        *,
        variant: str = "canonical",
        depth: int = 28,
        widen: int = 2,
        blocks: int | None = None,
        norm_momentum: float | None = None,
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise UnknownNameError.among("WideResNet variant", variant, list(VARIANTS))
        form = VARIANTS[variant]
        if norm_momentum is not None:
            if not 0 < norm_momentum <= 1:
                raise ConfigError(f"a batch-norm momentum of {norm_momentum} is not above 0 and at most 1")
            if norm == "group":
                raise ConfigError(
                    "group normalisation keeps no statistics", where="norm_momentum", remedy="Leave it null"
                )
            form = replace(form, norm=("batch", {"momentum": norm_momentum}))
        if norm == "group":
            form = replace(form, norm=("group", {"num_groups": NORM_GROUPS}))
        groups = form.blocks if blocks is None else blocks
        if depth < 10 or (depth - 4) % 6:
            raise ConfigError(f"a WideResNet cannot have depth {depth}", remedy="Choose 10, 16, 22, 28 ...")
        if widen < 1 or not 1 <= groups <= 6:
            raise ConfigError(f"a WideResNet cannot have width {widen} and {groups} groups")
        self.stem = _convolution(channels, STEM)
        units, inside = [], STEM
        for group in range(groups):
            outside = STEM * widen * 2**group
            for unit in range((depth - 4) // 6):
                stride = 2 if group > 0 and unit == 0 else 1
                units.append(_ResidualBlock(form, inside, outside, stride, first_group=group == 0))
                inside = outside
        self.units = nn.Sequential(*units)
        self.last = _norm_act(form, inside)
        self.classifier = nn.Linear(inside, classes)
        self._initialise(form)

    def _initialise(self, form: WideResNetVariant) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if form.xavier:
            nn.init.xavier_normal_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(n, classes)` of frames `(n, channels, height, width)`."""
        features = self.last(self.units(self.stem(x)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


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
    norm: NormName = "batch"
    """Normalisation: `batch`, or `group` in eight groups of channels, which depends on no other frame."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        return WideResNet(shape.classes, shape.channels, **self.model_dump())
