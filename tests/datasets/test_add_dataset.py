"""Plain image sets by name: both parts, the official split, the published counts."""

from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets.add_dataset import add_dataset
from heart2heart.datasets.image_sets import CIFAR10_FILES, CIFAR100_FILES, read_cifar
from heart2heart.errors import MissingInputError, StoreError, UnknownNameError
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import official_split_names, read_official_splits
from tests.datasets import miniature


def _records(path: Path, seed: int, labels: list[list[int]]) -> None:
    planes = miniature.noise(seed, len(labels), 3072)
    path.write_bytes(np.concatenate([np.array(labels, np.uint8), planes], axis=1).tobytes())


def test_add_dataset_adds_both_parts_of_cifar10_and_its_split(tmp_path: Path) -> None:
    for seed, name in enumerate((*CIFAR10_FILES["train"], *CIFAR10_FILES["test"])):
        _records(tmp_path / name, seed, [[seed], [9 - seed]])
    report = add_dataset("cifar10", tmp_path, tmp_path / "store")
    assert (report.clips, report.patients, report.labels) == (12, 12, {})
    assert [(known.what, known.difference) for known in report.count_checks] == [
        ("train images", "49990 fewer"),
        ("test images", "9998 fewer"),
    ]
    rows = read_official_splits(tmp_path / "store", "cifar10").to_pylist()
    assert sorted((row["role"], row["view"]) for row in rows if row["role"] == "test") == [("test", "4"), ("test", "5")]
    assert official_split_names(tmp_path / "store") == {"cifar10": ["official"]}
    assert FrameStore.open(tmp_path / "store").geometry.size == 32
    assert add_dataset("cifar10", tmp_path, tmp_path / "store").clips == 0


def test_add_dataset_takes_the_fine_label_of_cifar100(tmp_path: Path) -> None:
    for part, (name,) in CIFAR100_FILES.items():
        _records(tmp_path / name, len(part), [[1, 42], [19, 99]])
    assert read_cifar(tmp_path / "train.bin", classes=100)[1].tolist() == [42, 99]
    report = add_dataset("cifar100", tmp_path, tmp_path / "store")
    assert report.splits == {("official", "train", ""): 2, ("official", "test", ""): 2}
    _records(tmp_path / "test.bin", 0, [[1, 100]])
    with pytest.raises(StoreError, match="label above 99, so it is not CIFAR-100"):
        read_cifar(tmp_path / "test.bin", classes=100)
    with pytest.raises(MissingInputError, match="CIFAR-100's binary version, with train"):
        read_cifar(tmp_path / "nowhere.bin", classes=100)


def test_add_dataset_refuses_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="camus, cifar10"):
        add_dataset("imagenet", tmp_path, tmp_path / "store")
