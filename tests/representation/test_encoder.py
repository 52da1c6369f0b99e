"""The encoder of a classifier: which features, which weights, which parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from heart2heart.errors import ConfigError
from heart2heart.representation.encoder import Encoder, build_encoder, pool_features
from heart2heart.training.networks.build import NetworkConfig, build_network

SMALL = NetworkConfig(name="WideResNet", options={"depth": 10, "widen": 1, "blocks": 2})


def small_network() -> nn.Module:
    return build_network(SMALL.name, classes=3, size=16, **SMALL.options)


def test_encoder_gives_the_input_of_the_head() -> None:
    network = small_network().eval()
    encoder = build_encoder(network, SMALL)
    frames = torch.randn(4, 1, 16, 16)
    features = encoder(frames)
    (head,) = encoder.head
    classifier = dict(network.named_modules())[head]
    torch.testing.assert_close(classifier(features), network(frames))


@pytest.mark.parametrize("name", ["SonoNet16", "EfficientNetLite0"])
def test_encoder_takes_other_networks(name: str) -> None:
    settings = NetworkConfig(name=name)
    encoder = build_encoder(build_network(name, classes=2, size=32), settings).eval()
    features = encoder(torch.zeros(2, 1, 32, 32))
    assert features.shape == (2, {"SonoNet16": 128, "EfficientNetLite0": 1280}[name])


def test_encoder_gives_the_output_of_a_named_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 14 * 14, 2))
    frames = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(Encoder(network, ["3"], "1")(frames), network[:2](frames).mean((2, 3)))


def test_encoder_refuses_a_layer_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="has no layer 'block9'"):
        build_encoder(small_network(), SMALL, "block9")
    with pytest.raises(ConfigError, match="has no head"):
        Encoder(nn.Flatten(), [])


def test_encoder_refuses_a_layer_that_no_frame_passes() -> None:
    network = small_network()
    network.add_module("unused", nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="gives no tensor"):
        Encoder(network, ["classifier"], "unused")(torch.zeros(2, 1, 16, 16))


def test_weights_leave_the_head_out_and_are_copies() -> None:
    network = small_network()
    encoder = build_encoder(network, SMALL)
    weights = encoder.weights()
    (head,) = encoder.head
    assert set(weights) == {name for name in network.state_dict() if not name.startswith(head)}
    before = {name: value.clone() for name, value in weights.items()}
    for parameter in network.parameters():
        parameter.data.zero_()
    assert all(torch.equal(weights[name], before[name]) for name in weights)


def test_trained_parameters_are_those_that_the_features_depend_on() -> None:
    network = small_network()
    state = copy.deepcopy(network.state_dict())
    whole = build_encoder(network, SMALL)
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    names = {named[id(parameter)] for parameter in whole.trained_parameters(16)}
    assert names == {name for name in named.values() if not name.startswith(whole.head[0])}
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    first = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    early = build_encoder(network, SMALL, first).trained_parameters(16)
    assert {named[id(parameter)].rpartition(".")[0] for parameter in early} == {first}


def test_pool_features_averages_places_and_tokens() -> None:
    tokens = torch.arange(12.0).view(2, 3, 2)
    torch.testing.assert_close(pool_features(tokens), torch.tensor([[2.0, 3.0], [8.0, 9.0]]))
    torch.testing.assert_close(
        pool_features(tokens.view(2, 3, 2, 1)), torch.tensor([[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]])
    )
    with pytest.raises(ConfigError, match="5 dimensions"):
        pool_features(torch.zeros(1, 1, 1, 1, 1))
