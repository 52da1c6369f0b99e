"""The tiny synthetic store, made once, and a configuration that pretrains on it in a second."""

from __future__ import annotations

from typing import Any

import pytest

from heart2heart.representation.config import PretrainConfig
from heart2heart.testing.tiny import QUICK, TinyStore, tiny_store


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


def pretrain_config(store: TinyStore, **changes: Any) -> PretrainConfig:
    """Return a configuration that pretrains a small network on a tiny store for a few steps."""
    content: dict[str, Any] = {
        "data": {"stores": [str(store.store)], "split": str(store.split)},
        "network": QUICK["network"],
        "method": {"name": "simclr", "params": {"hidden": 16, "output": 8}},
        "pairs": 16,
        "steps": 6,
        "evaluate_every": 3,
        "checkpoint_every": 2,
        "log_every": 1,
        "collapse": {"frames": 64},
        "device": "cpu",
    }
    return PretrainConfig.parse(content | changes, where="test")
