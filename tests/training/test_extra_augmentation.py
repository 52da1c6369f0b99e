"""Runs with a researcher's own augmentation pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.training.run import Run
from heart2heart.training.train import advance, train
from tests.training.test_train import BOTH, final, lines, same
from tests.training.tiny_study import World


def pipeline(path: Path, p: float = 0.5, name: str = "GaussNoise") -> Path:
    path.write_text(yaml.safe_dump({"__version__": "2.0.8", "transform": {"__class_fullname__": name, "p": p}}))
    return path


def settings(path: Path, driver: str = "batched") -> dict[str, Any]:
    return BOTH | {"steps": 6, "augmentation": {"driver": driver, "extra": str(path)}}


@pytest.mark.parametrize("driver", ["batched", "albumentations"])
def test_train_resumes_exactly_with_an_extra_pipeline(world: World, tmp_path: Path, driver: str) -> None:
    config = world.config(**settings(pipeline(tmp_path / "mine.yaml"), driver))
    plain = world.config(**BOTH | {"steps": 6, "augmentation": {"driver": driver}})
    assert config.digest() != plain.digest()
    train(config, tmp_path / "whole")
    advance(config, tmp_path / "paused", until=3)
    train(config, tmp_path / "paused")
    assert same(final(tmp_path / "whole"), final(tmp_path / "paused"))
    train(plain, tmp_path / "plain")
    assert lines(tmp_path / "plain") != lines(tmp_path / "whole")


def test_train_refuses_to_resume_with_another_pipeline(world: World, tmp_path: Path) -> None:
    first = world.config(**settings(pipeline(tmp_path / "mine.yaml")))
    advance(first, tmp_path / "run", until=2)
    moved = world.config(**settings(pipeline(tmp_path / "moved.yaml")))
    assert moved.digest() == first.digest()
    other = world.config(**settings(pipeline(tmp_path / "mine.yaml", p=0.6)))
    assert other.digest() != first.digest()
    with pytest.raises(RunError, match=r"another configuration.*augmentation\.extra\.transform\.p"):
        train(other, tmp_path / "run")
    (tmp_path / "mine.yaml").unlink()
    (tmp_path / "moved.yaml").unlink()
    train(moved, tmp_path / "run")
    assert Run.load(str(tmp_path / "run")).config.digest() == first.digest()


def test_train_refuses_a_pipeline_before_it_makes_a_folder(world: World, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no augmentation pipeline here"):
        world.config(**settings(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigError, match=r"augmentation\.extra: .*no serialisable transform Lambda"):
        world.config(**settings(pipeline(tmp_path / "mine.yaml", name="Lambda")))
    config = world.config(**settings(pipeline(tmp_path / "mine.yaml", p=1, name="ToFloat")))
    with pytest.raises(ConfigError, match="makes float32"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
