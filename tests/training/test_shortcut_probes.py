"""A model that reads the background, or the scan, is told apart by the shortcut probes, from pixels to metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.schema.site_metrics import Probe
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.provenance import with_demographics
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.training.shortcut_probes import add_altered_frames
from tests.evaluation.factory import HOSPITALS, make_predictions

SIZE, PATIENTS = 32, 6
SCAN = np.s_[4:28, 4:24]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    """The view is written twice: as brightness of the scan, and as the place of a mark in the margin."""
    rng = np.random.default_rng(0)
    made = FrameStore.create(tmp_path_factory.mktemp("probe") / "store", Geometry("tmed2", SIZE))
    with made.writer() as writer:
        for patient in range(PATIENTS):
            for view in range(len(SCORED_VIEWS)):
                pixels = np.zeros((6, SIZE, SIZE), np.uint8)
                pixels[(slice(None), *SCAN)] = 60 + 40 * view + rng.integers(0, 20, (6, 24, 20))
                pixels[:, 8 * view : 8 * view + 3, 29:] = 200
                clip = f"{patient:08x}{view:08x}"
                row = {
                    "clip": clip, "site": "north", "patient": f"p{patient}", "study": f"s{patient}", "content": clip,
                    "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": 32, "columns": 32, "n_source": 6,
                    "quality": 0.5, "flags": [], "sex": "F" if patient % 2 else "M", "age": 50 + patient,
                }  # fmt: skip
                writer.add(row, pixels, [{"index": i, "quality": 0.5, "dhash": 0} for i in range(6)])
    return FrameStore.open(made.root)


def read_scan(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    brightness = pixels[:, 8:24, 8:20].mean((1, 2))
    logits: npt.NDArray[np.float32] = -np.abs(brightness[:, None] - (70 + 40 * np.arange(4)))
    return logits.astype(np.float32)


def read_margin(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    marks = np.stack([pixels[:, 8 * v : 8 * v + 3, 29:].mean((1, 2)) for v in range(4)], axis=1)
    return (marks / 50).astype(np.float32)


def predicted(store: FrameStore, read: object) -> Predictions:
    assert callable(read)
    frames = store.frames
    logits = read(store.read(frames["row"].to_numpy().astype(np.int64)))
    views = [SCORED_VIEWS[int(clip[8:], 16)] for clip in frames["clip"].to_pylist()]
    names = ("site", "patient", "study", "clip", "frame", "index", "mode", "maker", "quality")
    columns = {name: frames[name] for name in names} | {
        "run": pa.array(["ref-0"] * len(frames)), "role": pa.array(["test"] * len(frames)), "truth": pa.array(views),
        "logits": pa.array(list(logits), pa.list_(pa.float32())), "image": pa.nulls(len(frames), pa.binary()),
    }  # fmt: skip
    about = make_predictions(hospitals=HOSPITALS[:1]).provenance
    about = about.model_copy(update={"runs": about.runs[:1]})
    return Predictions(pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS), about)


def probes(store: FrameStore, read: object) -> dict[str, Probe]:
    assert callable(read)
    found = add_altered_frames(predicted(store, read), store, read)
    metrics = evaluate_predictions(found, replicates=200)
    assert metrics.runs[0].sites[0].balanced_accuracy.value == 1.0
    return {probe.alteration: probe for probe in metrics.runs[0].sites[0].probes}


def test_a_model_of_the_scan_falls_to_chance_without_it_and_keeps_it_on_other_backgrounds(store: FrameStore) -> None:
    found = probes(store, read_scan)
    assert found["sector_masked"].balanced_accuracy.value == found["sector_masked"].chance == 0.25
    assert found["sector_masked"].change.value == -0.75
    assert found["background_swapped"].balanced_accuracy.value == 1.0
    assert found["background_swapped"].change.value == 0.0


def test_a_model_of_the_margin_is_caught_by_both(store: FrameStore) -> None:
    found = probes(store, read_margin)
    assert found["sector_masked"].balanced_accuracy.value == 1.0
    assert found["background_swapped"].balanced_accuracy.value == 0.0  # donors are of another view
    assert found["background_swapped"].balanced_accuracy.n == PATIENTS * 4 * 6


def test_altered_rows_survive_the_file_and_add_nothing_to_the_scores(store: FrameStore, tmp_path: Path) -> None:
    plain = predicted(store, read_scan)
    found = add_altered_frames(plain, store, read_scan)
    found.write(tmp_path / "p.parquet")
    again = Predictions.read(tmp_path / "p.parquet")
    assert evaluate_predictions(again, replicates=100) == evaluate_predictions(found, replicates=100)
    altered = again.table.filter(pc.equal(again.table["role"], "sector_masked"))
    assert len(altered) == len(plain.table)
    assert altered["image"].null_count == len(altered)
    one, two = (evaluate_predictions(p, replicates=100).runs[0].sites[0] for p in (plain, found))
    assert one == two.model_copy(update={"probes": ()})


def test_sex_and_age_come_from_the_store(store: FrameStore) -> None:
    plain = predicted(store, read_scan)
    known = with_demographics(Predictions.concat([plain]), store)
    strata = evaluate_predictions(known, replicates=100).runs[0].sites[0].strata
    assert {(s.factor, s.level) for s in strata} == {("sex", "F"), ("sex", "M")}  # 50 to 55 years is one level
    assert strata[0].balanced_accuracy.n == PATIENTS // 2 * 4 * 6
    assert strata[0].views == SCORED_VIEWS
