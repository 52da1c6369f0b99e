"""A compiled network computes the same; without a compiler it is called as it is, and the record says so."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor

from heart2heart.testing.tiny import TinyStore
from heart2heart.training.model_access import Forward, place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train import train
from tests.training.test_train import BOTH, final

# of torch's compiler itself, on its import
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def test_forward_calls_the_network_itself_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    frames = torch.randn(3, 4)
    expected = small()(frames)
    with inductor.patch({"cpp.cxx": (None, "/nowhere/c++"), "fx_graph_cache": False}):
        model = Forward(small(), compiled=True)
        assert torch.equal(model(frames), expected)
    assert model.note == "not compiled: InvalidCxxCompiler"
    assert torch.equal(model(frames), expected)


def test_forward_passes_an_error_of_the_network_on() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        Forward(small(), compiled=True)(torch.randn(3, 5))


def test_train_compiled_takes_the_steps_of_a_plain_run(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of torch's compiler but the last part, the C++ compiler, which takes minutes.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    config: dict[str, Any] = BOTH | {"steps": 3, "log_every": 1}
    plain = train(tiny.config(**config), tmp_path / "plain")
    compiled = train(tiny.config(**config, compile="on"), tmp_path / "compiled")
    assert compiled.directory.record.notes == ()
    one, two = final(plain.path)["network"], final(compiled.path)["network"]
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_train_with_the_whole_compiler(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(steps=2, compile="on", log_every=1), tmp_path / "run")
    assert run.directory.record.notes == ()


@pytest.mark.parametrize("name", ["WideResNet", "SonoNet16", "EfficientNetLite0"])
def test_place_network_keeps_every_activation_channels_last(name: str) -> None:
    options: dict[str, Any] = {"depth": 10, "widen": 1} if name == "WideResNet" else {}
    network = build_network(name, classes=3, size=32, **options).eval()
    frames = torch.rand(2, 1, 32, 32)
    before = network(frames)
    seen: list[bool] = []
    for module in place_network(network, torch.device("cpu")).modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _, __, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
            )
    assert torch.allclose(network(frames), before, atol=1e-5)
    assert len(seen) > 5
    assert all(seen)
