"""The class-mismatch task: which classes are labeled, which fill the unlabeled pool, and the split that follows.

After Oliver et al. (NeurIPS 2018), section 4.4, as Fix-A-Step poses it on CIFAR-10: six classes are told apart; the
unlabeled images come from four classes, of which none to all are other ones (protocol `replace`). There the pool loses
seen classes as it gains unseen ones. The protocol `add` holds the seen part fixed, all images of level 0, and adds the
unseen classes of the level (the confound is that of He et al., arXiv 2503.00884). Three further pools are controls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart import utils
from heart2heart.datasets.image_sets import add_cifar10_part, add_idx_part, add_images
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.near_duplicates import find_near_duplicates

Integers = npt.NDArray[np.int64]
Protocol = Literal["replace", "add", "pure", "noise", "shuffled"]
"""How the pool follows from the level of mismatch, and the controls: a pool of all labeled classes (`pure`), of noise,
and shuffled labels of training and validation images."""
CONTROL_PROTOCOLS: tuple[Protocol, ...] = ("pure", "noise", "shuffled")
"""The protocols without levels."""
FRAME_CLASSES = "frame_classes.npy"
"""File beside the store with the name of the class of every frame, by its row."""
NOISE_CLASS = 255
"""Class number of images of noise."""


@dataclass(frozen=True)
class ImageTask:
    """One image set with its task.

    Attributes:
        title: What a reader calls it.
        side: Side of its images, pixels.
        labeled: The classes to be told apart.
        unlabeled: The four classes of the pool, by per cent of mismatch.
    """

    title: str
    side: int
    labeled: tuple[int, ...]
    unlabeled: dict[int, tuple[int, ...]]


IMAGE_TASKS = {
    # Six animals; aeroplane 0, car 1, ship 8, lorry 9 (Fix-A-Step, section "CIFAR tasks").
    "cifar10": ImageTask(
        "CIFAR-10, gray",
        32,
        (2, 3, 4, 5, 6, 7),
        {0: (4, 5, 6, 7), 25: (0, 5, 6, 7), 50: (0, 1, 6, 7), 75: (0, 1, 8, 7), 100: (0, 1, 8, 9)},
    ),
    # The same protocol: six garments; sandal 5, sneaker 7, bag 8, ankle boot 9 are the other ones.
    "fashion-mnist": ImageTask(
        "Fashion-MNIST",
        28,
        (0, 1, 2, 3, 4, 6),
        {0: (2, 3, 4, 6), 25: (5, 3, 4, 6), 50: (5, 7, 4, 6), 75: (5, 7, 8, 6), 100: (5, 7, 8, 9)},
    ),
    # The other way round: trouser, dress, footwear and bag lie apart; the tops 0, 2, 4, 6 are the other ones.
    "fashion-mnist-footwear": ImageTask(
        "Fashion-MNIST, footwear",
        28,
        (1, 3, 5, 7, 8, 9),
        {0: (5, 7, 8, 9), 25: (0, 7, 8, 9), 50: (0, 2, 8, 9), 75: (0, 2, 4, 9), 100: (0, 2, 4, 6)},
    ),
    # Garments and shoes; each other class has a labeled one that looks like it: pullover, coat, shirt, sneaker. Methods
    # are developed on it, and proved on the others.
    "fashion-mnist-mixed": ImageTask(
        "Fashion-MNIST, mixed",
        28,
        (0, 1, 3, 5, 8, 9),
        {0: (0, 5, 8, 9), 25: (2, 5, 8, 9), 50: (2, 4, 8, 9), 75: (2, 4, 6, 9), 100: (2, 4, 6, 7)},
    ),
}


CLASS_NAMES = {
    "cifar10": ("aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry"),
    "fashion": (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip
"""First part of an image set's name -> its classes, in the order of their numbers."""


@dataclass(frozen=True)
class MismatchSplit:
    """Settings of one split.

    Attributes:
        dataset: A name of `IMAGE_TASKS`.
        level: Per cent of mismatch.
        labels: Labeled images a class.
        seed: Seed of the draw.
        validation: Validation images a class.
        protocol: How the pool follows from the level.
    """

    dataset: str
    level: int
    labels: int
    seed: int
    validation: int
    protocol: Protocol = "replace"

    @property
    def name(self) -> str:
        """Name of the folder of the split."""
        if self.protocol in CONTROL_PROTOCOLS:
            return f"{self.protocol}-labels{self.labels}-seed{self.seed}"
        kind = "mismatch" if self.protocol == "replace" else self.protocol
        return f"{kind}{self.level:03d}-labels{self.labels}-seed{self.seed}"

    def pool_classes(self) -> set[int]:
        """Return the classes that fill the pool.

        Examples:
            >>> sorted(MismatchSplit("fashion-mnist", 50, 20, 0, 50, "add").pool_classes())
            [2, 3, 4, 5, 6, 7]
        """
        task = IMAGE_TASKS[self.dataset]
        if self.protocol == "pure":
            return set(task.labeled)
        if self.protocol == "noise":
            return {NOISE_CLASS}
        if self.protocol == "add":
            return set(task.unlabeled[0]) | set(task.unlabeled[self.level]) - set(task.labeled)
        return set(task.unlabeled[self.level])

    def settings(self) -> dict[str, Any]:
        """Return the settings that the split records; the first protocol adds none."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.protocol == "replace":
            del content["protocol"]
        return content


@dataclass(frozen=True)
class ImageStore:
    """An image set in its store.

    Attributes:
        store: The store.
        class_numbers: Class of each frame, int64 `(n,)`, in the store's order.
        in_test_part: Whether a frame is of the test part, bool `(n,)`.
        duplicates_of_test: Whether a frame of the development part shows the same picture as a test frame, bool `(n,)`.
    """

    store: FrameStore
    class_numbers: Integers
    in_test_part: npt.NDArray[np.bool_]
    duplicates_of_test: npt.NDArray[np.bool_]

    @classmethod
    def build(cls, dataset: str, folder: Path, path: Path, shrink: int, noise: int = 0) -> ImageStore:
        """Fill the store of an image set, unless it is filled already.

        Args:
            dataset: A name of `IMAGE_TASKS`.
            folder: Folder of the image set's files.
            path: Folder of the store.
            shrink: Side of the blocks of pixels that are averaged into one.
            noise: Images of noise to add, of the class `NOISE_CLASS`.
        """
        store = FrameStore.create(path, Geometry("tmed2", IMAGE_TASKS[dataset].side // shrink))
        classes: dict[str, dict[str, int]] = {}
        for part in ("train", "test"):
            add = add_cifar10_part if dataset == "cifar10" else add_idx_part
            classes[part] = add(folder, FrameStore.open(path), site=dataset, part=part, shrink=shrink).classes
        known = classes["train"] | classes["test"]
        if noise:
            known |= _add_noise(path, dataset, noise)
        store = FrameStore.open(path)
        clips = store.frames["clip"].to_pylist()
        number = np.array([known[clip] for clip in clips], np.int64)
        names = np.zeros(len(clips), "<U4")
        names[store.frames["row"].to_numpy()] = number.astype(str)
        with utils.atomic_path(path.parent / FRAME_CLASSES) as temporary, temporary.open("wb") as handle:
            np.save(handle, names, allow_pickle=False)
        tested = np.array([clip in classes["test"] for clip in clips])
        pairs = _same_picture_pairs(store, np.arange(len(clips)), tested.astype(np.int64))
        repeats = np.zeros(len(clips), bool)
        repeats[pairs[:, 0]] = True
        return cls(store, number, tested, repeats)


def _add_noise(path: Path, dataset: str, count: int) -> dict[str, int]:
    """Add images whose pixels are independent and uniform from 0 to 255, the same at every call."""
    size = FrameStore.open(path).geometry.size
    pixels = utils.random_stream(0, "noise", dataset).integers(0, 256, (count, size, size), dtype=np.uint8)
    numbers = np.full(count, NOISE_CLASS, np.uint8)
    store = FrameStore.open(path)
    return add_images(pixels, numbers, store, site=dataset, part="noise", shrink=1, where=path).classes


def build_split(task: MismatchSplit, images: ImageStore, path: Path) -> SplitManifest:
    """Freeze and certify the split of one task, unless it is frozen already.

    Development images that show the same picture as a test image are left out beforehand, and so are pool images that
    show one of validation, and validation images that show a labeled one: the certificate has to hold.
    """
    stores = FrameStores.open([images.store.root])
    if (path / "certificate.json").exists():
        return SplitManifest.load(path)
    if (path / "split.json").exists():
        split = SplitManifest.load(path)
    else:
        dataset = IMAGE_TASKS[task.dataset]
        role = draw_roles(task, images.class_numbers, images.in_test_part, images.duplicates_of_test)
        pool, judged = (np.flatnonzero(np.isin(role, names)) for names in (("train", "unlabeled"), ("validation",)))
        images_used = np.concatenate([pool, judged])
        pairs = images_used[_same_picture_pairs(images.store, images_used, np.repeat([0, 1], [len(pool), len(judged)]))]
        labeled = role[pairs[:, 0]] == "train"
        role[np.where(labeled, pairs[:, 1], pairs[:, 0])] = "excluded"
        split = SplitManifest.freeze(
            path,
            name=f"{dataset.title}, {task.name}",
            classes=[str(each) for each in dataset.labeled],
            seed=task.seed,
            source_sites=[task.dataset],
            held_out_sites=[],
            settings=task.settings(),
            members=_members(images, role, shuffled_by=task.seed if task.protocol == "shuffled" else None),
            stores=stores,
        )
    certify(split, stores)
    split.require_certified()
    return split


def draw_roles(
    task: MismatchSplit, class_numbers: Integers, tested: npt.NDArray[np.bool_], left_out: npt.NDArray[np.bool_]
) -> npt.NDArray[np.str_]:
    """Draw the labeled images, the validation images and the pool; the first two are equal at all levels of mismatch.

    Args:
        task: What to draw.
        class_numbers: Class of each image, int64 `(n,)`.
        tested: Whether an image is of the test part, bool `(n,)`.
        left_out: Images that take no part, bool `(n,)`.

    Returns:
        A role of `SplitRole` for each image.
    """
    dataset = IMAGE_TASKS[task.dataset]
    rng, pool = utils.random_stream(task.seed, "mismatch", task.dataset), task.pool_classes()
    role = np.full(len(class_numbers), "excluded", dtype="<U10")
    role[tested & np.isin(class_numbers, dataset.labeled)] = "test"
    for each in sorted(set(class_numbers.tolist())):
        members = rng.permutation(np.flatnonzero(~tested & ~left_out & (class_numbers == each)))
        if each in pool:
            role[members] = "unlabeled"
        elif each in dataset.labeled:
            role[members] = "excluded"
        if each in dataset.labeled:
            role[members[: task.validation]] = "validation"
            role[members[task.validation : task.validation + task.labels]] = "train"
    return role


def _same_picture_pairs(store: FrameStore, positions: Integers, group: Integers) -> Integers:
    """Return pairs of positions in the store, int64 `(m, 2)`, of different groups that show the same picture."""
    table = store.frames
    hashes = table["dhash"].to_numpy().astype(np.uint64)[positions]
    rows = table["row"].to_numpy().astype(np.int64)[positions]
    return find_near_duplicates(hashes, group, rows, FrameStores.open([store.root]))[0]


def _members(images: ImageStore, role: npt.NDArray[np.str_], *, shuffled_by: int | None = None) -> pa.Table:
    """Return the members of a split; with a seed the labels of training and validation images are shuffled."""
    numbers = images.class_numbers.copy()
    if shuffled_by is not None:
        for name in ("train", "validation"):
            positions = np.flatnonzero(role == name)
            numbers[positions] = utils.random_stream(shuffled_by, "shuffled", name).permutation(numbers[positions])
    facts = images.store.clips.select(["clip", "patient", "study", "site"]).to_pylist()
    by_clip: dict[str, dict[str, Any]] = {fact["clip"]: fact for fact in facts}
    frames = images.store.frames.select(["clip", "frame"]).to_pylist()
    rows = [
        by_clip[frame["clip"]]
        | {"frame": frame["frame"], "role": frame_role, "view": None if frame_role == "unlabeled" else str(each)}
        for frame, frame_role, each in zip(frames, role.tolist(), numbers.tolist(), strict=True)
        if frame_role != "excluded"
    ]
    return pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS)
