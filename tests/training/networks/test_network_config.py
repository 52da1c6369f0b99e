"""The network's section: what excludes what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ConfigError
from heart2heart.training.networks.network_config import NetworkConfig


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
        ({"licence": "MIT"}, "known: name, options, init, init_sha256, init_licence, init_input, freeze, encoder_lr"),
    ],
)
def test_network_config_refuses_what_does_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig.parse(settings, where=Path("x"))


def test_network_config_lets_pretrained_encoders_be_frozen() -> None:
    assert NetworkConfig(init="a.pt", freeze="encoder").freeze == "encoder"
    assert NetworkConfig(name="EfficientNetBN", options={"pretrained": True}, freeze="encoder").init == "scratch"
