"""Fine-tuning on a few labels: where its head begins, and what it does when it diverges."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.errors import DivergedError
from heart2heart.representation.few_shot import class_means
from heart2heart.representation.fine_tuning import FineTuneSettings, fine_tune, frame_logits
from heart2heart.representation.loaded_encoder import LoadedEncoder
from heart2heart.representation.pretrain import pretrain
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.pretraining_checks import tiny_pretraining
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.optimiser import OptimiserConfig


@pytest.fixture(scope="module")
def encoder(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> LoadedEncoder:
    folder = tmp_path_factory.mktemp("tuned") / "pretrained"
    pretrain(tiny_pretraining(tiny, steps=1), folder)
    return LoadedEncoder.load(folder)


def test_fine_tune_begins_at_the_nearest_class_mean(encoder: LoadedEncoder, tiny: TinyStore) -> None:
    frames = FrameStores.open([tiny.store])
    rows, targets = np.arange(0, 24), np.arange(24) // 3 % 4
    still = FineTuneSettings(steps=1, optimiser=OptimiserConfig(lr=1e-12))
    model = fine_tune(encoder, frames, rows, targets, 4, settings=still, seed=0)
    features = encoder.embed(frames.read(np.arange(24, 80)))
    distances = ((features[:, None] - class_means(encoder.embed(frames.read(rows)), targets, 4)) ** 2).sum(2)
    logits = frame_logits(model, frames, np.arange(24, 80), encoder.device)
    assert (logits.argmax(1) == distances.argmin(1)).all()


def test_fine_tune_says_that_it_diverged(encoder: LoadedEncoder, tiny: TinyStore) -> None:
    frames = FrameStores.open([tiny.store])
    wild = FineTuneSettings(steps=30, optimiser=OptimiserConfig(lr=1e9))
    with pytest.raises(DivergedError, match="fine-tuning is not finite"):
        fine_tune(encoder, frames, np.arange(12), np.arange(12) // 3, 4, settings=wild, seed=0)


def test_fine_tune_of_the_head_alone_leaves_the_encoder(encoder: LoadedEncoder, tiny: TinyStore) -> None:
    frames = FrameStores.open([tiny.store])
    settings = FineTuneSettings(steps=3, frozen=True)
    model = fine_tune(encoder, frames, np.arange(12), np.arange(12) // 3, 4, settings=settings, seed=0)
    tuned = dict(model[0].named_parameters())  # type: ignore[index]
    assert all((value == tuned[name]).all() for name, value in encoder.encoder.named_parameters())
