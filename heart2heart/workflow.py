"""Joins of several rooms that both the command line and the studies in `pipelines/` need."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.errors import DicomError, MissingInputError
from heart2heart.progress import Part, Progress, Silent

if TYPE_CHECKING:
    from heart2heart.evaluate import Metrics


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
        rule: Frames to read: `all`, `every:N` or `even:K`.

    Raises:
        DicomError: a file is not a clip; the message carries its status code.
    """
    from scipy.special import log_softmax

    from heart2heart.dicom import load_clip
    from heart2heart.learn import Run

    trained = Run.load(run)
    found = []
    for file in files:
        try:
            clip = load_clip(file, geometry=trained.geometry, rule=rule)
        except DicomError as error:
            remedy = f"Status {error.code}; docs/status-codes.md explains it"
            raise DicomError(error.what, code=error.code, where=file, remedy=remedy) from error
        log_p = log_softmax(trained.predict(clip.pixels).astype(np.float64), axis=1)
        mean = log_softmax(log_p.mean(axis=0))
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
        progress: Told percent done.

    Raises:
        RunError: a run was trained on another split or geometry.
    """
    from heart2heart.curate import LabelBook
    from heart2heart.evaluate import evaluate_predictions, write_metrics
    from heart2heart.frames.store import FrameStores
    from heart2heart.ingest import Ledger
    from heart2heart.learn import Run
    from heart2heart.learn.predict import predict_split
    from heart2heart.predictions import Predictions
    from heart2heart.provenance import site_infos
    from heart2heart.splits import SplitManifest

    opened = FrameStores.open(stores)
    loaded = [Run.load(run) for run in runs]
    manifest = SplitManifest.load(split or loaded[0].config.data.split)
    files: dict[str, dict[str, int]] = {}
    for root in stores:
        with suppress(MissingInputError):  # a store that a public data set filled has no ledger
            files |= Ledger(root).counts()
    events = LabelBook(labels).events() if labels else []
    sites = site_infos(opened, manifest, files=files, events=events)
    progress = progress or Silent()
    parts = []
    for number, run in enumerate(loaded):
        part = Part(progress, start=90 * number / len(loaded), span=90 / len(loaded), total=len(manifest.members))
        parts.append(predict_split(run, opened, manifest, sites, command=command, progress=part))
    predictions = Predictions.concat(parts)
    predictions.write(out / "predictions.parquet")
    metrics = evaluate_predictions(predictions, replicates=replicates, seed=seed)
    write_metrics(metrics, out / "metrics.json")
    progress.update(100)
    return metrics
