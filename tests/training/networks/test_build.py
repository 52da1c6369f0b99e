"""The network's section of a configuration, and the frozen encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from heart2heart.errors import ConfigError
from heart2heart.training.networks.build import (
    NetworkConfig,
    build_network,
    freeze_encoder,
    network_head,
    prepare_encoder,
    set_encoder_to_evaluation,
)
from heart2heart.training.networks.options import in_modules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": "encoder"}, "an encoder with random weights would stay random"),
        ({"freeze": "encoder", "init": "a.pt", "encoder_lr": 0.1}, "a frozen encoder has no learning rate"),
        ({"encoder_lr": 0}, "encoder_lr: Input should be greater than 0"),
        ({"init_licence": "MIT"}, "they belong to weights"),
        ({"init_sha256": "0" * 64}, "they belong to weights"),
        ({"init": "a.pt", "init_sha256": "abc"}, "init_sha256: String should match"),
        ({"init": "a.pt", "init_input": "rgb"}, "init_input: Input should be 'symmetric' or 'imagenet'"),
        ({"init": 3}, "init: Input should be a valid string"),
        (
            {"licence": "MIT"},
            "known: name, options, init, init_sha256, init_licence, init_input, init_scored, freeze, encoder_lr",
        ),
    ],
)
def test_network_config_refuses_what_does_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig.parse(settings, where=Path("x"))


def test_network_config_lets_pretrained_encoders_be_frozen() -> None:
    assert NetworkConfig(init="a.pt", freeze="encoder").freeze == "encoder"
    assert NetworkConfig(name="EfficientNetBN", options={"pretrained": True}, freeze="encoder").init == "scratch"


VIT = {"hidden_size": 24, "mlp_dim": 32, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("name", "options", "head"),
    [
        ("WideResNet", {"depth": 10}, ("classifier",)),
        ("SonoNet16", {}, ("adaptation", "classifier")),
        ("EfficientNetLite0", {}, ("classifier",)),
        ("ResNet18", {}, ("fc",)),
        ("DenseNet121", {"init_features": 8, "growth_rate": 4}, ("class_layers.out",)),
        ("EfficientNetBN", {}, ("_fc",)),
        ("ViT", VIT, ("network.classification_head",)),
    ],
)
def test_network_head_names_the_last_layer(name: str, options: dict[str, Any], head: tuple[str, ...]) -> None:
    network = build_network(name, classes=4, size=32, **options)
    assert network_head(NetworkConfig(name=name, options=options), network) == head
    for module in head:
        assert list(network.get_submodule(module).parameters())


def test_freeze_encoder_trains_the_head_alone() -> None:
    network = build_network("SonoNet16", classes=4, size=32)
    freeze_encoder(network, ("adaptation", "classifier"))
    trained = {name.split(".")[0] for name, value in network.named_parameters() if value.requires_grad}
    frozen = {name.split(".")[0] for name, value in network.named_parameters() if not value.requires_grad}
    assert (trained, frozen) == ({"adaptation", "classifier"}, {"encoder"})


@pytest.mark.parametrize("name", ["SonoNet16", "EfficientNetBN", "EfficientNetLite0"])
def test_set_encoder_to_evaluation_leaves_the_encoder_independent_of_the_batch(name: str) -> None:
    network = build_network(name, classes=4, size=32).train()
    head = network_head(NetworkConfig(name=name), network)
    set_encoder_to_evaluation(network, head)
    modes = {part: {module.training for key, module in network.named_modules() if key and
                    in_modules(key, head) is part and not any(in_modules(inner, (key,)) for inner in head)}
             for part in (True, False)}  # fmt: skip
    assert modes[False] == {False}
    assert all(network.get_submodule(part).training for part in head)
    before = {key: value.clone() for key, value in network.named_buffers() if not in_modules(key, head)}
    network(torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert before
    assert all(torch.equal(value, before[key]) for key, value in network.named_buffers() if key in before)


def test_set_encoder_to_evaluation_keeps_modules_that_hold_the_head() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Sequential(nn.Linear(2, 2))).train()
    set_encoder_to_evaluation(network, ("1.0",))
    assert [module.training for module in network.modules()] == [True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("settings", "head"),
    [({}, ()), ({"encoder_lr": 0.1}, ("classifier",)), ({"init": "a.pt", "freeze": "encoder"}, ("classifier",))],
)
def test_prepare_encoder_freezes_only_where_it_is_said(settings: dict[str, Any], head: tuple[str, ...]) -> None:
    config = NetworkConfig(options={"depth": 10, "widen": 1}, **settings)
    network = build_network("WideResNet", classes=4, size=32, **config.options).train()
    assert prepare_encoder(network, config) == head
    frozen = "freeze" in settings
    stem = network.get_submodule("stem")
    assert {value.requires_grad for value in stem.parameters()} == {not frozen}
    assert stem.training is not frozen
    assert network.get_submodule("classifier").training
