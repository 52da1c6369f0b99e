"""Networks of timm: what is passed on, what is refused, and timm itself where it is installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.networks.build import NETWORKS, build_network


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the calls of `create_model` of a timm that knows two models."""
    received: list[dict[str, Any]] = []

    def create_model(model: str, **arguments: Any) -> nn.Module:
        received.append({"model": model, **arguments})
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(arguments["num_classes"]))

    names = ["resnet18", "resnet34"]
    timm = SimpleNamespace(create_model=create_model, is_model=names.__contains__, list_models=lambda _: names)
    monkeypatch.setitem(sys.modules, "timm", timm)
    return received


def test_timm_options_never_download(calls: list[dict[str, Any]]) -> None:
    network = build_network("timm", classes=5, size=8, model="resnet34", drop_rate=0.1, arguments={"img_size": 8})
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
    assert calls == [
        {"model": "resnet34", "pretrained": False, "in_chans": 1, "num_classes": 5, "drop_rate": 0.1, "img_size": 8}
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arguments": {"pretrained": True}}, r"pretrained cannot be set here; name weights in network\.init"),
        ({"arguments": {"checkpoint_path": "a.pt", "num_classes": 3}}, "checkpoint_path, num_classes cannot be set"),
        ({"model": "hf-hub:timm/resnet18"}, "model: String should match pattern"),
        ({"drop_rate": 1}, "drop_rate: Input should be less than 1"),
        ({"pretrained": True}, r"unknown key \(known: model, drop_rate, arguments\)"),
    ],
)
def test_timm_options_refuse_what_downloads(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NETWORKS["timm"].parse(options, where="network.options")


def test_timm_options_name_models_that_exist(calls: list[dict[str, Any]]) -> None:
    with pytest.raises(UnknownNameError, match=r"timm has no model 'resnet17'.*Some that it has: resnet18, resnet34"):
        build_network("timm", classes=4, size=32, model="resnet17")
    assert calls == []


def test_timm_options_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"timm cannot be imported.*heart2heart\[timm\]"):
        build_network("timm", classes=4, size=32)


def test_timm_options_build_a_network_of_timm() -> None:
    pytest.importorskip("timm", reason="needs timm, whose torchvision must be of torch's own build")
    network = build_network("timm", classes=4, size=64, model="tf_efficientnet_lite0").eval()
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 4)
