"""The check of a pretraining method: its settings, its gradient, learning and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from heart2heart.representation.collapse import frame_features
from heart2heart.representation.config import PretrainConfig
from heart2heart.representation.encoder import Encoder, build_encoder
from heart2heart.representation.methods import PRETRAIN_METHODS, PretrainMethod
from heart2heart.representation.pretrain import pretrain
from heart2heart.representation.trainer import PretrainTrainer
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.runs import assert_resumes
from heart2heart.testing.tiny import QUICK, SIZE, TinyStore, tiny_store
from heart2heart.training import checkpoint
from heart2heart.training.augment.batched import normalise
from heart2heart.training.batch_norm import record_statistics
from heart2heart.training.data import TrainData
from heart2heart.training.networks.build import build_network
from heart2heart.training.train import seeded_backends

CPU = torch.device("cpu")


def check_pretraining_method(method: PretrainMethod, folder: Path, *, learns_by: float = 0.05) -> None:
    """Assert that a pretraining method does what those of heart2heart do.

    Its settings survive YAML. Its loss is finite and reaches every parameter of the encoder and of its heads. Frames of
    one view come closer together than they were at the start, on a tiny store whose labels are not read. A pretraining
    that is stopped and resumed ends in the same bits.

    Args:
        method: The method with its settings. It need not be registered.
        folder: An empty folder for a store and pretrainings.
        learns_by: Rise of the share of the features' variance that lies between views, in 30 steps.

    Raises:
        AssertionError: the message says what is wrong.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from heart2heart.representation.methods.byol import BYOL
        >>> with TemporaryDirectory() as folder:
        ...     check_pretraining_method(BYOL(hidden=32, output=16), Path(folder))
    """
    content = method.model_dump(mode="json")
    assert type(method).parse(content, where="check") == method, "settings are lost as YAML"
    store = tiny_store(folder / "tiny")
    with PRETRAIN_METHODS.name_of(type(method)) as name:
        section = {"name": name, "params": content}
        _check_gradient(tiny_pretraining(store, method=section))
        _check_learns(tiny_pretraining(store, method=section, steps=30), store, folder / "learns", learns_by)
        _check_resumes(tiny_pretraining(store, method=section, steps=4), folder)


def tiny_pretraining(store: TinyStore, **changes: Any) -> PretrainConfig:
    """Return a configuration that pretrains a small network on a tiny store for a few steps."""
    content: dict[str, Any] = {
        "data": {"stores": [str(store.store)], "split": str(store.split)},
        "network": QUICK["network"],
        "method": {"name": "simclr", "params": {"hidden": 16, "output": 8}},
        "optimiser": {"name": "adam", "lr": 0.005},
        "pairs": 32,
        "steps": 4,
        "evaluate_every": 3,
        "checkpoint_every": 2,
        "log_every": 1,
        "collapse": {"frames": 64},
        "device": "cpu",
    }
    return PretrainConfig.parse(content | changes, where="test")


def _check_gradient(config: PretrainConfig) -> None:
    settings = config.network
    with seeded_backends(0, CPU):
        network = build_network(settings.name, classes=2, size=SIZE, **settings.options)
        trainer = PretrainTrainer(network, config, SIZE)
        views = torch.rand(2, 8, 1, SIZE, SIZE).unbind(0)
        loss = trainer.step((views[0], views[1]), 0)["loss"]
    assert torch.isfinite(loss), "the loss is not finite"
    # The bias of a layer before a normalisation has no effect; every weight has.
    still = [
        name
        for name, each in trainer.modules.named_parameters()
        if each.requires_grad and each.ndim > 1 and (each.grad is None or not bool(each.grad.any()))
    ]
    assert not still, f"no gradient reaches {', '.join(still)}"


def _check_learns(config: PretrainConfig, store: TinyStore, out: Path, learns_by: float) -> None:
    settings = config.network
    with seeded_backends(config.seed, CPU):
        network = build_network(settings.name, classes=2, size=SIZE, **settings.options)
    encoder = build_encoder(network, settings)
    before = view_share(encoder, store, config)
    finished = pretrain(config, out)
    network.load_state_dict(checkpoint.load(finished.weights)["weights"], strict=False)
    after = view_share(encoder, store, config)
    assert after > before + learns_by, f"views explain {before:.2f} of the variance before and {after:.2f} after"


def view_share(encoder: Encoder, store: TinyStore, config: PretrainConfig) -> float:
    """Return the share of the variance of the features' directions that lies between views, 0 to 1."""
    frames = FrameStores.open([store.store])
    data = TrainData.open(SplitManifest.load(store.split), frames, store.config())
    pixels = torch.from_numpy(frames.read(data.validation.rows))
    record_statistics(encoder, lambda _: normalise(pixels)[:, None], 1)
    features: Tensor = functional.normalize(frame_features(encoder.eval(), pixels), dim=1)
    targets = torch.from_numpy(data.validation.targets)
    total = (features - features.mean(0)).square().sum()
    within = sum((features[targets == view] - features[targets == view].mean(0)).square().sum() for view in range(4))
    return float(1 - within / total)


def _check_resumes(config: PretrainConfig, folder: Path) -> None:
    assert_resumes(lambda path, progress: pretrain(config, path, progress=progress).last_checkpoint, folder, stop=3)
