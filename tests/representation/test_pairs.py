"""Which frames a pretraining reads, and which pairs it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heart2heart.errors import RunError
from heart2heart.representation.pairs import PairLoader, frame_column, patients_of, pretraining_rows
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.pretraining_checks import tiny_pretraining
from heart2heart.testing.stores import random_store
from heart2heart.testing.tiny import TinyStore

CPU = torch.device("cpu")


def loader_of(store: TinyStore, **changes: Any) -> PairLoader:
    config = tiny_pretraining(store, **changes)
    frames = FrameStores.open([store.store])
    return PairLoader(config, frames, pretraining_rows(config, frames, SplitManifest.load(store.split)), CPU)


def scored_patients(store: TinyStore) -> set[str]:
    members = SplitManifest.load(store.split).members.to_pylist()
    return {row["patient"] for row in members if row["role"] in (SplitRole.VALIDATION, SplitRole.TEST)}


def test_pretraining_rows_leave_scored_patients_out(tiny: TinyStore) -> None:
    loader = loader_of(tiny)
    read = {patient for _, patient in patients_of(loader.frames, loader.pool.rows)}
    assert len(read) == 15  # three of training, twelve of the pool
    assert not read & scored_patients(tiny)


def test_pretraining_rows_take_scored_patients_where_asked(tiny: TinyStore) -> None:
    data = {"stores": [str(tiny.store)], "split": str(tiny.split), "scored_patients": True}
    loader = loader_of(tiny, data=data)
    assert scored_patients(tiny) <= {patient for _, patient in patients_of(loader.frames, loader.pool.rows)}


def test_pretraining_rows_take_every_frame_without_a_split(tiny: TinyStore) -> None:
    config = tiny_pretraining(tiny, data={"stores": [str(tiny.store)]})
    frames = FrameStores.open([tiny.store])
    assert len(pretraining_rows(config, frames, None)) == len(frames.frames)
    with pytest.raises(RunError, match="no frame to pretrain on"):
        pretraining_rows(tiny_pretraining(tiny, pool={"modes": ["spectral"]}), frames, None)


def test_pair_loader_makes_two_views_of_one_frame(tiny: TinyStore) -> None:
    loader = loader_of(tiny)
    first, second = loader.next(0)
    assert first.shape == second.shape == (32, 1, 16, 16)
    assert torch.equal(loader.drawn["first"], loader.drawn["second"])
    assert not torch.equal(first, second)


def test_pair_loader_makes_pairs_of_two_frames_of_one_clip(tiny: TinyStore) -> None:
    loader = loader_of(tiny, positives="frames", pairs=60)
    seen: dict[str, set[int]] = {}
    for step in range(20):
        loader.next(step)
        first, second = (loader.pool.rows[loader.drawn[side].numpy()] for side in ("first", "second"))
        assert (first != second).all()
        clips = [frame_column(loader.frames, rows, "clip").to_pylist() for rows in (first, second)]
        assert clips[0] == clips[1]
        for clip, row in zip(clips[0], first.tolist(), strict=True):
            seen.setdefault(clip, set()).add(row)
    assert len(seen) == 60  # fifteen patients with four clips of three frames
    assert np.mean([len(rows) for rows in seen.values()]) > 2.9
    names = loader.frame_names(loader.drawn)
    assert names["first"][0].startswith(clips[0][0])


def test_pair_loader_refuses_clips_of_one_frame(tmp_path: Path, tiny: TinyStore) -> None:
    random_store(tmp_path / "stills", frames_each=1, patients=2)
    frames = FrameStores.open([tmp_path / "stills"])
    config = tiny_pretraining(tiny, positives="frames", data={"stores": [str(tmp_path / "stills")]})
    with pytest.raises(RunError, match="clips of two frames or more; each of these 20 clips has one"):
        PairLoader(config, frames, pretraining_rows(config, frames, None), CPU)
    views = config.model_copy(update={"positives": "views"})
    assert PairLoader(views, frames, pretraining_rows(views, frames, None), CPU).clips == 20


def test_state_dict_continues_with_the_same_pairs(tiny: TinyStore) -> None:
    one, other = (loader_of(tiny, positives="frames", pairs=7) for _ in range(2))
    one.next(0)
    other.load_state_dict(one.state_dict())
    for left, right in zip(one.next(1), other.next(1), strict=True):
        assert torch.equal(left, right)


def test_sample_is_always_the_same(tiny: TinyStore) -> None:
    loader = loader_of(tiny)
    first = loader.sample(10)
    loader.next(0)
    assert torch.equal(first, loader.sample(10))
    assert len(loader.sample(10_000)) == len(loader.pool)


def test_notes_name_what_repeats(tiny: TinyStore) -> None:
    assert loader_of(tiny).notes == []
    assert loader_of(tiny, pairs=500).notes == ["only 180 frames, fewer than pairs=500: some repeat"]
