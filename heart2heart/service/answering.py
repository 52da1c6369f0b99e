"""Answers the clips of the queue: reads their files in worker processes, runs every model, and records the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.deidentify.vocabulary import known_manufacturer
from heart2heart.dicom.header_values import text
from heart2heart.dicom_results.answered_clip import read_clip_header
from heart2heart.errors import DicomError
from heart2heart.ingest.executors import FilePool
from heart2heart.ingest.worker import FileOutcome
from heart2heart.prediction.batches import CPU_FRAMES, classify_clips
from heart2heart.prediction.loaded_clip import LoadedClip
from heart2heart.schema.clip_answer import ClipAnswer
from heart2heart.schema.service import ClipMeasures
from heart2heart.service.intake import Intake, keyed_name
from heart2heart.service.queue import AnsweredRow, ServiceQueue

if TYPE_CHECKING:
    from pydicom import Dataset

BATCH_CLIPS = 16
"""Clips that are answered between two transactions."""

Outputs = npt.NDArray[np.float32]


class AnsweringModel(Protocol):
    """A model of the service: what answers clips."""

    @property
    def name(self) -> str:
        """Its name in the service."""

    def predict(self, pixels: npt.NDArray[np.uint8]) -> Outputs:
        """Return float32 `(n, d)` for uint8 frames `(n, size, size)`."""

    def answer(self, clip: LoadedClip, outputs: Outputs | None) -> ClipAnswer:
        """Return the answer for a clip and its rows of `predict`; None for a file without frames."""


@dataclass(frozen=True)
class Answerer:
    """Answers clips in batches.

    Attributes:
        queue: The queue.
        intake: Where the files are.
        pool: Reads files.
        models: The models, all with one geometry.
        key: Key of the names of studies and patients.
        with_reports: Whether the clips of a study wait for its report.
        keep_file: Called with the answers of a clip and its file before they are recorded.
    """

    queue: ServiceQueue
    intake: Intake
    pool: FilePool
    models: Sequence[AnsweringModel]
    key: Key = field(repr=False)
    with_reports: bool
    keep_file: Callable[[AnsweredRow, Path], None]

    def answer_batch(self) -> list[float]:
        """Answer the clips that have waited longest, and return the seconds from the arrival to the answer of each."""
        names = self.queue.waiting(BATCH_CLIPS)
        if not names:
            return []
        paths = [self.intake.path(name) for name in names]
        outcomes = list(self.pool.outcomes(paths))
        clips = [LoadedClip.from_outcome(name, outcome) for name, outcome in zip(names, outcomes, strict=True)]
        answers = {
            model.name: [
                each for batch in classify_clips(clips, model.predict, model.answer, batch_frames=CPU_FRAMES)
                for each in batch
            ]
            for model in self.models
        }  # fmt: skip
        rows = [
            self._row(name, path, outcome, {model: each[index] for model, each in answers.items()})
            for index, (name, path, outcome) in enumerate(zip(names, paths, outcomes, strict=True))
        ]
        for row, path in zip(rows, paths, strict=True):
            self.keep_file(row, path)
        seconds = self.queue.record(rows)
        self.intake.remove([row.name for row in rows if not row.needs_report])
        return seconds

    def _row(self, name: str, path: Path, outcome: FileOutcome, answers: dict[str, ClipAnswer]) -> AnsweredRow:
        header = self._header(path)
        study = patient = None
        if header is not None:
            identity = text(header, "StudyInstanceUID"), text(header, "PatientID")
            study, patient = keyed_name(self.key, "study", *identity), keyed_name(self.key, "patient", identity[1])
        active = answers[self.queue.active]
        measures = None
        if outcome.clip is not None:
            maker = known_manufacturer(outcome.clip.facts.manufacturer or "") or "unknown"
            measures = clip_measures(outcome.clip.pixels, manufacturer=maker, answer=active)
        needs_report = self.with_reports and study is not None
        return AnsweredRow(name, active.sha256, study, patient, answers, measures, needs_report)

    def _header(self, path: Path) -> Dataset | None:
        try:
            return read_clip_header(path)
        except DicomError:
            return None


def clip_measures(
    pixels: npt.NDArray[np.uint8], *, manufacturer: str = "unknown", answer: ClipAnswer | None = None
) -> ClipMeasures:
    """Return what monitoring compares of one clip.

    Args:
        pixels: uint8 frames `(n, size, size)`.
        manufacturer: Manufacturer by the closed vocabulary.
        answer: Answer of the active model.

    Examples:
        >>> clip_measures(np.full((2, 4, 4), 255, np.uint8)).gray[15]
        1.0
    """
    counts = np.bincount((pixels >> 4).ravel(), minlength=16)
    probabilities = {} if answer is None else answer.probabilities
    predicted = max(probabilities, key=probabilities.__getitem__) if probabilities else None
    confidence = None if predicted is None else min(1.0, round(probabilities[predicted], 6))
    return ClipMeasures(
        gray=tuple((counts / counts.sum()).round(6).tolist()),
        sector=round(float((pixels.max(0) > 0).mean()), 6),
        frames=len(pixels),
        manufacturer=manufacturer,
        confidence=confidence,
        entropy=_relative_entropy(list(probabilities.values())) if predicted is not None else None,
        predicted=predicted,
        quality=None if answer is None or answer.quality is None else round(answer.quality, 6),
    )


def _relative_entropy(probabilities: Sequence[float]) -> float:
    values = np.array(probabilities)
    entropy = -(values * np.log(np.maximum(values, 1e-12))).sum() / np.log(max(2, len(values)))
    return round(float(np.clip(entropy, 0, 1)), 6)
