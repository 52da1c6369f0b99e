"""What must not be learned from is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from heart2heart.errors import ConfigError, LeakageError, RunError, SplitError, UnknownNameError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.training.data import TrainData
from heart2heart.training.train import train
from tests.training.tiny_study import FRAMES_A_CLIP, PARTS, SIZE, World, make_world


def test_roles_and_modes_select_the_rows(world: World) -> None:
    split, store = SplitManifest.load(world.split), FrameStore.open(world.store)
    data = TrainData.open(split, store, world.config())
    assert len(data.train.rows) == PARTS["train"] * 4 * FRAMES_A_CLIP
    assert sorted(set(data.train.targets.tolist())) == [0, 1, 2, 3]
    assert len(data.unlabeled) == PARTS["unlabeled"] * 4 * FRAMES_A_CLIP
    assert not set(data.unlabeled) & set(data.train.rows)
    other = TrainData.open(split, store, world.config(pool={"modes": ["spectral"]}))
    assert len(other.unlabeled) == 0


def test_an_empty_pool_is_an_error_only_where_it_is_needed(world: World, tmp_path: Path) -> None:
    empty = {"pool": {"modes": ["spectral"]}, "steps": 1}
    with pytest.raises(RunError, match=r"FixMatch needs unlabeled frames, and the pool is empty.*pool\.modes"):
        train(world.config(**empty, method={"name": "fixmatch"}), tmp_path / "fixmatch")
    train(world.config(**empty), tmp_path / "labels_only")


def test_a_class_without_labels_is_named(tmp_path: Path) -> None:
    poor = make_world(tmp_path, views=(0, 1, 3))
    with pytest.raises(RunError, match="no training label of A4C"):
        train(poor.config(), tmp_path / "run")


def test_without_validation_nothing_can_be_selected(tmp_path: Path) -> None:
    poor = make_world(tmp_path, parts={"train": 2})
    with pytest.raises(RunError, match="no labeled validation frame"):
        train(poor.config(), tmp_path / "run")


def test_an_uncertified_split_is_refused(tmp_path: Path) -> None:
    fresh = make_world(tmp_path)
    (fresh.split / "certificate.json").unlink()
    with pytest.raises(LeakageError, match="certificate"):
        train(fresh.config(), tmp_path / "run")


def test_changed_data_are_refused(tmp_path: Path) -> None:
    fresh = make_world(tmp_path)
    other = make_world(tmp_path / "other", parts={"train": 1, "validation": 1})
    with pytest.raises(SplitError, match="no longer hold"):
        train(World(other.store, fresh.split).config(), tmp_path / "run")


def test_another_geometry_is_refused_on_resume_and_in_prediction(world: World, tmp_path: Path) -> None:
    run = train(world.config(steps=1), tmp_path / "run")
    FrameStore.create(tmp_path / "large", Geometry(size=2 * SIZE))
    with pytest.raises(RunError, match=r"takes frames of tmed2-16 .* the stores hold tmed2-32"):
        train(World(tmp_path / "large", world.split).config(steps=1), tmp_path / "run")
    with pytest.raises(RunError, match=r"takes uint8 frames \(n, 16, 16\)"):
        run.predict(torch.zeros(1, 2 * SIZE, 2 * SIZE, dtype=torch.uint8).numpy())


def test_unknown_names_are_listed(world: World, tmp_path: Path) -> None:
    for changes, known in (
        ({"network": {"name": "WideResNot"}}, "WideResNet"),
        ({"method": {"name": "flexmatch"}}, "fixmatch"),
        ({"fix_a_step": {"gradient": "pcgrad2"}}, "fix_a_step, pcgrad"),
    ):
        with pytest.raises(UnknownNameError, match=known):
            train(world.config(**changes), tmp_path / "run")
        assert not (tmp_path / "run").exists()
    for device in ("warp", "mps", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(ConfigError, match="device"):
            train(world.config(device=device), tmp_path / "run")
