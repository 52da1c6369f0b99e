"""Adds a public data set to a store, by name and folder; plain image sets with both parts and their official split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heart2heart.datasets import cameo, camus, echonet, tmed2, unity
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.catalogue import CATALOGUE
from heart2heart.datasets.image_sets import ImageSetSummary, add_cifar10_part, add_cifar100_part, add_idx_part
from heart2heart.datasets.manifest import CountCheck, DatasetManifest, DatasetReport, official_rows
from heart2heart.datasets.mimic import add_mimic
from heart2heart.errors import ConfigError
from heart2heart.progress import NoProgress, Progress, SubProgress
from heart2heart.schema.status import StatusCode
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.store_files import write_official_splits


@dataclass(frozen=True)
class ImageSet:
    """One plain image set.

    Attributes:
        add: Adds one part to a store.
        side: Side of its images, pixels.
        counts: Images by part.
        files: Files by part.
    """

    add: Callable[..., ImageSetSummary]
    side: int
    counts: Mapping[str, int]
    files: int


IMAGE_SETS: Mapping[str, ImageSet] = {
    "fashion-mnist": ImageSet(add_idx_part, 28, {"train": 60000, "test": 10000}, 4),
    "cifar10": ImageSet(add_cifar10_part, 32, {"train": 50000, "test": 10000}, 6),
    "cifar100": ImageSet(add_cifar100_part, 32, {"train": 50000, "test": 10000}, 2),
}


def add_image_set(name: str, folder: Path, root: Path, *, size: int | None = None) -> DatasetReport:
    """Add both parts of an image set to a store.

    The classes are no views, so they are kept in the official split, as numbers, and not as labels.

    Args:
        name: A name of `IMAGE_SETS`.
        folder: Holds its files.
        root: The store; made on first use.
        size: Side of the frames, pixels; None takes the images' own.

    Raises:
        MissingInputError: a file is missing; nothing is added of that part.
        StoreError: a file is damaged, or the images exceed the store's frames.
    """
    images = IMAGE_SETS[name]
    geometry = Geometry("tmed2", size or images.side)
    parts = {
        part: images.add(folder, FrameStore.create(root, geometry), site=name, part=part) for part in images.counts
    }
    rows = [
        official_rows(
            "official", list(done.classes), [part] * len(done.classes), [str(n) for n in done.classes.values()]
        )
        for part, done in parts.items()
    ]
    write_official_splits(root, name, pa.concat_tables(rows))
    images_present = sum(done.found for done in parts.values())
    report = DatasetReport(
        source=name,
        expected=images.files,
        found=images.files,
        codes={StatusCode.ACCEPTED: images.files},
        files_not_in_store=(),
        clips=sum(done.added for done in parts.values()),
        frames=sum(done.added for done in parts.values()),
        patients=images_present,
        count_checks=tuple(
            CountCheck(f"{part} images", count, parts[part].found) for part, count in images.counts.items()
        ),
        splits={("official", part, ""): len(done.classes) for part, done in parts.items()},
        notes=("every image stands for a patient of its own; classes are numbers in the official split, not views",),
    )
    report.save(root)
    return report


SCANNERS: Mapping[str, Callable[[Path], DatasetManifest]] = {
    module.NAME: module.scan for module in (tmed2, unity, cameo, camus, echonet)
}
"""Data sets of pictures and tables, by name."""


def add_dataset(
    name: str,
    folder: Path,
    store: Path,
    *,
    key: Path | None = None,
    size: int | None = None,
    rule: str = "all",
    sequences: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> DatasetReport:
    """Add a public data set to a store; it may be stopped and repeated at any time.

    Args:
        name: A name of `CATALOGUE`.
        folder: Where the data set lies.
        store: The frame store; made on first use, of the geometry `tmed2`.
        key: Key of the pseudonyms, for DICOM only (`mimic`); made on first use.
        size: Side of the frames, pixels; None takes 112, and an image set's own.
        rule: Frames to keep of a sequence.
        sequences: Take the half sequences of CAMUS too.
        workers: Processes.
        progress: Told percent done.

    Raises:
        UnknownNameError: no such data set; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
        MissingInputError: the folder is not that data set's.
        LabelError: a table cannot be read, lacks a column, or contradicts itself.
        StoreError: the store has another geometry, or another process is writing to it.
    """
    info = CATALOGUE[name]
    progress = progress or NoProgress()
    if name in IMAGE_SETS:
        return add_image_set(name, folder, store, size=size)
    if name == "mimic":
        if key is None:
            raise ConfigError("DICOM needs a key for its pseudonyms", where=name, remedy="Give --key")
        return add_mimic(folder, store, key=key, size=size or 112, rule=rule, workers=workers, progress=progress)
    scan = info.scan or SCANNERS[name]
    plan = camus.scan(folder, sequences=sequences) if name == "camus" else scan(folder)
    part = SubProgress(progress, start=0, span=100, total=len(plan.files))
    return add_manifest(plan, store, size=size or 112, rule=rule, workers=workers, progress=part)
