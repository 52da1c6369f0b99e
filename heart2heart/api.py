"""Joins of several rooms that both the command line and the studies in `pipelines/` need."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.errors import DicomError, MissingInputError
from heart2heart.progress import NoProgress, Progress, SubProgress
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax

if TYPE_CHECKING:
    from heart2heart.datasets.manifest import DatasetReport
    from heart2heart.schema.metrics import Metrics
    from heart2heart.schema.predictions import SiteInfo
    from heart2heart.splits.manifest import SplitManifest


@dataclass(frozen=True)
class FramePrediction:
    """One frame: its index in the file, the likeliest view, one probability a class."""

    index: int
    view: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ClipPrediction:
    """One file: the view of the clip (mean of its frames' log-probabilities) and of each frame."""

    file: str
    mode: str
    flags: tuple[str, ...]
    classes: tuple[str, ...]
    view: str
    probabilities: tuple[float, ...]
    frames: tuple[FramePrediction, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that `predict --format json` prints."""
        plain = asdict(self)
        for item in (plain, *plain["frames"]):
            item["probabilities"] = dict(zip(self.classes, item["probabilities"], strict=True))
        del plain["classes"]
        return plain


def predict_files(run: Path, files: Sequence[Path], *, rule: str = "all") -> list[ClipPrediction]:
    """Name the view of DICOM clips with a trained run.

    Args:
        run: Run folder.
        files: DICOM files; nothing of their identity is kept.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Raises:
        DicomError: a file is not a clip; the message carries its status code.
    """
    from heart2heart.deidentify.clip import load_clip
    from heart2heart.training.run import Run

    trained = Run.load(run)
    found = []
    for file in files:
        try:
            clip = load_clip(file, geometry=trained.geometry, rule=rule)
        except DicomError as error:
            remedy = f"Status {error.code}; the page Status codes of the documentation explains it"
            raise DicomError(error.what, code=error.code, where=file, remedy=remedy) from error
        log_p = log_softmax(trained.predict(clip.pixels))
        (mean,) = clip_log_probabilities(log_p, np.zeros(len(log_p), np.int64), 1)
        classes = trained.classes
        frames = tuple(
            FramePrediction(int(frame["index"]), classes[int(row.argmax())], tuple(np.exp(row).tolist()))
            for frame, row in zip(clip.frames, log_p, strict=True)
        )
        view = classes[int(mean.argmax())]
        flags = tuple(clip.facts.flags)
        probabilities = tuple(np.exp(mean).tolist())
        found.append(ClipPrediction(file.name, clip.facts.mode, flags, classes, view, probabilities, frames))
    return found


def evaluate_runs(
    runs: Sequence[Path],
    stores: Sequence[Path],
    out: Path,
    *,
    command: str,
    split: Path | None = None,
    labels: Path | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    probes: bool = False,
    progress: Progress | None = None,
) -> Metrics:
    """Predict with every run, score every hospital, and write `predictions.parquet` and `metrics.json`.

    Args:
        runs: Run folders, all trained on one split.
        stores: The stores of that split.
        out: Folder for the two files.
        command: What a reader can run to get the same.
        split: The runs' split, if it is not where the first run's configuration says.
        labels: Label book, for the names of the raters.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        probes: Predict altered frames as well, for the shortcut probes.
        progress: Told percent done.

    Raises:
        RunError: a run was trained on another split or geometry.
    """
    from heart2heart.evaluation.evaluate import evaluate_predictions, write_metrics
    from heart2heart.schema.predictions import Predictions
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.provenance import record_test_access, with_demographics
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.predict import check_run, predict_split
    from heart2heart.training.run import Run
    from heart2heart.training.shortcut_probes import add_altered_frames

    opened = FrameStores.open(stores)
    loaded = [Run.load(run) for run in runs]
    manifest = SplitManifest.load(split or loaded[0].config.data.split)
    for run in loaded:  # all of them before the first predicts for an hour
        check_run(run, opened, manifest)
    sites = describe_sites(stores, manifest, labels)
    progress = progress or NoProgress()
    parts = []
    for number, run in enumerate(loaded):
        part = SubProgress(
            progress, start=90 * number / len(loaded), span=90 / len(loaded), total=len(manifest.members)
        )
        found = predict_split(run, opened, manifest, sites, command=command, progress=part)
        parts.append(add_altered_frames(found, opened, run.predict) if probes else found)
    predictions = record_test_access(with_demographics(Predictions.concat(parts), opened), manifest)
    predictions.write(out / "predictions.parquet")
    metrics = evaluate_predictions(predictions, replicates=replicates, seed=seed, bca=bca)
    write_metrics(metrics, out / "metrics.json")
    progress.update(100)
    return metrics


def describe_sites(stores: Sequence[Path], manifest: SplitManifest, labels: Path | None = None) -> tuple[SiteInfo, ...]:
    """Describe every hospital of a split: who is in it, its files by status, and who labeled it.

    Args:
        stores: The stores of the split.
        manifest: The split.
        labels: Label book, for the names of the raters.
    """
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.provenance import site_infos
    from heart2heart.store.frame_store import FrameStores

    files: dict[str, dict[str, int]] = {}
    for root in stores:
        with suppress(MissingInputError):  # a store that a plain image set filled has no ledger
            files |= Ledger(root).counts()
    events = LabelStore(labels).events() if labels else []
    return site_infos(FrameStores.open(stores), manifest, files=files, events=events)


def record_dataset_labels(report: DatasetReport, book: Path) -> int:
    """Record the labels of a public data set, its title standing for the rater; return how many were new.

    Args:
        report: What was added.
        book: The label book; made if there are labels and it is missing.
    """
    from heart2heart.datasets.catalogue import CATALOGUE
    from heart2heart.labels.events import LabelEvent
    from heart2heart.labels.label_store import LabelStore

    rater, told = CATALOGUE[report.source].rater, f"source:{report.source}"
    events = [LabelEvent(clip, "", view, rater, "", told) for clip, view in sorted(report.labels.items())]
    return LabelStore(book).append(events) if events else 0
