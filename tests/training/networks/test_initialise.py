"""Weights in a network: names, heads, wrong shapes, and stems of three colours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError, RunError
from heart2heart.training.networks.build import NETWORKS
from heart2heart.training.networks.efficientnet_lite import EfficientNetLite0Options
from heart2heart.training.networks.initialise import LoadedNames, load_weights
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions
from heart2heart.training.networks.wide_resnet import WideResNetOptions

WHERE = Path("weights.pt")
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class StemOptions(NetworkOptions):
    """A stem, perhaps with a bias or a normalisation, and a linear layer."""

    bias: bool = False
    norm: bool = True

    def build(self, shape: ClassifierShape) -> nn.Module:
        stem = nn.Conv2d(shape.channels, 5, 3, bias=self.bias)
        norm = [nn.BatchNorm2d(5)] if self.norm else []
        layers = [stem, nn.Identity(), *norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, shape.classes)]
        return nn.Sequential(*layers)


def random_network(options: NetworkOptions, *, seed: int, classes: int = 4, channels: int = 1) -> nn.Module:
    """Return a network in evaluation mode whose running statistics are random too."""
    torch.manual_seed(seed)
    network = options.build(ClassifierShape(classes, channels, 32)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


def load(
    network: nn.Module, options: NetworkOptions, weights: dict[str, Tensor], *, keep_head: bool = True
) -> LoadedNames:
    return load_weights(network, options, weights, where=WHERE, keep_head=keep_head)


SMALL = WideResNetOptions(depth=10, widen=1)
FRAMES = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "network.", "backbone."])
def test_load_weights_gives_the_network_of_the_weights(prefix: str) -> None:
    source, target = (random_network(SMALL, seed=seed) for seed in (0, 1))
    loaded = load(target, SMALL, {prefix + name: value for name, value in source.state_dict().items()})
    assert torch.equal(target(FRAMES), source(FRAMES))
    assert (loaded.fresh, loaded.unused, loaded.loaded_share, loaded.stem) == ((), (), 1.0, None)


def test_load_weights_adds_the_prefix_of_a_wrapped_network() -> None:
    options = NETWORKS["ViT"].parse(
        {"hidden_size": 24, "mlp_dim": 32, "num_layers": 1, "num_heads": 2}, where="network.options"
    )
    source, target = (random_network(options, seed=seed) for seed in (0, 1))
    plain = {name.removeprefix("network."): value for name, value in source.state_dict().items()}
    assert load(target, options, plain).fresh == ()
    assert torch.equal(target(FRAMES), source(FRAMES))


def test_load_weights_leaves_a_head_of_another_shape_fresh() -> None:
    source, target = random_network(SMALL, seed=0, classes=7), random_network(SMALL, seed=1)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    loaded = load(target, SMALL, source.state_dict())
    assert loaded.fresh == loaded.unused[::-1] == ("classifier.weight", "classifier.bias")
    after, stored = target.state_dict(), source.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in loaded.fresh)
    assert all(torch.equal(after[name], stored[name]) for name in loaded.loaded)
    heads = sum(before[name].numel() for name in loaded.fresh)
    total = sum(parameter.numel() for parameter in target.parameters())
    assert loaded.loaded_share == pytest.approx(1 - heads / total)


def test_load_weights_leaves_a_head_fresh_where_part_of_it_is_missing_or_not_wanted() -> None:
    source, target = (random_network(SMALL, seed=seed) for seed in (0, 1))
    weights = source.state_dict()
    assert load(target, SMALL, weights, keep_head=False).fresh == ("classifier.weight", "classifier.bias")
    del weights["classifier.bias"]
    assert load(target, SMALL, weights).fresh == ("classifier.weight", "classifier.bias")


def test_load_weights_names_what_is_missing_and_not_used() -> None:
    source, target = (random_network(SMALL, seed=seed) for seed in (0, 1))
    weights = source.state_dict()
    del weights["stem.conv.weight"]
    loaded = load(target, SMALL, weights | {"projector.weight": torch.zeros(3)})
    assert (loaded.fresh, loaded.unused) == (("stem.conv.weight",), ("projector.weight",))


def test_load_weights_names_layers_of_another_shape() -> None:
    source, target = random_network(WideResNetOptions(depth=10, widen=2), seed=0), random_network(SMALL, seed=1)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    match = r"other shapes.*units\.0\.convolution\.conv\.weight \(32, 16, 3, 3\), not \(16, 16, 3, 3\).*more"
    with pytest.raises(RunError, match=match) as caught:
        load(target, SMALL, source.state_dict())
    assert (caught.value.where, caught.value.exit_code) == (WHERE, 2)
    assert "network.options" in str(caught.value.remedy)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_load_weights_refuses_weights_of_another_network() -> None:
    target = random_network(SMALL, seed=0)
    for weights in ({"layer1.weight": torch.zeros(2)}, {"classifier.weight": target.state_dict()["classifier.weight"]}):
        with pytest.raises(RunError, match="no weight of WideResNet's encoder is in this file, which has"):
            load(target, SMALL, weights)


@pytest.mark.parametrize("options", [StemOptions(), StemOptions(bias=True), EfficientNetLite0Options()])
@pytest.mark.parametrize("colours", ["symmetric", "imagenet"])
def test_load_weights_folds_a_stem_of_three_colours(
    options: NetworkOptions, colours: Literal["symmetric", "imagenet"]
) -> None:
    source = random_network(options, seed=0, channels=3).double()
    target = random_network(options, seed=1)
    loaded = load_weights(target, options, source.state_dict(), where=WHERE, input_range=colours)
    assert loaded.stem is not None
    assert loaded.stem.startswith("stem: sum over three colours")
    # An even border, so that padding with zeros stays out of the comparison.
    colour = FRAMES.double().expand(-1, 3, -1, -1)
    if colours == "imagenet":
        colour = ((colour + 1) / 2 - MEAN) / DEVIATION
    if isinstance(options, StemOptions):
        torch.testing.assert_close(target.double()(FRAMES.double()), source(colour), rtol=1e-5, atol=1e-5)
        return
    stems = [nn.Sequential(network.get_submodule("conv_stem"), network.get_submodule("bn1")) for network in
             (target.double(), source)]  # fmt: skip
    grey, rgb = stems[0](FRAMES.double()), stems[1](colour)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(grey[inner], rgb[inner], rtol=1e-5, atol=1e-5)


def test_load_weights_says_where_no_bias_takes_the_mean_of_the_colours() -> None:
    options = StemOptions(norm=False)
    source, target = random_network(options, seed=0, channels=3), random_network(options, seed=1)
    loaded = load_weights(target, options, source.state_dict(), where=WHERE, input_range="imagenet")
    assert "no bias could take its mean" in str(loaded.stem)


def test_load_weights_refuses_colours_of_a_grey_stem() -> None:
    source, target = (random_network(SMALL, seed=seed) for seed in (0, 1))
    with pytest.raises(ConfigError, match="init_input is set, but the weights have no stem of three colours"):
        load_weights(target, SMALL, source.state_dict(), where=WHERE, input_range="imagenet")


def test_load_weights_keeps_the_type_of_the_network() -> None:
    source, target = random_network(SMALL, seed=0).half(), random_network(SMALL, seed=1)
    load(target, SMALL, source.state_dict())
    assert {value.dtype for value in target.parameters()} == {torch.float32}
    torch.testing.assert_close(target.float()(FRAMES), source.float()(FRAMES), rtol=1e-4, atol=1e-4)
