"""Perturbed rows: which frames are taken, what each row says, and what a model that cannot see loses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.predictions import STRESS, Predictions
from heart2heart.schema.site_metrics import Estimate
from heart2heart.store.frame_store import FrameStore
from heart2heart.training.augment.perturbation import perturb
from heart2heart.training.stress import STRESS_KINDS, STRESS_LEVELS, add_perturbed_frames, check_stress
from tests.training.test_predict import PATIENTS, predicted_source, read_margin, read_scan, store

__all__ = ["store"]


def number(estimate: Estimate) -> float:
    assert estimate.value is not None
    return estimate.value


def test_add_perturbed_frames_takes_the_middle_frame_of_each_clip(store: FrameStore) -> None:
    seen: list[npt.NDArray[np.uint8]] = []

    def record(pixels: npt.NDArray[np.uint8], sites: Sequence[str]) -> npt.NDArray[np.float32]:
        seen.append(pixels)
        assert list(sites) == ["north"] * len(pixels)
        return read_scan(pixels)

    plain = predicted_source(store, read_scan)
    predictions = add_perturbed_frames(plain, store, record, kinds=["gain"], levels=[0.5], seed=3)
    rows = predictions.table.filter(pc.equal(predictions.table["role"], "perturbed"))
    assert rows["index"].to_pylist() == [3] * PATIENTS * 4
    assert len(set(rows["clip"].to_pylist())) == PATIENTS * 4
    assert set(rows["perturbation"].to_pylist()) == {"gain"}
    assert set(rows["level"].to_pylist()) == {0.5}
    assert rows["image"].null_count == len(rows)
    index = pc.index_in(rows["frame"], store.frames["frame"])
    originals = store.read(store.frames["row"].take(index).to_numpy().astype(np.int64))
    np.testing.assert_array_equal(np.concatenate(seen), perturb("gain", 0.5, torch.from_numpy(originals), 3).numpy())
    assert not np.array_equal(np.concatenate(seen), originals)


def test_add_perturbed_frames_survives_the_file_and_changes_no_other_score(store: FrameStore, tmp_path: Path) -> None:
    plain = predicted_source(store, read_scan)
    predictions = add_perturbed_frames(plain, store, read_scan, kinds=["attenuation", "gain"])
    assert len(predictions.table) == len(plain.table) + 2 * len(STRESS_LEVELS) * PATIENTS * 4
    predictions.write(tmp_path / "p.parquet")
    again = Predictions.read(tmp_path / "p.parquet")
    first, second = (evaluate_predictions(each, replicates=100) for each in (again, predictions))
    assert first == second
    site, plain_site = first.runs[0].sites[0], evaluate_predictions(plain, replicates=100).runs[0].sites[0]
    assert plain_site.stress == ()
    assert site.model_copy(update={"stress": ()}) == plain_site
    assert [curve.perturbation for curve in site.stress] == ["attenuation", "gain", "all"]
    levels = [point.level for point in site.stress[0].points]
    assert levels == list(STRESS_LEVELS)


def test_add_perturbed_frames_shows_what_a_model_of_grey_levels_loses(store: FrameStore) -> None:
    kinds = ["gain", "shift"]
    by_scan, by_margin = (
        evaluate_predictions(
            add_perturbed_frames(predicted_source(store, read), store, read, kinds=kinds), replicates=100
        ).runs[0].sites[0].stress
        for read in (read_scan, read_margin)
    )  # fmt: skip
    gain, shift, _ = by_scan
    assert number(gain.loss) > 0.2  # 10 dB are more than the distance of two views
    assert number(gain.points[0].change) >= number(gain.points[-1].change)
    assert number(shift.loss) == 0  # the middle of the scan keeps its brightness
    assert number(by_margin[1].loss) > 0  # the mark leaves its place


def test_read_samples_refuses_a_perturbed_frame_without_its_original(store: FrameStore) -> None:
    predictions = add_perturbed_frames(predicted_source(store, read_scan), store, read_scan, kinds=["gain"])
    table = predictions.table
    is_original = pc.and_(pc.equal(table["role"], "test"), pc.equal(table["index"], 3))
    without = Predictions(table.filter(pc.invert(is_original)), predictions.provenance)
    with pytest.raises(EvaluationError, match="not among the scored test frames"):
        evaluate_predictions(without, replicates=100)


def test_predictions_without_the_columns_of_the_stress_test_are_read(store: FrameStore, tmp_path: Path) -> None:
    plain = predicted_source(store, read_scan)
    plain.write(tmp_path / "p.parquet")
    table = Predictions.read(tmp_path / "p.parquet").table
    assert [table[name].null_count for name in STRESS.names] == [len(table)] * 2
    assert table.schema.field("level").type == pa.float32()


@pytest.mark.parametrize(
    ("kinds", "levels", "message"),
    [
        (["fog"], [1.0], "no perturbation 'fog'"),
        ([], [1.0], "no perturbation is named"),
        (["gain"], [0.0], "level 0.0 is outside"),
        (["gain"], [1.5], "level 1.5 is outside"),
        (["gain"], [], "named twice, or none"),
        (["gain", "gain"], [1.0], "named twice"),
    ],
)
def test_check_stress_refuses(kinds: list[str], levels: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_stress(kinds, levels)


def test_check_stress_accepts_the_defaults() -> None:
    check_stress(STRESS_KINDS, STRESS_LEVELS)
