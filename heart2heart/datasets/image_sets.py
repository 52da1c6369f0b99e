"""Plain image sets, one part at a time: IDX files (Fashion-MNIST, MNIST) and the binary form of CIFAR-10 and CIFAR-100.

Every image is a clip of one frame and its own patient. IDX: two zero bytes, a type byte (0x08: uint8), the number of
dimensions, the sizes as big-endian 32-bit integers, then the values. CIFAR (Krizhevsky, "Learning multiple layers of
features from tiny images", 2009): records of one label byte (CIFAR-100: coarse, then fine) and 3072 bytes of red, green
and blue planes.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.enums import ClipMode
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.quality import difference_hash

IDX_PREFIXES = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class ImageSetSummary:
    """Result of adding an image set.

    Attributes:
        found: Images in the source.
        added: Clips new to the store.
        classes: Class number by clip, for `labels` of this source.
    """

    found: int
    added: int
    classes: dict[str, int]


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read one IDX file of uint8, gzipped or not.

    Raises:
        MissingInputError: no such file.
        StoreError: not IDX, not uint8, or cut short.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError as error:
        remedy = "Name the folder with train-images-idx3-ubyte(.gz) and its three companions"
        raise MissingInputError("an IDX file is missing", where=path, remedy=remedy) from error
    except (OSError, EOFError) as error:
        raise StoreError("this file is not whole gzip", where=path) from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise StoreError("this file is not IDX of uint8", where=path)
    if len(raw) < 4 + 4 * raw[3]:
        raise StoreError("this IDX file is cut short", where=path)
    shape = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
    if data.size != np.prod(shape, dtype=np.int64):
        raise StoreError(f"this IDX file holds {data.size} values, its header says {shape}", where=path)
    return data.reshape(shape)


def add_idx_part(
    folder: Path, store: FrameStore, *, site: str, part: str = "train", shrink: int = 1
) -> ImageSetSummary:
    """Add one part of an IDX image set to a store whose frames are at least as large.

    Args:
        folder: Holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, each plain or `.gz`.
        store: The target.
        site: What stands for the hospital.
        part: `train` or `test`.
        shrink: Side of the blocks of pixels that are averaged into one.

    Raises:
        MissingInputError: a file is missing.
        StoreError: a file is damaged, images and labels differ in number, or images exceed the store's frames.
    """
    prefix = IDX_PREFIXES[part]
    images = read_idx(_plain_or_gzip(folder, f"{prefix}-images-idx3-ubyte"))
    labels = read_idx(_plain_or_gzip(folder, f"{prefix}-labels-idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise StoreError(f"{images.shape} images do not fit {labels.shape} labels", where=folder)
    return add_images(images, labels, store, site=site, part=part, shrink=shrink, where=folder)


def add_images(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    store: FrameStore,
    *,
    site: str,
    part: str,
    shrink: int,
    where: Path,
) -> ImageSetSummary:
    """Add gray images to a store, each as a clip of one frame and its own patient.

    Smaller images are zero-padded at the bottom and the right, as the `tmed2` geometry does.

    Args:
        images: uint8 `(n, rows, columns)`.
        labels: uint8 `(n,)`, class numbers.
        store: The target.
        site: What stands for the hospital.
        part: Which part of the set they are.
        shrink: Side of the blocks of pixels that are averaged into one.
        where: Where they came from, for messages.

    Raises:
        StoreError: images exceed the store's frames, or do not divide into blocks.
    """
    count, rows, columns = images.shape
    size = store.geometry.size
    if rows % shrink or columns % shrink:
        raise StoreError(f"{rows} x {columns} pixels do not divide into blocks of {shrink}", where=where)
    rows, columns = rows // shrink, columns // shrink
    if max(rows, columns) > size:
        remedy = f"Make a store of at least {max(rows, columns)} pixels"
        raise StoreError(f"images of {rows} x {columns} exceed frames of {size}", where=where, remedy=remedy)
    present = set(store.all_clips["clip"].to_pylist())
    blocks = images.reshape(count, rows, shrink, columns, shrink)
    frames = np.zeros((count, size, size), np.uint8)
    frames[:, :rows, :columns] = np.rint(blocks.mean(axis=(2, 4), dtype=np.float32))
    hashes = difference_hash(frames)
    classes: dict[str, int] = {}
    added = 0
    with store.writer() as writer:
        for index in range(count):
            content = hashlib.sha256(f"{site} {part} {index} ".encode() + images[index].tobytes()).hexdigest()
            clip = content[:16]
            classes[clip] = int(labels[index])
            if clip in present:
                continue
            name = f"{site}-{part}-{index:06d}"
            writer.add(
                {
                    "clip": clip, "site": site, "patient": name, "study": name, "content": content,
                    "source": "image_set", "synthetic": False, "mode": ClipMode.OTHER, "rows": rows, "columns": columns,
                    "n_source": 1, "quality": 1.0, "flags": [],
                },
                frames[index : index + 1],
                [{"index": 0, "time_ms": None, "quality": 1.0, "dhash": int(hashes[index])}],
            )  # fmt: skip
            added += 1
    return ImageSetSummary(count, added, classes)


def _plain_or_gzip(folder: Path, stem: str) -> Path:
    plain = folder / stem
    return plain if plain.exists() else plain.with_name(f"{stem}.gz")


CIFAR10_FILES = {"train": tuple(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test": ("test_batch.bin",)}
CIFAR100_FILES = {"train": ("train.bin",), "test": ("test.bin",)}
_CIFAR_SIDE = 32


def add_cifar10_part(
    folder: Path, store: FrameStore, *, site: str, part: str = "train", shrink: int = 1
) -> ImageSetSummary:
    """Add one part of CIFAR-10 to a store of at least `32 / shrink` pixels, by luma (ITU-R BT.601).

    Args:
        folder: Holds `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` (the "binary version").
        store: The target.
        site: What stands for the hospital.
        part: `train` or `test`.
        shrink: Side of the blocks of pixels that are averaged into one.

    Raises:
        MissingInputError: a file is missing.
        StoreError: a file is not a whole number of records, or holds a label above 9.
    """
    read = [read_cifar(folder / name) for name in CIFAR10_FILES[part]]
    return _add_cifar(read, store, site=site, part=part, shrink=shrink, where=folder)


def add_cifar100_part(
    folder: Path, store: FrameStore, *, site: str, part: str = "train", shrink: int = 1
) -> ImageSetSummary:
    """Add one part of CIFAR-100 (`train.bin`, `test.bin`) with its fine labels; see `add_cifar10_part`."""
    read = [read_cifar(folder / name, classes=100) for name in CIFAR100_FILES[part]]
    return _add_cifar(read, store, site=site, part=part, shrink=shrink, where=folder)


def _add_cifar(
    read: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]],
    store: FrameStore,
    *,
    site: str,
    part: str,
    shrink: int,
    where: Path,
) -> ImageSetSummary:
    gray, classes = (np.concatenate(each) for each in zip(*read, strict=True))
    return add_images(gray, classes, store, site=site, part=part, shrink=shrink, where=where)


def read_cifar(path: Path, *, classes: int = 10) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the gray images `(n, 32, 32)` and the labels `(n,)` of one file, both uint8.

    Args:
        path: The file.
        classes: 10 or 100; of CIFAR-100 the fine labels are returned.
    """
    set_name, label_bytes = f"CIFAR-{classes}", 1 if classes == 10 else 2
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError as error:
        names = "data_batch_1.bin to _5.bin and test_batch.bin" if classes == 10 else "train.bin and test.bin"
        remedy = f"Name the folder of {set_name}'s binary version, with {names}"
        raise MissingInputError(f"a {set_name} file is missing", where=path, remedy=remedy) from error
    record = label_bytes + 3 * _CIFAR_SIDE * _CIFAR_SIDE
    if not raw.size or raw.size % record:
        raise StoreError(f"this file is not a whole number of records of {record} bytes", where=path)
    records = raw.reshape(-1, record)
    labels = records[:, label_bytes - 1]
    if labels.max() >= classes:
        raise StoreError(f"this file holds a label above {classes - 1}, so it is not {set_name}", where=path)
    planes = records[:, label_bytes:].reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE).astype(np.float32)
    luma = np.rint(0.299 * planes[:, 0] + 0.587 * planes[:, 1] + 0.114 * planes[:, 2])
    return luma.astype(np.uint8), labels.copy()
