"""EfficientNet-Lite0: EfficientNet-B0 with ReLU6 and without squeeze-and-excitation (TensorFlow's TPU models, 2020).

Its modules have timm's names, so that weights for `tf_efficientnet_lite0` load as they are; those of the code
`efficientnet-lite-pytorch` are renamed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.training.networks.options import ClassifierShape, NetworkOptions

NORM_EPS = 1e-3
NORM_MOMENTUM = 0.01
STEM_CHANNELS = 32
FEATURES = 1280


@dataclass(frozen=True)
class _Stage:
    """One stage of blocks.

    Attributes:
        blocks: Number of blocks.
        expansion: Factor by which a block widens its input.
        kernel: Side of the depthwise kernel.
        stride: Stride of the first block.
        channels: Channels of the output.
    """

    blocks: int
    expansion: int
    kernel: int
    stride: int
    channels: int


STAGES = (
    _Stage(1, 1, 3, 1, 16),
    _Stage(2, 6, 3, 2, 24),
    _Stage(2, 6, 5, 2, 40),
    _Stage(3, 6, 3, 2, 80),
    _Stage(3, 6, 5, 1, 112),
    _Stage(4, 6, 5, 2, 192),
    _Stage(1, 6, 3, 1, 320),
)
"""The stages of B0 (Tan and Le 2019, table 1); Lite0 has the same."""


class _SamePadConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's `SAME`: an odd pixel of padding goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        right_bottom = [_padding(side, kernel, stride) for side in (x.shape[3], x.shape[2])]
        sides = [part for total in right_bottom for part in (total // 2, total - total // 2)]
        return functional.conv2d(
            functional.pad(x, sides) if any(sides) else x, self.weight, self.bias, stride, 0, 1, self.groups
        )


def _padding(side: int, kernel: int, stride: int) -> int:
    """Return the pixels that a side needs so that its output has `ceil(side / stride)`."""
    outputs = -(-side // stride)
    return max((outputs - 1) * stride + kernel - side, 0)


def _convolution(inside: int, outside: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return _SamePadConv2d(inside, outside, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)


class _SeparableBlock(nn.Module):
    """A depthwise convolution, then a linear 1 x 1 convolution; the block of the first stage."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = (
            _convolution(inside, inside, kernel=kernel, stride=stride, groups=inside),
            _norm(inside),
        )
        self.conv_pw, self.bn2 = _convolution(inside, outside), _norm(outside)

    def forward(self, x: Tensor) -> Tensor:
        depthwise = functional.relu6(self.bn1(self.conv_dw(x)))
        out: Tensor = self.bn2(self.conv_pw(depthwise))
        return out


class _InvertedResidual(nn.Module):
    """A 1 x 1 convolution that widens, a depthwise convolution, and a linear 1 x 1 convolution that narrows."""

    def __init__(self, inside: int, outside: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.conv_pw, self.bn1 = _convolution(inside, wide), _norm(wide)
        self.conv_dw, self.bn2 = _convolution(wide, wide, kernel=kernel, stride=stride, groups=wide), _norm(wide)
        self.conv_pwl, self.bn3 = _convolution(wide, outside), _norm(outside)
        self.adds_input = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        widened = functional.relu6(self.bn1(self.conv_pw(x)))
        depthwise = functional.relu6(self.bn2(self.conv_dw(widened)))
        out: Tensor = self.bn3(self.conv_pwl(depthwise))
        return out + x if self.adds_input else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 for frames of any size of at least 32 pixels; 3.37 million parameters before the classifier.

    Args:
        classes: Number of logits.
        channels: Channels of the input.
        dropout: Share of the features that training drops before the classifier.
    """

    def __init__(self, classes: int, channels: int = 1, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = _convolution(channels, STEM_CHANNELS, kernel=3, stride=2), _norm(STEM_CHANNELS)
        stages, inside = [], STEM_CHANNELS
        for stage in STAGES:
            blocks: list[nn.Module] = []
            for block_index in range(stage.blocks):
                stride = stage.stride if block_index == 0 else 1
                blocks.append(
                    _SeparableBlock(inside, stage.channels, stage.kernel, stride)
                    if stage.expansion == 1
                    else _InvertedResidual(inside, stage.channels, stage.expansion, stage.kernel, stride)
                )
                inside = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = _convolution(inside, FEATURES), _norm(FEATURES)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(FEATURES, classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] ** 2 * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(n, classes)` of frames `(n, channels, height, width)`."""
        stem = functional.relu6(self.bn1(self.conv_stem(x)))
        features = functional.relu6(self.bn2(self.conv_head(self.blocks(stem))))
        logits: Tensor = self.classifier(self.dropout(features.mean((2, 3))))
        return logits


_TOP_NAMES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST_BLOCK_NAMES = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def timm_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of `efficientnet-lite-pytorch` under timm's names; other names stay as they are.

    Examples:
        >>> list(timm_names({"_blocks.3._expand_conv.weight": torch.zeros(1), "_fc.bias": torch.zeros(1)}))
        ['blocks.2.0.conv_pw.weight', 'classifier.bias']
    """
    blocks = [f"blocks.{index}.{block}" for index, stage in enumerate(STAGES) for block in range(stage.blocks)]
    renamed = {}
    for name, value in weights.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if block and int(block[1]) < len(blocks):
            names = _FIRST_BLOCK_NAMES if int(block[1]) == 0 else _BLOCK_NAMES
            new_name = f"{blocks[int(block[1])]}.{names.get(block[2], block[2])}.{block[3]}"
        else:
            module, dot, leaf = name.partition(".")
            new_name = f"{_TOP_NAMES.get(module, module)}{dot}{leaf}"
        renamed[new_name] = value
    return renamed


class EfficientNetLite0Options(NetworkOptions):
    """EfficientNet-Lite0 (TensorFlow's TPU models, 2020), for weights trained on ImageNet."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the features that training drops before the classifier."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        return EfficientNetLite0(shape.classes, shape.channels, dropout=self.dropout)

    def convert(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NetworkOptions.convert`; see `timm_names`."""
        return timm_names(weights)
