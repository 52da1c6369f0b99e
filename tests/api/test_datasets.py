"""Pictures of a hospital without DICOM, from a folder of classes to the validation of a model there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from heart2heart.api.datasets import add_pictures, record_dataset_labels
from heart2heart.api.stores import load_clip
from heart2heart.api.validation import validate
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.testing.tiny import picture
from heart2heart.training.run import Run
from tests.datasets import miniature


def test_add_pictures_makes_a_hospital_at_which_a_model_is_validated(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for patient in range(6):
        for pattern, view in enumerate(SCORED_VIEWS):
            pixels = picture(pattern, rng).repeat(6, axis=0).repeat(6, axis=1)
            miniature.png(tmp_path / "in" / f"patient {patient}" / view / "x.png", pixels)
    added = add_pictures(
        tmp_path / "in", tmp_path / "store", levels="patient/label", site="D", size=run.geometry.size,
        geometry=run.geometry.name, whole=True, workers=0,
    )  # fmt: skip
    assert (added.report.accepted, added.report.patients, added.new_labels) == (24, 6, 24)
    assert record_dataset_labels(added.report, added.label_store, rater="pictures") == 0
    validate(run, tmp_path / "out", store=tmp_path / "store", labels=added.label_store, replicates=200)
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    scored = [row for row in rows if row["site"] == "D"]  # the others are validation frames of the source
    assert len({row["patient"] for row in scored}) == 6
    assert {row["frame"] for row in scored} <= {f"{clip}:0000" for clip in added.report.labels}


def test_load_clip_reads_a_picture(tmp_path: Path) -> None:
    folder = miniature.pictures(tmp_path)
    assert load_clip(folder / "PLAX" / "two.gif", size=32, frames="even:2").pixels.shape == (2, 32, 32)
    assert load_clip(folder / "A4C" / "one.png").facts.mode == "b_mode"
