"""Prediction over a split, and the frames that a gallery may show."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from heart2heart.errors import MissingInputError, RunError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.predictions import PREDICTIONS, Predictions, SiteInfo
from heart2heart.schema.site_metrics import Probe
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.provenance import with_demographics
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import FRAMES_A_CLIP, PARTS, TinyStore, tiny_store
from heart2heart.training.predict import (
    add_altered_frames,
    choose_donors,
    mask_sector,
    predict_split,
    swap_backgrounds,
)
from heart2heart.training.predict_rows import GALLERY_CORRECT, GALLERY_WRONG, gallery
from heart2heart.training.run import Run
from heart2heart.training.train import train
from tests.evaluation.factory import HOSPITALS, make_predictions


@pytest.fixture(scope="module")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=6), tmp_path_factory.mktemp("runs") / "r1")


def site(name: str) -> SiteInfo:
    return SiteInfo(
        site=name, held_out=name == "B", synthetic=True, files={}, patients=1, studies=1, clips=1, frames=1, roles={},
        labels={}, raters=(), makers=(), modes={}, date_from=None, date_to=None,
    )  # fmt: skip


def predicted(run: Run, tiny: TinyStore) -> Predictions:
    split, store = SplitManifest.load(tiny.split), FrameStore.open(tiny.store)
    return predict_split(run, store, split, (site("A"), site("B")), command="the command")


def test_predict_split_predicts_every_labeled_validation_and_test_frame(
    run: Run, tiny: TinyStore, tmp_path: Path
) -> None:
    predictions = predicted(run, tiny)
    predictions.write(tmp_path / "predictions.parquet")
    table = Predictions.read(tmp_path / "predictions.parquet").table
    tested = PARTS["test"] + 2
    scored = (PARTS["validation"] + tested) * 4 * FRAMES_A_CLIP
    assert len(table) == scored + tested  # one frame of each test patient has a view outside the classes
    assert set(table["role"].to_pylist()) == {"validation", "test"}
    assert table["truth"].to_pylist().count("SUBCOSTAL") == tested
    assert set(table["run"].to_pylist()) == {"r1"}
    store = FrameStore.open(tiny.store)
    row_of = dict(zip(store.frames["frame"].to_pylist(), store.frames["row"].to_pylist(), strict=True))
    rows = np.array([row_of[frame] for frame in table["frame"].to_pylist()])
    np.testing.assert_allclose(predictions.logits, run.predict(store.read(rows)), atol=1e-5)
    assert predictions.provenance.runs[0].selected_step == 6
    assert predictions.provenance.split.held_out_sites == ("B",)


def test_predict_split_keeps_pictures_of_a_few_test_frames(run: Run, tiny: TinyStore) -> None:
    table = predicted(run, tiny).table
    shown = [row for row in table.to_pylist() if row["image"] is not None]
    assert shown
    assert len({row["clip"] for row in shown}) == len(shown)
    assert {row["role"] for row in shown} == {"test"}
    store = FrameStore.open(tiny.store)
    row_of = dict(zip(store.frames["frame"].to_pylist(), store.frames["row"].to_pylist(), strict=True))
    for row in shown:
        picture = np.asarray(Image.open(io.BytesIO(row["image"])))
        np.testing.assert_array_equal(picture, store.read(np.array([row_of[row["frame"]]]))[0])


def test_gallery_takes_the_most_confident_by_view_and_hospital() -> None:
    rng = np.random.default_rng(0)
    n = 600
    targets = rng.integers(-1, 4, n)
    logits = rng.normal(0, 1, (n, 4)).astype(np.float32)
    right = rng.random(n) < 0.5
    logits[right, targets[right]] += 8
    members = pa.table(
        {
            "frame": [f"f{index:03d}" for index in range(n)],
            "clip": [f"c{index // 3:03d}" for index in range(n)],
            "site": rng.choice(["A", "B"], n).tolist(),
            "role": rng.choice(["validation", "test"], n).tolist(),
        }
    )
    chosen = gallery(members, targets, logits)
    rows = [members.slice(index, 1).to_pylist()[0] for index in chosen]
    assert len({row["clip"] for row in rows}) == len(rows)
    assert all(row["role"] == "test" for row in rows)
    guess = logits.argmax(1)
    for name in ("A", "B"):
        of_hospital = [index for index, row in zip(chosen, rows, strict=True) if row["site"] == name]
        for view in range(4):
            assert sum(guess[index] == targets[index] == view for index in of_hospital) == GALLERY_CORRECT
        assert sum(guess[index] != targets[index] for index in of_hospital) == GALLERY_WRONG
    assert (targets[chosen] >= 0).all()
    order = rng.permutation(n)
    shuffled = gallery(members.take(pa.array(order)), targets[order], logits[order])
    assert sorted(order[shuffled].tolist()) == chosen.tolist()


def test_logits_do_not_depend_on_the_batch(run: Run, tiny: TinyStore) -> None:
    pixels = FrameStore.open(tiny.store).read(np.arange(20))
    whole = run.predict(pixels)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(run.predict(pixels[7:9]), whole[7:9], atol=1e-5)
    assert run.predict(pixels[:0]).shape == (0, 4)
    assert not any(module.training for module in run.network.modules())
    assert torch.equal(next(Run.load(run.path).network.parameters()), next(run.network.parameters()))


def test_load_split_takes_another_folder_and_names_the_option_where_it_moved(
    run: Run, tiny: TinyStore, tmp_path: Path
) -> None:
    assert run.load_split().sha256 == SplitManifest.load(tiny.split).sha256
    shutil.copytree(tiny.split, tmp_path / "moved")
    assert run.load_split(tmp_path / "moved").path == tmp_path / "moved"
    with pytest.raises(MissingInputError, match=r"the run's split is not here.*--split"):
        run.load_split(tmp_path / "gone")


def test_predict_split_refuses_another_split(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    other = tiny_store(tmp_path, parts={"train": 1, "validation": 1, "test": 1})
    with pytest.raises(RunError, match="another split"):
        predicted(run, other)


SIZE, PATIENTS = 32, 6
SCAN = np.s_[4:28, 4:24]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    """The view is written twice: as brightness of the scan, and as the place of a mark in the margin."""
    rng = np.random.default_rng(0)
    frame_store = FrameStore.create(tmp_path_factory.mktemp("probe") / "store", Geometry("tmed2", SIZE))
    with frame_store.writer() as writer:
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
    return FrameStore.open(frame_store.root)


def read_scan(pixels: npt.NDArray[np.uint8], sites: object = None) -> npt.NDArray[np.float32]:
    brightness = pixels[:, 8:24, 8:20].mean((1, 2))
    logits: npt.NDArray[np.float32] = -np.abs(brightness[:, None] - (70 + 40 * np.arange(4)))
    return logits.astype(np.float32)


def read_margin(pixels: npt.NDArray[np.uint8], sites: object = None) -> npt.NDArray[np.float32]:
    marks = np.stack([pixels[:, 8 * v : 8 * v + 3, 29:].mean((1, 2)) for v in range(4)], axis=1)
    return (marks / 50).astype(np.float32)


def predicted_source(store: FrameStore, read: object) -> Predictions:
    assert callable(read)
    frames = store.frames
    logits = read(store.read(frames["row"].to_numpy().astype(np.int64)))
    views = [SCORED_VIEWS[int(clip[8:], 16)] for clip in frames["clip"].to_pylist()]
    names = ("site", "patient", "study", "clip", "frame", "index", "mode", "maker", "quality")
    columns = {name: frames[name] for name in names} | {
        "run": pa.array(["ref-0"] * len(frames)), "role": pa.array(["test"] * len(frames)), "truth": pa.array(views),
        "logits": pa.array(list(logits), pa.list_(pa.float32())), "image": pa.nulls(len(frames), pa.binary()),
    }  # fmt: skip
    provenance = make_predictions(hospitals=HOSPITALS[:1]).provenance
    provenance = provenance.model_copy(update={"runs": provenance.runs[:1]})
    return Predictions(pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS), provenance)


def probes(store: FrameStore, read: object) -> dict[str, Probe]:
    assert callable(read)
    predictions = add_altered_frames(predicted_source(store, read), store, read)
    metrics = evaluate_predictions(predictions, replicates=200)
    assert metrics.runs[0].sites[0].balanced_accuracy.value == 1.0
    return {probe.alteration: probe for probe in metrics.runs[0].sites[0].probes}


def test_add_altered_frames_brings_a_model_of_the_scan_to_chance_without_it(store: FrameStore) -> None:
    results = probes(store, read_scan)
    assert results["sector_masked"].balanced_accuracy.value == results["sector_masked"].chance == 0.25
    assert results["sector_masked"].change.value == -0.75
    assert results["background_swapped"].balanced_accuracy.value == 1.0
    assert results["background_swapped"].change.value == 0.0


def test_add_altered_frames_catches_a_model_of_the_margin_by_both(store: FrameStore) -> None:
    results = probes(store, read_margin)
    assert results["sector_masked"].balanced_accuracy.value == 1.0
    assert results["background_swapped"].balanced_accuracy.value == 0.0  # donors are of another view
    assert results["background_swapped"].balanced_accuracy.n == PATIENTS * 4 * 6


def test_add_altered_frames_is_kept_in_the_file_and_adds_nothing_to_the_scores(
    store: FrameStore, tmp_path: Path
) -> None:
    plain = predicted_source(store, read_scan)
    altered_predictions = add_altered_frames(plain, store, read_scan)
    altered_predictions.write(tmp_path / "p.parquet")
    again = Predictions.read(tmp_path / "p.parquet")
    assert evaluate_predictions(again, replicates=100) == evaluate_predictions(altered_predictions, replicates=100)
    altered = again.table.filter(pc.equal(again.table["role"], "sector_masked"))
    assert len(altered) == len(plain.table)
    assert altered["image"].null_count == len(altered)
    one, two = (evaluate_predictions(p, replicates=100).runs[0].sites[0] for p in (plain, altered_predictions))
    assert one == two.model_copy(update={"probes": ()})


def test_with_demographics_takes_sex_and_age_of_the_store(store: FrameStore) -> None:
    plain = predicted_source(store, read_scan)
    known = with_demographics(Predictions.concat([plain]), store)
    strata = evaluate_predictions(known, replicates=100).runs[0].sites[0].strata
    assert {(s.factor, s.level) for s in strata} == {("sex", "F"), ("sex", "M")}  # 50 to 55 years is one level
    assert strata[0].balanced_accuracy.n == PATIENTS // 2 * 4 * 6
    assert strata[0].views == SCORED_VIEWS


def test_swap_backgrounds_exchanges_scan_and_background_by_the_mask() -> None:
    frames = np.array([[[1, 2], [3, 4]]], np.uint8)
    donors = np.array([[[5, 6], [7, 8]]], np.uint8)
    mask = np.array([[[True, False], [False, False]]])
    donor_mask = np.array([[[False, True], [False, False]]])
    assert mask_sector(frames, mask).tolist() == [[[0, 2], [3, 4]]]
    # Own scan kept; where the donor's scan lies, black; the rest is the donor's.
    assert swap_backgrounds(frames, mask, donors, donor_mask).tolist() == [[[1, 0], [7, 8]]]
    assert mask_sector(frames, mask).dtype == np.uint8


@given(st.integers(0, 500), st.integers(1, 4), st.integers(1, 6))
def test_choose_donors_of_another_view_and_patient(seed: int, views: int, patients: int) -> None:
    rng = np.random.default_rng(seed)
    view = np.array([f"v{k}" for k in rng.integers(0, views, 30)], object)
    patient = np.array([f"p{k}" for k in rng.integers(0, patients, 30)], object)
    donors = choose_donors(view, patient, 3)
    np.testing.assert_array_equal(donors, choose_donors(view, patient, 3))
    for index, donor in enumerate(donors.tolist()):
        fitting = (view != view[index]) & (patient != patient[index])
        assert fitting[donor] if donor >= 0 else not fitting.any()
