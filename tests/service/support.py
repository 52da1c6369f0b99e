"""A model without a network, and the parts of a service over a folder, for tests that need no threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.ingest.executors import FilePool
from heart2heart.prediction.batches import plain_answer
from heart2heart.prediction.loaded_clip import LoadedClip, PredictionTask
from heart2heart.schema.clip_answer import ClipAnswer, ModelIdentity
from heart2heart.service.running import Service
from heart2heart.service.settings import ServiceSettings
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write

CLASSES = ("PLAX", "A4C")
GEOMETRY = Geometry(size=32)
PATIENT, PATIENT_ID = "Doehringer^Anna", "PLANTED-4711"


@dataclass(frozen=True)
class FixedModel:
    """A model that gives one view to every clip."""

    name: str = "one"
    view: int = 1

    @property
    def identity(self) -> ModelIdentity:
        """Return what its answers carry."""
        return ModelIdentity(name=self.name, weights_sha256=str(self.view) * 64, version="1.0")

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the same logits for every frame."""
        return np.tile(np.eye(2, dtype=np.float32)[self.view], (len(pixels), 1))

    def answer(self, clip: LoadedClip, outputs: npt.NDArray[np.float32] | None) -> ClipAnswer:
        """Return its answer."""
        return plain_answer(clip, outputs, classes=CLASSES, model=self.identity)


def settings_of(folder: Path, **changes: Any) -> ServiceSettings:
    """Return settings without worker processes, with some of them changed."""
    content: dict[str, Any] = {
        "folder": folder, "models": [{"name": "one", "path": "run"}], "web": {"port": 0}, "workers": 0,
        "quiet_seconds": 0, "limits": {"free_bytes": 0},
    }  # fmt: skip
    return ServiceSettings.parse(content | changes, where="test")


@contextmanager
def open_service(
    settings: ServiceSettings, models: Sequence[FixedModel] = (FixedModel(),), **more: Any
) -> Iterator[Service]:
    """Open a service with models that need no network."""
    weights = {model.name: model.identity.weights_sha256 for model in models}
    options: dict[str, Any] = {"weights": weights, "reference": None, "audited_send": lambda path, send: send()}
    with Service.open(settings, models, GEOMETRY, **options | more) as service:
        yield service


def make_clip(folder: Path, number: int, *, study: int = 1, **tags: str) -> Path:
    """Write a small clip of a patient with a planted name."""
    known = {
        "PatientName": PATIENT, "PatientID": PATIENT_ID, "StudyInstanceUID": f"1.2.77.{study}",
        "SeriesInstanceUID": f"1.2.77.{study}.1", "SOPInstanceUID": f"1.2.77.{study}.1.{number}",
    }  # fmt: skip
    return write(folder / f"{study}_{number}.dcm", speckle_frames(3, seed=number), **known | tags)


__all__ = [
    "CLASSES",
    "GEOMETRY",
    "FilePool",
    "FixedModel",
    "PredictionTask",
    "make_clip",
    "open_service",
    "settings_of",
]
