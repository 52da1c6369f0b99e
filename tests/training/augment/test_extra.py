"""A researcher's own albumentations pipeline: read from a file, checked, and repeated by seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.testing.runs import same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.extra import ExtraPipeline, read_pipeline
from heart2heart.training.augment.per_sample import load_albumentations
from heart2heart.training.augment.policy import WEAK, Policy
from heart2heart.training.run import Run
from heart2heart.training.train import advance, train
from tests.training.augment.test_augment import SIZE, chance, frames
from tests.training.test_train import BOTH, final, lines

NOTHING = Policy(flip=0, crop=0)


def saved(path: Path, *transforms: Any, data_format: str = "yaml") -> Path:
    albumentations = load_albumentations()
    albumentations.save(albumentations.Compose(list(transforms)), path, data_format=data_format)
    return path


def several(path: Path) -> Path:
    albumentations = load_albumentations()
    blurs = [albumentations.GaussianBlur(p=1), albumentations.MedianBlur(p=1)]
    return saved(
        path,
        albumentations.GaussNoise(p=0.5),
        albumentations.OneOf(blurs, p=0.5),
        albumentations.HorizontalFlip(p=0.5),
        albumentations.InvertImg(p=0.5),
    )


def written(path: Path, transform: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"__version__": "2", "transform": transform}))
    return path


@pytest.mark.parametrize("data_format", ["yaml", "json"])
def test_read_pipeline_gives_what_albumentations_saved(tmp_path: Path, data_format: str) -> None:
    albumentations = load_albumentations()
    content = read_pipeline(saved(tmp_path / "file", albumentations.InvertImg(p=1), data_format=data_format))
    pixels = frames(3)
    assert torch.equal(ExtraPipeline(content)(pixels, torch.arange(3)), 255 - pixels)
    assert json.loads(json.dumps(content)) == content


def test_read_pipeline_takes_a_transform_outside_a_compose(tmp_path: Path) -> None:
    path = written(tmp_path / "file", {"__class_fullname__": "albumentations.InvertImg", "p": 1.0})
    pixels = frames(2)
    assert torch.equal(ExtraPipeline(read_pipeline(path))(pixels, torch.arange(2)), 255 - pixels)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"__class_fullname__": "os.system", "p": 1.0}, "os.system is not a transform of albumentations"),
        ({"__class_fullname__": "Lambda", "__name__": "x", "p": 1.0}, "no serialisable transform Lambda"),
        ({"__class_fullname__": "GausNoise", "p": 1.0}, "no serialisable transform GausNoise"),
        ({"__class_fullname__": "BboxParams", "p": 1.0}, "no serialisable transform BboxParams"),
        ({"__class_fullname__": "GaussNoise", "p": 1.0, "std": 3}, "'std' are not valid"),
        ({"__class_fullname__": "GaussNoise", "p": 7}, "less than or equal to 1"),
        ({"p": 1.0}, "has no `__class_fullname__`"),
        ({"__class_fullname__": "Compose", "transforms": ["InvertImg"]}, "is not a mapping"),
        ({"__class_fullname__": "Compose", "transforms": "InvertImg"}, "is not a list"),
    ],
)
def test_read_pipeline_refuses_other_content(tmp_path: Path, transform: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_pipeline(written(tmp_path / "file.yaml", transform))
    assert raised.value.where == tmp_path / "file.yaml"


def test_read_pipeline_evaluates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"transform: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'touched'}]\n")
    with pytest.raises(ConfigError, match="not readable YAML"):
        read_pipeline(path)
    path.write_text("- InvertImg\n")
    with pytest.raises(ConfigError, match="needs the key `transform`"):
        read_pipeline(path)
    with pytest.raises(MissingInputError):
        read_pipeline(tmp_path / "missing.yaml")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(("name", "message"), [("ToFloat", "makes float32"), ("RandomCrop", "makes uint8")])
def test_check_refuses_another_size_or_type(tmp_path: Path, name: str, message: str) -> None:
    albumentations = load_albumentations()
    options = {"height": 8, "width": 8} if name == "RandomCrop" else {}
    pipeline = ExtraPipeline(read_pipeline(saved(tmp_path / "file", getattr(albumentations, name)(p=1, **options))))
    with pytest.raises(ConfigError, match=message):
        pipeline.check(SIZE)


def test_extra_pipeline_depends_on_the_seed_of_a_frame_alone(tmp_path: Path) -> None:
    pipeline = ExtraPipeline(read_pipeline(several(tmp_path / "file")))
    pipeline.check(SIZE)
    pixels, seeds = frames(1).expand(64, -1, -1), torch.arange(64)
    whole = pipeline(pixels, seeds)
    assert torch.equal(pipeline(pixels.flip(0), seeds.flip(0)).flip(0), whole)
    assert torch.equal(pipeline(pixels[5:9], seeds[5:9]), whole[5:9])


def test_extra_pipeline_lets_transforms_decide_apart(tmp_path: Path) -> None:
    albumentations = load_albumentations()
    two = [albumentations.HorizontalFlip(p=0.5), albumentations.InvertImg(p=0.5)]
    pipeline = ExtraPipeline(read_pipeline(saved(tmp_path / "file", *two)))
    pixels = frames(1).expand(64, -1, -1)
    outcomes = {out.tobytes() for out in np.asarray(pipeline(pixels, torch.arange(64)))}
    assert len(outcomes) == 4


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_augment_applies_the_extra_pipeline_before_the_policy(tmp_path: Path, driver: str) -> None:
    albumentations = load_albumentations()
    extra = ExtraPipeline(read_pipeline(saved(tmp_path / "file", albumentations.InvertImg(p=1))))
    pixels = frames(4)
    out = augment(NOTHING, pixels, chance(), driver=driver, extra=extra)
    torch.testing.assert_close(out[:, 0], normalise(255 - pixels), atol=1e-4, rtol=0)
    policy = augment(WEAK, 255 - pixels, chance(), driver=driver)
    torch.testing.assert_close(augment(WEAK, pixels, chance(), driver=driver, extra=extra), policy)


def test_augment_gives_processes_the_rows_of_the_whole_batch(tmp_path: Path) -> None:
    extra = ExtraPipeline(read_pipeline(several(tmp_path / "file")))
    pixels = frames(8)
    whole = augment(WEAK, pixels, chance(), extra=extra)
    for rank in range(2):
        rows = slice(rank, 8, 2)
        part = augment(WEAK, pixels[rows], chance(), total=8, rows=rows, extra=extra)
        torch.testing.assert_close(part, whole[rows])


def pipeline(path: Path, p: float = 0.5, name: str = "GaussNoise") -> Path:
    path.write_text(yaml.safe_dump({"__version__": "2.0.8", "transform": {"__class_fullname__": name, "p": p}}))
    return path


def settings(path: Path, driver: str = "batched") -> dict[str, Any]:
    return BOTH | {"steps": 6, "augmentation": {"driver": driver, "extra": str(path)}}


@pytest.mark.parametrize("driver", ["batched", "albumentations"])
def test_train_resumes_exactly_with_an_extra_pipeline(tiny: TinyStore, tmp_path: Path, driver: str) -> None:
    config = tiny.config(**settings(pipeline(tmp_path / "mine.yaml"), driver))
    plain = tiny.config(**BOTH | {"steps": 6, "augmentation": {"driver": driver}})
    assert config.digest() != plain.digest()
    train(config, tmp_path / "whole")
    advance(config, tmp_path / "paused", until=3)
    train(config, tmp_path / "paused")
    assert same(final(tmp_path / "whole"), final(tmp_path / "paused"))
    train(plain, tmp_path / "plain")
    assert lines(tmp_path / "plain") != lines(tmp_path / "whole")


def test_train_refuses_to_resume_with_another_pipeline(tiny: TinyStore, tmp_path: Path) -> None:
    first = tiny.config(**settings(pipeline(tmp_path / "mine.yaml")))
    advance(first, tmp_path / "run", until=2)
    moved = tiny.config(**settings(pipeline(tmp_path / "moved.yaml")))
    assert moved.digest() == first.digest()
    other = tiny.config(**settings(pipeline(tmp_path / "mine.yaml", p=0.6)))
    assert other.digest() != first.digest()
    with pytest.raises(RunError, match=r"another configuration.*augmentation\.extra\.transform\.p"):
        train(other, tmp_path / "run")
    (tmp_path / "mine.yaml").unlink()
    (tmp_path / "moved.yaml").unlink()
    train(moved, tmp_path / "run")
    assert Run.load(str(tmp_path / "run")).config.digest() == first.digest()


def test_train_refuses_a_pipeline_before_it_makes_a_folder(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no augmentation pipeline here"):
        tiny.config(**settings(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigError, match=r"augmentation\.extra: .*no serialisable transform Lambda"):
        tiny.config(**settings(pipeline(tmp_path / "mine.yaml", name="Lambda")))
    config = tiny.config(**settings(pipeline(tmp_path / "mine.yaml", p=1, name="ToFloat")))
    with pytest.raises(ConfigError, match="makes float32"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
