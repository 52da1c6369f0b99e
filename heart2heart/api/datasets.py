"""Adds public data sets to a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import MissingInputError
from heart2heart.progress import Stage, silent_stage

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
    label_store = target.with_name(f"{target.name}.labels.db") if labels is None else Path(labels)
    new = record_dataset_labels(report, label_store)
    return AddedDataset(report, label_store, new, entry.rater, target / "sources" / f"{name}.json", Path(folder))


def record_dataset_labels(report: DatasetReport, label_store: str | Path) -> int:
    """Append the labels of a public data set to a label store, with its title as the rater; return how many are new.

    Args:
        report: Report of `add_dataset`.
        label_store: The label store; created if it is missing and there are labels.

    Examples:
        >>> from heart2heart.api import add_dataset, record_dataset_labels
        >>> added = add_dataset("unity", "unity", "unity_store", size=32)
        >>> record_dataset_labels(added.report, "other_labels.db")
        3
    """
    from heart2heart.labels.events import LabelEvent
    from heart2heart.labels.label_store import LabelStore

    rater, origin = dataset_catalogue()[report.source].rater, f"source:{report.source}"
    events = [LabelEvent(clip, "", view, rater, "", origin) for clip, view in sorted(report.labels.items())]
    return LabelStore(label_store).append(events) if events else 0
