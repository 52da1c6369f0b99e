"""A study of `pipelines/studies` in one file of arrays, for a machine that has torch and no stores.

The splits are frozen and certified by `pipelines.study` before they are packed. The file holds the images, and for each
split the rows and labels of every role in their order, so that a run there reads the very frames that it would read
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.data import LabeledFrames, TrainData
from pipelines.mismatch_task import FRAME_CLASSES, IMAGE_TASKS
from pipelines.study_design import StudyDesign, StudyJob

ROLES = ("train", "unlabeled", "test")
"""Roles of images in a split; nothing is selected by validation."""
Integers = npt.NDArray[np.int64]


def pack_study(design: StudyDesign, data: Path, out: Path, file: Path) -> None:
    """Build the stores and splits of a study's first task in `out`, and write them as arrays.

    Args:
        design: A study of one task.
        data: Folder of the image set's files.
        out: Folder of the study.
        file: A file for `PackedStudy.read`.
    """
    from heart2heart.store.frame_store import FrameStores
    from pipelines.study import prepare

    jobs = design.jobs(out)
    prepare(design, jobs, data)
    stores = FrameStores.open([jobs[0].data / "store"])
    content: dict[str, Any] = {
        "pixels": stores.read(np.arange(len(stores.frames))),
        "names": np.load(jobs[0].data / FRAME_CLASSES, allow_pickle=False),
    }
    for job in {job.split: job for job in jobs}.values():
        split = SplitManifest.load(job.split)
        for role in ROLES:
            selected = split.select(stores, role)
            used = selected.targets >= 0 if role != "unlabeled" else np.ones(len(selected.rows), bool)
            content[f"{job.split.name} {role} rows"] = selected.rows[used].astype(np.int32)
            content[f"{job.split.name} {role} labels"] = selected.targets[used].astype(np.int8)
        content[f"{job.split.name} sha256"] = np.array(split.sha256)
    with file.open("wb") as handle:
        np.savez_compressed(handle, **content)


@dataclass(frozen=True)
class ArrayGeometry:
    """The one fact of a geometry that training needs: the side of a frame, pixels."""

    size: int


@dataclass(frozen=True)
class ArrayFrames:
    """Frames in memory, read as those of stores: uint8 `(n, size, size)`."""

    pixels: npt.NDArray[np.uint8]

    @property
    def geometry(self) -> ArrayGeometry:
        """The geometry."""
        return ArrayGeometry(self.pixels.shape[1])

    def read(self, rows: Integers) -> npt.NDArray[np.uint8]:
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
        """Return the rows of a role in a job's split, int64 `(n,)`, in the split's order."""
        return self.content[f"{job.split.name} {role} rows"].astype(np.int64)

    def labeled(self, job: StudyJob, role: str) -> LabeledFrames:
        """Return the frames of a role with their labels."""
        labels = self.content[f"{job.split.name} {role} labels"].astype(np.int64)
        return LabeledFrames(self.rows(job, role), labels)

    def sha256(self, job: StudyJob) -> str:
        """Return the hash of a job's split."""
        return str(self.content[f"{job.split.name} sha256"])

    def train_data(self, job: StudyJob) -> TrainData:
        """Return the frames of a run; `validation` holds the test frames, since nothing is selected by validation."""
        classes = tuple(str(each) for each in IMAGE_TASKS[job.mismatch.dataset].labeled)
        split = SplitManifest(job.split, job.split.name, classes, 0, (), (), {}, "", SPLIT_MEMBERS.empty_table(), "")
        frames: Any = ArrayFrames(self.content["pixels"])
        labeled, tested = self.labeled(job, "train"), self.labeled(job, "test")
        return TrainData(frames, split, labeled, tested, self.rows(job, "unlabeled"))

    def pool_truth(self, rows: Integers, classes: tuple[str, ...]) -> Integers:
        """Return the class of each pool frame among `classes`, -1 for frames of another class."""
        index = {name: position for position, name in enumerate(classes)}
        return np.array([index.get(name, -1) for name in self.content["names"][rows].tolist()], np.int64)
