"""The networks: sizes that the literature states, shapes, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError, RunError, UnknownNameError
from heart2heart.testing.tiny import SIZE, TinyStore
from heart2heart.training.config import TrainConfig
from heart2heart.training.networks.build import NETWORKS, build_network
from heart2heart.training.networks.wide_resnet import WideResNet
from heart2heart.training.run import Run
from heart2heart.training.train import train


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_wide_res_net_canonical_has_the_parameters_of_wrn_28_2() -> None:
    assert count(WideResNet(5, 1)) == 1_466_677


def test_wide_res_net_paper_has_the_parameters_of_the_authors_network() -> None:
    assert count(WideResNet(4, 3, variant="paper")) == 5_927_892


def test_wide_res_net_paper_settings_reach_every_layer() -> None:
    network = WideResNet(4, variant="paper", depth=10)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    acts = [module for module in network.modules() if isinstance(module, nn.LeakyReLU)]
    assert {norm.momentum for norm in norms} == {0.001}
    assert {act.negative_slope for act in acts} == {0.1}
    assert len(norms) == len(acts) == 9
    assert [norm.num_features for norm in norms] == [16, 32, 32, 64, 64, 128, 128, 256, 256]


def test_wide_res_net_paper_gives_the_first_norm_of_later_groups_no_gradient() -> None:
    for variant, dead in (("paper", 3), ("canonical", 0)):
        network = WideResNet(4, variant=variant, depth=10)
        network(torch.randn(2, 1, 16, 16)).sum().backward()
        assert sum(parameter.grad is None for parameter in network.parameters()) == 2 * dead


def test_wide_res_net_small_is_the_same_class() -> None:
    network = WideResNet(4, depth=10, widen=1)
    assert network(torch.randn(3, 1, 24, 40)).shape == (3, 4)
    assert count(network) < 100_000


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("WideResNet", 32, {"variant": "paper", "depth": 10}),
        ("EfficientNetBN", 64, {}),
        ("DenseNet121", 64, {"init_features": 8, "growth_rate": 4}),
        ("ResNet18", 64, {}),
        ("SEResNet50", 64, {}),
        ("ViT", 32, {"hidden_size": 24, "mlp_dim": 32, "num_layers": 1, "num_heads": 2}),
    ],
)
def test_build_network_of_every_family_gives_unbounded_logits(name: str, size: int, options: dict[str, Any]) -> None:
    network = build_network(name, classes=4, size=size, **options).eval()
    logits: Tensor = network(torch.randn(2, 1, size, size))
    assert logits.shape == (2, 4)
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.fill_(50.0)
        assert network(torch.randn(2, 1, size, size)).min() > 1.5, "an activation follows the classifier"


def test_build_network_resnet_has_a_stem_of_stride_two() -> None:
    network = build_network("ResNet18", classes=4, size=64)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert first.stride == (2, 2)


def test_build_network_passes_norm_momentum_to_every_norm() -> None:
    for options, expected in (({}, 0.1), ({"variant": "paper"}, 0.001), ({"norm_momentum": 0.02}, 0.02)):
        network = build_network("WideResNet", classes=4, size=32, depth=10, **options)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert {norm.momentum for norm in norms} == {expected}


def test_build_network_norm_group_depends_on_no_other_frame_and_keeps_no_statistics() -> None:
    network = build_network("WideResNet", classes=4, size=32, depth=10, widen=1, norm="group").train()
    frames = torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(network(frames)[:1], network(frames[:1]))
    assert not list(network.buffers())
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert [norm.num_channels for norm in norms] == [16, 16, 16, 32, 32, 64, 64]
    x = network.get_submodule("stem")(frames)
    groups = x.reshape(3, 8, 2, 32, 32)  # eight groups of two channels
    mean, variance = groups.mean((2, 3, 4), keepdim=True), groups.var((2, 3, 4), keepdim=True, correction=0)
    expected = ((groups - mean) / (variance + norms[0].eps).sqrt()).reshape(x.shape)
    torch.testing.assert_close(norms[0](x), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ConfigError, match="keeps no statistics: norm_momentum"):
        build_network("WideResNet", classes=4, size=32, norm="group", norm_momentum=0.1)


def test_build_network_lists_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'ResNot'.*DenseNet121.*WideResNet"):
        build_network("ResNot", classes=4, size=64)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("WideResNet", {"depth": 11}),
        ("WideResNet", {"widen": 0}),
        ("WideResNet", {"norm_momentum": 0.0}),
        ("WideResNet", {"colour": True}),
        ("ViT", {"num_heads": 5}),
        ("DenseNet121", {"depth": 3}),
    ],
)
def test_build_network_refuses_bad_options(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build_network(name, classes=4, size=64, **options)
    with pytest.raises(ConfigError, match="variant: Input should be 'canonical' or 'paper'"):
        build_network("WideResNet", classes=4, size=64, variant="wide")


def test_build_network_names_the_options_that_exist() -> None:
    known = r"deep: unknown key \(known: variant, depth, widen, blocks, norm_momentum, norm\)"
    with pytest.raises(ConfigError, match=known):
        build_network("WideResNet", classes=4, size=32, deep=10)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_document_every_option(name: str) -> None:
    assert all(field.description for field in NETWORKS[name].model_fields.values())


def test_network_parse_stored_passes_unlisted_options_of_monai(tmp_path: Path, tiny: TinyStore) -> None:
    options = {"init_features": 8, "growth_rate": 4, "block_config": [1, 1]}
    run = train(tiny.config(network={"name": "DenseNet121", "options": options}, steps=1), tmp_path / "run")
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE), np.uint8)
    file = tmp_path / "run" / "config.yaml"
    file.write_text(file.read_text().replace("growth_rate: 4", "growth_rate: 4\n    progress: false"))
    with pytest.raises(ConfigError, match="progress: unknown key"):
        TrainConfig.load(file)
    again = Run.load(run.path)
    assert again.config.network.options == options | {"progress": False}
    np.testing.assert_array_equal(again.predict(pixels), run.predict(pixels))
    file.write_text(file.read_text().replace("progress: false", "wings: 2"))
    with pytest.raises(RunError, match="wings: unknown key"):
        Run.load(run.path)


@pytest.mark.parametrize(
    ("name", "unlisted"),
    [
        ("EfficientNetBN", {"progress"}),
        ("DenseNet121", {"progress", "bn_size"}),
        ("ResNet18", {"progress", "feed_forward"}),
        ("SEResNet50", {"progress", "reduction"}),
        ("ViT", {"save_attn"}),
    ],
)
def test_network_parse_stored_knows_the_arguments_of_each_family(name: str, unlisted: set[str]) -> None:
    kind = NETWORKS[name]
    for option in unlisted:
        kind.parse_stored({option: True if option != "bn_size" else 2}, where="test")
    with pytest.raises(ConfigError, match="wings: unknown key"):
        kind.parse_stored({"wings": 2}, where="test")
