"""EfficientNet-Lite0: its size, its padding, and the names of other programs against a plain forward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from heart2heart.training.networks.build import build_network
from heart2heart.training.networks.efficientnet_lite import EfficientNetLite0, EfficientNetLite0Options, timm_names

# Of every block: expansion, side of the kernel, stride, channels out.
BLOCKS = [
    (1, 3, 1, 16), (6, 3, 2, 24), (6, 3, 1, 24), (6, 5, 2, 40), (6, 5, 1, 40), (6, 3, 2, 80), (6, 3, 1, 80),
    (6, 3, 1, 80), (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 2, 192), (6, 5, 1, 192), (6, 5, 1, 192),
    (6, 5, 1, 192), (6, 3, 1, 320),
]  # fmt: skip


def lite_weights(channels: int = 3, classes: int = 10) -> dict[str, Tensor]:
    """Return random weights under the names of `efficientnet-lite-pytorch`."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def add(convolution: str, norm: str, outside: int, inside: int, kernel: int) -> None:
        state[f"{convolution}.weight"] = torch.randn(outside, inside, kernel, kernel, generator=generator) / (
            kernel * inside**0.5
        )
        for leaf in ("weight", "bias", "running_mean"):
            state[f"{norm}.{leaf}"] = torch.randn(outside, generator=generator) / 4 + (leaf == "weight")
        state[f"{norm}.running_var"] = torch.rand(outside, generator=generator) + 0.5
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    add("_conv_stem", "_bn0", 32, channels, 3)
    inside = 32
    for index, (expansion, kernel, _, outside) in enumerate(BLOCKS):
        block, wide = f"_blocks.{index}", inside * expansion
        if expansion > 1:
            add(f"{block}._expand_conv", f"{block}._bn0", wide, inside, 1)
        add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel)
        add(f"{block}._project_conv", f"{block}._bn2", outside, wide, 1)
        inside = outside
    add("_conv_head", "_bn1", 1280, inside, 1)
    state["_fc.weight"] = torch.randn(classes, 1280, generator=generator) / 36
    state["_fc.bias"] = torch.randn(classes, generator=generator)
    return state


def plain_logits(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the logits by torch's functions alone, over weights with the names of `efficientnet-lite-pytorch`."""

    def unit(x: Tensor, convolution: str, norm: str, *, stride: int = 1, active: bool = True) -> Tensor:
        weight = state[f"{convolution}.weight"]
        kernel = weight.shape[-1]
        for side in (2, 3):  # SAME: the outputs are ceil(size / stride), the odd pixel of padding comes last
            size = x.shape[side]
            total = max(((size + stride - 1) // stride - 1) * stride + kernel - size, 0)
            padding = [0, 0, total // 2, total - total // 2] if side == 2 else [total // 2, total - total // 2, 0, 0]
            x = functional.pad(x, padding)
        x = functional.conv2d(x, weight, stride=stride, groups=1 if weight.shape[1] > 1 else x.shape[1])
        values = [state[f"{norm}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")]
        mean, variance, gamma, beta = (value.view(1, -1, 1, 1) for value in values)
        x = (x - mean) / (variance + 1e-3).sqrt() * gamma + beta
        return x.clamp(0, 6) if active else x

    x = unit(x, "_conv_stem", "_bn0", stride=2)
    for index, (expansion, _, stride, outside) in enumerate(BLOCKS):
        block, before = f"_blocks.{index}", x
        if expansion > 1:
            x = unit(x, f"{block}._expand_conv", f"{block}._bn0")
        x = unit(x, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride)
        x = unit(x, f"{block}._project_conv", f"{block}._bn2", active=False)
        if stride == 1 and before.shape[1] == outside:
            x = x + before
    features = unit(x, "_conv_head", "_bn1").mean((2, 3))
    return features @ state["_fc.weight"].T + state["_fc.bias"]


@pytest.mark.parametrize("size", [(64, 64), (57, 75)])
def test_timm_names_give_the_logits_of_a_plain_forward_pass(size: tuple[int, int]) -> None:
    state = lite_weights()
    network = EfficientNetLite0(10, 3).eval().double()
    network.load_state_dict(timm_names(state))  # strict: every name is there, and no other
    frames = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        expected = plain_logits({name: value.double() for name, value in state.items()}, frames)
        torch.testing.assert_close(network(frames), expected, rtol=1e-6, atol=1e-6)


def test_timm_names_leave_other_names() -> None:
    weights = {"blocks.0.0.conv_dw.weight": torch.zeros(1), "_blocks.99._bn1.weight": torch.zeros(1)}
    assert list(EfficientNetLite0Options().convert(weights)) == list(weights)


def test_efficient_net_lite0_has_the_parameters_of_the_published_network() -> None:
    network = EfficientNetLite0(1000, 3)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    assert sum(value.numel() for value in lite_weights(classes=1000).values()) == sum(
        value.numel() for value in network.state_dict().values()
    )


def test_build_network_efficientnet_lite0_with_dropout() -> None:
    network = build_network("EfficientNetLite0", classes=4, size=32, dropout=0.5).eval()
    frames = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(frames)
        network.get_submodule("dropout").train()
        assert not torch.equal(network(frames), before)
