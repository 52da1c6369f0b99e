"""A study of `pipelines/studies` in one file of arrays, for a machine that has torch and no stores.

The splits are frozen and certified by `pipelines.study` before they are packed. The file holds the images, each picture
once, and for each split the rows and labels of every role in their order, so that a run there reads the very frames
that it would read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.data import LabeledFrames, TrainData
from pipelines.mismatch_task import FRAME_CLASSES, IMAGE_TASKS
from pipelines.study_design import StudyDesign, StudyJob

Integers = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
ROLES = ("train", "unlabeled", "test")
"""Roles of images in a split; nothing is selected by validation."""


def pack_study(design: StudyDesign, data: Path, out: Path, file: Path) -> None:
    """Build the stores and splits of a study in `out`, and write them as arrays.

    Args:
        design: A study, whose tasks have images of one size.
        data: Folder of the image set's files.
        out: Folder of the study.
        file: A file for `PackedStudy.read`.

    Raises:
        ConfigError: the images of two tasks differ in size.
    """
    from heart2heart.store.frame_store import FrameStores
    from pipelines.study import prepare

    one_size(design)
    jobs = design.jobs(out)
    prepare(design, jobs, data)
    stores = {job.data: FrameStores.open([job.data / "store"]) for job in jobs}
    pictures = _Pictures()
    positions = {folder: pictures.add(store.read(np.arange(len(store.frames)))) for folder, store in stores.items()}
    content: dict[str, Any] = {"pixels": pictures.pixels}
    for folder, position in positions.items():
        content[f"{folder.name} names"] = np.load(folder / FRAME_CLASSES, allow_pickle=False)
        content[f"{folder.name} positions"] = position.astype(np.int32)
    for job in {job.split: job for job in jobs}.values():
        split = SplitManifest.load(job.split)
        for role in ROLES:
            selected = split.select(stores[job.data], role)
            used = selected.targets >= 0 if role != "unlabeled" else np.ones(len(selected.rows), bool)
            content[f"{prefix(job)} {role} rows"] = selected.rows[used].astype(np.int32)
            content[f"{prefix(job)} {role} labels"] = selected.targets[used].astype(np.int8)
        content[f"{prefix(job)} sha256"] = np.array(split.sha256)
    with file.open("wb") as handle:
        np.savez_compressed(handle, **content)


def one_size(design: StudyDesign) -> None:
    """Check that the images of all tasks have one size.

    Raises:
        ConfigError: they have several.
    """
    if len({IMAGE_TASKS[task.dataset].side for task in design.tasks.values()}) > 1:
        raise ConfigError("images of several sizes cannot be packed together", remedy="Pack a study for each size")


def prefix(job: StudyJob) -> str:
    """Return what the names of a split's arrays begin with."""
    return f"{job.mismatch.dataset} {job.split.name}"


class _Pictures:
    """Pictures of several image sets, each kept once."""

    def __init__(self) -> None:
        self._kept: list[Pixels] = []
        self._position: dict[bytes, int] = {}

    def add(self, frames: Iterable[Pixels]) -> Integers:
        """Keep the frames that are new, and return the position of each, int64 `(n,)`."""
        positions = []
        for frame in frames:
            known = self._position.setdefault(frame.tobytes(), len(self._kept))
            if known == len(self._kept):
                self._kept.append(frame)
            positions.append(known)
        return np.array(positions, np.int64)

    @property
    def pixels(self) -> Pixels:
        """All pictures, uint8 `(m, size, size)`."""
        return np.stack(self._kept)


@dataclass(frozen=True)
class ArrayGeometry:
    """The one fact of a geometry that training needs: the side of a frame, pixels."""

    size: int


@dataclass(frozen=True)
class ArrayFrames:
    """Frames in memory, read as those of stores: uint8 `(n, size, size)`."""

    pixels: Pixels

    @property
    def geometry(self) -> ArrayGeometry:
        """The geometry."""
        return ArrayGeometry(self.pixels.shape[1])

    def read(self, rows: Integers) -> Pixels:
        """Return the frames of `rows`."""
        return self.pixels[rows]


@dataclass(frozen=True)
class PackedStudy:
    """What `pack_study` wrote."""

    content: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, file: Path) -> PackedStudy:
        """Read the arrays; nothing is unpickled."""
        with np.load(file, allow_pickle=False) as stored:
            return cls(dict(stored))

    def rows(self, job: StudyJob, role: str) -> Integers:
        """Return the positions of the pictures of a role in a job's split, int64 `(n,)`, in the split's order."""
        return self.content[f"{job.mismatch.dataset} positions"][self._store_rows(job, role)].astype(np.int64)

    def _store_rows(self, job: StudyJob, role: str) -> Integers:
        return self.content[f"{prefix(job)} {role} rows"].astype(np.int64)

    def labeled(self, job: StudyJob, role: str) -> LabeledFrames:
        """Return the frames of a role with their labels."""
        labels = self.content[f"{prefix(job)} {role} labels"].astype(np.int64)
        return LabeledFrames(self.rows(job, role), labels)

    def sha256(self, job: StudyJob) -> str:
        """Return the hash of a job's split."""
        return str(self.content[f"{prefix(job)} sha256"])

    def train_data(self, job: StudyJob) -> TrainData:
        """Return the frames of a run; `validation` holds the tested frames, since nothing is selected by validation."""
        classes = tuple(str(each) for each in IMAGE_TASKS[job.mismatch.dataset].labeled)
        split = SplitManifest(job.split, job.split.name, classes, 0, (), (), {}, "", SPLIT_MEMBERS.empty_table(), "")
        frames: Any = ArrayFrames(self.content["pixels"])
        labeled, tested = self.labeled(job, "train"), self.labeled(job, "test")
        return TrainData(frames, split, labeled, tested, self.rows(job, "unlabeled"))

    def pool_truth(self, job: StudyJob, every: int = 1) -> Integers:
        """Return the class of every so many pool frames among those of the task, -1 for frames of another class."""
        names = self.content[f"{job.mismatch.dataset} names"][self._store_rows(job, "unlabeled")[::every]]
        index = {str(name): position for position, name in enumerate(IMAGE_TASKS[job.mismatch.dataset].labeled)}
        return np.array([index.get(name, -1) for name in names.tolist()], np.int64)
