"""Arrays of a study for development: splits that are drawn in memory, neither frozen nor certified.

Only images of the development part are read, and validation images are scored, so that nothing is learned of the test
part. What is chosen so is proved on splits that `packed_study.pack_study` freezes and certifies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.packed_study import one_size, prefix
from heart2heart.datasets.image_sets import read_idx
from heart2heart.errors import ConfigError
from pipelines.mismatch_task import IMAGE_TASKS, draw_roles
from pipelines.study_design import StudyDesign

IDX_KINDS = ("images-idx3", "labels-idx1")


def _plain_or_gzip(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def draft_study(design: StudyDesign, data: Path, out: Path, file: Path) -> None:
    """Draw the splits of a study of IDX images and write them as arrays for `PackedStudy.read`.

    Args:
        design: A study without controls, whose tasks are of one IDX image set.
        data: Folder of the image set's files.
        out: Folder of the study.
        file: Is written.

    Raises:
        ConfigError: the study has controls, or images of several sizes.
    """
    one_size(design)
    if design.controls.run:
        raise ConfigError("a draft has no controls", where="controls.run", remedy="Set it to false, or pack the study")
    images, classes = (
        read_idx(_plain_or_gzip(data / f"train-{kind}-ubyte")) for kind in ("images-idx3", "labels-idx1")
    )
    numbers = classes.astype(np.int64)
    count, rows, columns = images.shape
    shrink = design.budget.shrink
    blocks = images.reshape(count, rows // shrink, shrink, columns // shrink, shrink)
    content: dict[str, Any] = {"pixels": np.rint(blocks.mean((2, 4), dtype=np.float32)).astype(np.uint8)}
    neither = np.zeros(count, bool)
    for job in {job.split: job for job in design.jobs(out)}.values():
        dataset = job.mismatch.dataset
        labeled = IMAGE_TASKS[dataset].labeled
        content[f"{dataset} names"], content[f"{dataset} positions"] = numbers.astype(str), np.arange(count)
        role = draw_roles(job.mismatch, numbers, neither, neither)
        for source, name in (("train", "train"), ("unlabeled", "unlabeled"), ("validation", "test")):
            chosen = np.flatnonzero(role == source)
            index = [labeled.index(each) if each in labeled else -1 for each in numbers[chosen].tolist()]
            content[f"{prefix(job)} {name} rows"] = chosen
            content[f"{prefix(job)} {name} labels"] = np.array(index, np.int8)
        content[f"{prefix(job)} sha256"] = np.array("")
    with file.open("wb") as handle:
        np.savez_compressed(handle, **content)
