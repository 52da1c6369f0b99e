"""A hospital that joins after training: a store of its own with labels, and leaks planted on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.validation import ValidationCertificate
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import FRAMES_A_CLIP, SIZE, TinyStore, add_clip, picture


@dataclass(frozen=True)
class NewHospital:
    """Folder of the store, and file of the labels."""

    store: Path
    labels: Path


def new_hospital(
    root: Path, *, site: str = "E", patients: int = 4, pseudonym: str = "e", copied_from: TinyStore | None = None
) -> NewHospital:
    """Write a store and labels of every view of each patient.

    Args:
        root: An empty folder.
        site: The hospital.
        patients: Number of patients.
        pseudonym: Beginning of the patients' pseudonyms; `p` are those of the tiny store.
        copied_from: The last patient's frames are those of the first training patient of this store, under another
            pseudonym and one gray level brighter.
    """
    rng = np.random.default_rng(7)
    store = FrameStore.create(root / "store", Geometry(size=SIZE))
    events = []
    with store.writer() as writer:
        for patient in range(patients):
            for view, name in enumerate(SCORED_VIEWS):
                clip = f"{site}{pseudonym}{patient}v{view}"
                frames = np.stack([picture(view, rng) for _ in range(FRAMES_A_CLIP)])
                if copied_from is not None and patient == patients - 1:
                    source = FrameStore.open(copied_from.store)
                    rows = source.frames["row"].to_numpy()[
                        np.array(source.frames["clip"].to_pylist()) == f"c000v{view}"
                    ]
                    frames = np.minimum(source.read(np.sort(rows)), 254) + np.uint8(1)
                names = {
                    "clip": clip,
                    "site": site,
                    "patient": f"{pseudonym}{patient}",
                    "study": f"{site}{pseudonym}s{patient}",
                }
                add_clip(writer, names, frames)
                events.append(LabelEvent(clip, "", name, "reader 1", "2026-01-31T12:00:00Z", "csv:heart2heart"))
    LabelStore(root / "labels.db").append(events)
    return NewHospital(root / "store", root / "labels.db")


def certificate_of(folder: Path) -> ValidationCertificate:
    """Return the certificate in the predictions of a folder."""
    certificate = Predictions.read(folder / "predictions.parquet").provenance.validation
    assert certificate is not None
    return certificate
