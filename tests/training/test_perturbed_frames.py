"""The perturbed validation frames: a fixed, even sample of every class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import perturbed_frames
from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from heart2heart.training.data import FramePool
from heart2heart.training.perturbed_frames import SELECTION_LEVEL, PerturbedFrames


def pool(tiny: TinyStore) -> FramePool:
    return FramePool(FrameStore.open(tiny.store), np.arange(40, dtype=np.int64), torch.device("cpu"))


def test_perturbed_frames_take_perturbs_every_frame_once(tiny: TinyStore) -> None:
    frames = PerturbedFrames(pool(tiny), torch.arange(40) % 4)
    assert sorted(frames.index.tolist()) == list(range(40))
    for kind in ("gain", "shadow"):
        expected = perturb(kind, SELECTION_LEVEL, pool(tiny).take(frames.index))
        assert torch.equal(frames.take(kind), expected)
        assert frames.take(kind) is frames.take(kind)
    assert frames.kinds == tuple(PERTURBATIONS)


def test_perturbed_frames_are_an_even_sample_of_every_class(tiny: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbed_frames, "PERTURBED_FRAMES", 20)
    targets = torch.tensor([0] * 24 + [1] * 14 + [2] * 2)
    frames = PerturbedFrames(pool(tiny), targets)
    assert torch.bincount(targets[frames.index]).tolist() == [12, 7, 1]
    assert len(set(frames.index.tolist())) == 20
    assert torch.equal(frames.index, PerturbedFrames(pool(tiny), targets).index)
