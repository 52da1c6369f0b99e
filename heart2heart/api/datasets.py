"""Adds public data sets, and pictures and videos of a hospital, to a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.stores import key_path
from heart2heart.errors import MissingInputError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.datasets.catalogue import DatasetInfo
    from heart2heart.datasets.manifest import DatasetReport
    from heart2heart.registry import Registry


def dataset_catalogue() -> Registry[DatasetInfo]:
    """Return the public data sets by short name.

    Examples:
        >>> from heart2heart.api import dataset_catalogue
        >>> dataset_catalogue()["camus"].title
        'CAMUS'
    """
    from heart2heart.datasets.catalogue import CATALOGUE

    return CATALOGUE


@dataclass(frozen=True)
class AddedDataset:
    """A public data set in a store.

    Attributes:
        report: Files by status, clips, frames and labels.
        label_store: The label store.
        new_labels: Labels that the label store did not hold before.
        rater: Name of the rater of these labels.
        page: The report as JSON.
        folder: Folder of the data set.
    """

    report: DatasetReport
    label_store: Path
    new_labels: int
    rater: str
    page: Path
    folder: Path

    def require_frames(self) -> None:
        """Raise MissingInputError unless a file of the data set is in the store."""
        if self.report.accepted == 0:
            remedy = f"See `heart2heart source {self.report.source} --help`, and the page Status codes of the "
            remedy += "documentation"
            raise MissingInputError("no file of this data set became frames", where=self.folder, remedy=remedy)


@audited(AuditAction.INGEST, beside="store", reads=["folder"], writes=["store", "labels"])
def add_dataset(
    name: str,
    folder: str | Path,
    store: str | Path,
    *,
    labels: str | Path | None = None,
    size: int | None = None,
    rule: str = "all",
    key: str | Path | None = None,
    sequences: bool = False,
    workers: int = 1,
    stage: Stage = silent_stage,
) -> AddedDataset:
    """Add a public data set, which is on disk, to a store, and its labels to a label store.

    Args:
        name: Short name, such as `camus`.
        folder: Folder of the data set.
        store: Frame store; created on first use.
        labels: Label store. None takes `STORE.labels.db`.
        size: Side of the square frames, pixels. None takes the images' own.
        rule: Frames to keep of a sequence.
        key: Key of the pseudonyms, for a data set that is DICOM. None takes `STORE.key`.
        sequences: Add the half sequences of CAMUS as well.
        workers: Processes.
        stage: Opens the progress.

    Raises:
        UnknownNameError: no such data set.
        MissingInputError: the folder does not hold it.

    Examples:
        >>> from heart2heart.api import add_dataset
        >>> added = add_dataset("unity", "unity", "unity_store", size=32)
        >>> added.report.accepted, added.new_labels
        (3, 3)
    """
    from heart2heart.datasets.add_dataset import add_dataset

    target, entry = Path(store), dataset_catalogue()[name]
    secret = target.with_name(f"{target.name}.key") if name == "mimic" and key is None else key
    with stage(f"add {entry.title}", 100) as progress:
        report = add_dataset(
            name,
            Path(folder),
            target,
            key=None if secret is None else Path(secret),
            size=size,
            rule=rule,
            sequences=sequences,
            workers=workers,
            progress=progress,
        )
    label_store = _label_store(target, labels)
    new = record_dataset_labels(report, label_store)
    return AddedDataset(report, label_store, new, entry.rater, target / "sources" / f"{name}.json", Path(folder))


@audited(AuditAction.INGEST, beside="store", reads=["source"], writes=["store", "labels"], site="site")
def add_pictures(
    source: str | Path,
    store: str | Path,
    *,
    levels: str = "label",
    site: str = "pictures",
    vocabulary: str = "heart2heart",
    labels: str | Path | None = None,
    rater: str = "pictures",
    key: str | Path | None = None,
    geometry: str = "tmed2",
    size: int = 112,
    frames: str = "all",
    whole: bool = False,
    text: str = "blank",
    viewing_copies: bool = True,
    workers: int = 2,
    file_seconds: float = 600.0,
    file_memory: str = "2048MiB",
    stage: Stage = silent_stage,
) -> AddedDataset:
    """Add pictures and videos of a folder of classes, or of a table, to a store, and their labels to a label store.

    They pass the checks of a DICOM ingest: sector, mode, text burned in, quality and hashes for near-duplicates.

    Args:
        source: Folder, such as `FOLDER/A4C/...`, or CSV table with the columns file, label, patient, site and split, of
            which only `file` is required.
        store: Frame store; created on first use.
        levels: What the levels of folders name, from the top, such as `site/label/patient`; for a folder.
        site: Hospital of the pictures that name none.
        vocabulary: Vocabulary of the labels, or `own` for labels that are no views.
        labels: Label store. None takes `STORE.labels.db`.
        rater: Name of the rater of the labels.
        key: Key of the pseudonyms; created on first use (mode 0600). None takes `STORE.key`.
        geometry: Geometry of the frames, `tmed2` or `centred`.
        size: Side of the square frames, pixels.
        frames: Frames to keep of a video.
        whole: Keep the whole picture where no sector is found, for pictures that show the scan alone.
        text: What to do with text inside the scan: `blank`, `quarantine` or `refuse`; see `IngestSettings.text`.
        viewing_copies: Keep full-size copies for the label page; see `IngestSettings.viewing_copies`.
        workers: Processes; 0 works in this process, without limits of one file.
        file_seconds: Seconds that one file may take.
        file_memory: Memory that one file may take.
        stage: Opens the progress.

    Raises:
        MissingInputError: no such folder or table, or it lists nothing.
        LabelError: the table cannot be used; the message names the row.

    Examples:
        >>> from heart2heart.api import add_pictures
        >>> added = add_pictures("pictures", "picture_store", size=32, workers=0)
        >>> added.report.accepted, added.new_labels
        (2, 2)
    """
    from heart2heart.datasets.add_pictures import PictureSettings, add_pictures
    from heart2heart.datasets.picture_lists import list_pictures
    from heart2heart.ingest.settings import Limits, parse_memory

    target = Path(store)
    chosen = {
        "geometry": geometry, "size": size, "frames": frames, "whole": whole, "text": text,
        "viewing_copies": viewing_copies,
    }  # fmt: skip
    settings = PictureSettings.parse(chosen, where="pictures")
    limits = Limits(seconds=file_seconds, memory_mib=parse_memory(file_memory))
    listed = list_pictures(Path(source), levels.split("/"), outside=target)
    with stage("add pictures", len(listed.pictures)) as progress:
        report = add_pictures(
            listed, target, key=key_path(target, key), site=site, vocabulary=vocabulary, settings=settings,
            workers=workers, limits=limits, progress=progress,
        )  # fmt: skip
    label_store = _label_store(target, labels)
    new = record_dataset_labels(report, label_store, rater=rater)
    return AddedDataset(report, label_store, new, rater, target / "sources" / f"{report.source}.json", Path(source))


def _label_store(store: Path, labels: str | Path | None) -> Path:
    return store.with_name(f"{store.name}.labels.db") if labels is None else Path(labels)


def record_dataset_labels(report: DatasetReport, label_store: str | Path, *, rater: str | None = None) -> int:
    """Append the labels of a data set to a label store; return how many are new.

    Args:
        report: Report of `add_dataset` or `add_pictures`.
        label_store: The label store; created if it is missing and there are labels.
        rater: Name of the rater; None takes the title of the public data set.

    Examples:
        >>> from heart2heart.api import add_dataset, record_dataset_labels
        >>> added = add_dataset("unity", "unity", "unity_store", size=32)
        >>> record_dataset_labels(added.report, "other_labels.db")
        3
    """
    from heart2heart.labels.events import LabelEvent
    from heart2heart.labels.label_store import LabelStore

    name, origin = rater or dataset_catalogue()[report.source].rater, f"source:{report.source}"
    events = [LabelEvent(clip, "", view, name, "", origin) for clip, view in sorted(report.labels.items())]
    return LabelStore(label_store).append(events) if events else 0
