"""IDX and CIFAR image sets, one part at a time."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.datasets.image_sets import CIFAR10_FILES, add_cifar10_part, add_idx_part, read_idx
from heart2heart.errors import MissingInputError, StoreError
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry

FASHION = Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist


def _idx(path: Path, data: npt.NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, data.ndim]) + struct.pack(f">{data.ndim}I", *data.shape)
    raw = header + data.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def _set(folder: Path, count: int = 7, side: int = 12) -> npt.NDArray[np.uint8]:
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    _idx(folder / "train-images-idx3-ubyte", images)
    _idx(folder / "train-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8))
    return images


def test_add_idx_part_adds_images_unchanged_and_once(tmp_path: Path) -> None:
    images = _set(tmp_path / "set")
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 16))
    first = add_idx_part(tmp_path / "set", store, site="fashion")
    again = add_idx_part(tmp_path / "set", FrameStore.open(store.root), site="fashion")
    assert (first.found, first.added, again.added) == (7, 7, 0)
    assert first.classes == again.classes
    opened = FrameStore.open(store.root)
    pixels = opened.read(opened.frames["row"].to_numpy().astype(np.int64))
    np.testing.assert_array_equal(pixels[:, :12, :12], images)
    assert not pixels[:, 12:].any()
    assert not pixels[:, :, 12:].any()
    assert [first.classes[clip] for clip in opened.frames["clip"].to_pylist()] == list(range(7))
    assert not any(opened.clips["synthetic"].to_pylist())


def test_add_idx_part_names_broken_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    _set(folder)
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 16))
    images = folder / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for raw, message in (
        (whole[:-1], "its header says"),
        (b"\x00\x00\x0d\x03" + whole[4:], "not IDX of uint8"),
        (whole[:9], "cut short"),
        (b"", "not IDX"),
    ):
        images.write_bytes(raw)
        with pytest.raises(StoreError, match=message):
            add_idx_part(folder, store, site="x")
    images.write_bytes(whole)
    _idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(6, np.uint8))
    with pytest.raises(StoreError, match="do not fit"):
        add_idx_part(folder, store, site="x")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(StoreError, match="not whole gzip"):
        add_idx_part(folder, store, site="x")
    with pytest.raises(MissingInputError, match="an IDX file is missing"):
        add_idx_part(folder, store, site="x", part="test")
    _set(tmp_path / "large", side=20)
    with pytest.raises(StoreError, match="exceed frames of 16"):
        add_idx_part(tmp_path / "large", store, site="x")
    assert len(FrameStore.open(store.root).clips) == 0


def test_read_idx_of_the_real_fashion_mnist() -> None:
    if not FASHION.exists():
        reason = "needs the Debian package dataset-fashion-mnist"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    images = read_idx(FASHION / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(FASHION / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert np.bincount(labels).tolist() == [1000] * 10


def _write(folder: Path, count: int = 3) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    records = []
    for name in (*CIFAR10_FILES["train"], *CIFAR10_FILES["test"]):
        planes = rng.integers(0, 256, (count, 3, 32, 32), np.uint8)
        labels = rng.integers(0, 10, (count, 1), np.uint8)
        (folder / name).write_bytes(np.concatenate([labels, planes.reshape(count, -1)], axis=1).tobytes())
        records.append(planes)
    return np.stack(records)


def test_add_cifar10_part_adds_images_as_luma_in_order(tmp_path: Path) -> None:
    planes = _write(tmp_path)[:5].reshape(15, 3, 32, 32).astype(float)
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 32))
    summary = add_cifar10_part(tmp_path, store, site="cifar", part="train")
    assert (summary.found, summary.added) == (15, 15)
    kept = FrameStore.open(store.root)
    patients = kept.clips["patient"].to_pylist()
    order = {patient: position for position, patient in enumerate(patients)}
    pixels = kept.read(kept.frames["row"].to_numpy())
    by_clip = dict(zip(kept.frames["clip"].to_pylist(), pixels, strict=True))
    names = dict(zip(patients, kept.clips["clip"].to_pylist(), strict=True))
    assert len(order) == 15
    for index in range(15):
        red, green, blue = planes[index]
        expected = np.rint(0.299 * red + 0.587 * green + 0.114 * blue)
        got = by_clip[names[f"cifar-train-{index:06d}"]].astype(float)
        assert np.abs(got - expected).max() <= 1


def test_add_cifar10_part_averages_blocks(tmp_path: Path) -> None:
    _write(tmp_path)
    whole = FrameStore.create(tmp_path / "whole", Geometry("tmed2", 32))
    half = FrameStore.create(tmp_path / "half", Geometry("tmed2", 16))
    for store, shrink in ((whole, 1), (half, 2)):
        add_cifar10_part(tmp_path, store, site="cifar", part="test", shrink=shrink)
    fine, coarse = (FrameStore.open(store.root).read(np.arange(3)) for store in (whole, half))
    expected = fine.reshape(3, 16, 2, 16, 2).mean(axis=(2, 4))
    assert np.abs(coarse - expected).max() <= 0.5


def test_add_cifar10_part_refuses_broken_files(tmp_path: Path) -> None:
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 32))
    with pytest.raises(MissingInputError):
        add_cifar10_part(tmp_path, store, site="cifar")
    _write(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    for broken in (b"", whole[:-1], b"\x0a" + whole[1:]):
        path.write_bytes(broken)
        with pytest.raises(StoreError):
            add_cifar10_part(tmp_path, store, site="cifar")
    path.write_bytes(whole)
    with pytest.raises(StoreError, match="blocks of 3"):
        add_cifar10_part(tmp_path, store, site="cifar", shrink=3)
