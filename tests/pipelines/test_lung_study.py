"""The lung study: its runs, and its tables against a plain computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.errors import UnknownNameError
from pipelines.lung_study import METHODS, STARTS, LungRun, resolve_tasks
from pipelines.lung_study_report import balanced, patient_counts, patient_interval, study_report

SEEDS = range(4)


def line(method: str, seed: int, right: dict[str, int], task: str = "northumbria-avi") -> dict[str, Any]:
    """Return a result with two clips of ten frames for each of ten patients, one a class."""
    clips = [
        {"patient": f"p{index}", "truth": truth, "frames": 10, "right": right[f"p{index}"]}
        for index in range(10)
        for truth in (0, 1)
    ]
    pool = {"pool": 0} if method == "labels_only" else {"pool": 50, "pool_passes": 12.0, "pool_pass_rate": 0.5}
    return {
        "task": task,
        "start": "scratch",
        "method": method,
        "seed": seed,
        "balanced_accuracy": 0.5,
        "clips": clips,
    } | pool


def lines() -> list[dict[str, Any]]:
    """Return four seeds in which FixMatch gets one frame of ten more right at every patient."""
    draws = np.random.default_rng(3).integers(2, 8, (len(SEEDS), 10))
    base = [{f"p{index}": int(value) for index, value in enumerate(row)} for row in draws]
    return [
        line(method, seed, {patient: value + more for patient, value in base[seed].items()})
        for seed in SEEDS
        for method, more in (("labels_only", 0), ("fixmatch", 1))
    ]


def test_resolve_tasks_expands_the_folds_of_a_site() -> None:
    assert resolve_tasks([]) == ["northumbria-avi", "avi-northumbria"]
    assert resolve_tasks(["avi"]) == [f"avi, fold {fold}" for fold in range(6)]
    with pytest.raises(UnknownNameError, match="nowhere"):
        resolve_tasks(["nowhere"])


@pytest.mark.parametrize("start", STARTS)
def test_config_differs_by_method_alone(start: str) -> None:
    weights = (("SONONET", Path("sono.npz")), ("LITE0", Path("lite.pth")))
    folder = Path("x")
    runs = [LungRun("northumbria-avi", start, name, 1, folder, folder, folder, weights).config() for name in METHODS]
    plain = [run.model_dump(exclude={"method", "fix_a_step"}) for run in runs]
    assert all(each == plain[0] for each in plain)
    assert {run.selection for run in runs} == {"last"}
    assert len({run.digest() for run in runs}) == len(METHODS)


def test_patient_counts_adds_clips_and_folds() -> None:
    rows = [
        line("fixmatch", 0, {f"p{index}": 3 for index in range(10)}, task) for task in ("avi, fold 0", "avi, fold 1")
    ]
    counts = patient_counts(rows, [f"p{index}" for index in range(10)])
    assert counts[0].shape == (10, 2, 2)
    assert (counts[0] == [[6, 20], [6, 20]]).all()
    assert float(balanced(counts[0].sum(0))) == pytest.approx(30.0)


def test_patient_interval_matches_a_plain_bootstrap() -> None:
    patients = [f"p{index}" for index in range(10)]
    counts = patient_counts([each for each in lines() if each["method"] == "fixmatch"], patients)
    low, high = patient_interval(list(counts.values()))
    share = np.stack([table[:, :, 0].sum(1) / table[:, :, 1].sum(1) for table in counts.values()]).mean(0)
    drawn = np.random.default_rng(0).integers(10, size=(20_000, 10))
    expected = np.quantile(100 * share[drawn].mean(1), [0.025, 0.975])
    np.testing.assert_allclose([low, high], expected, atol=0.7)


def test_study_report_compares_with_labels_only_by_seed_and_by_patient() -> None:
    text = study_report(lines(), ["scratch", "ultrasound"], list(METHODS))
    assert text.startswith("### northumbria-avi, scratch\n")
    assert "ultrasound" not in text
    rows = {row.split(" | ")[0].strip("| "): row for row in text.splitlines() if row.startswith("| ")}
    assert set(rows) == {"method", "labels_only", "fixmatch"}
    assert "10.0 (10.0 to 10.0)" in rows["fixmatch"]
    assert "10.0 to 10.0 | 12 | 50% |" in rows["fixmatch"]
    assert ", n = 4 |" in rows["labels_only"]


def test_study_report_leaves_out_seeds_with_a_missing_fold() -> None:
    right = {f"p{index}": 4 for index in range(10)}
    rows = [
        line(method, seed, right, f"avi, fold {fold}")
        for method in ("labels_only", "fixmatch")
        for seed in (0, 1)
        for fold in (0, 1)
        if (method, seed, fold) != ("fixmatch", 1, 1)
    ]
    text = study_report(rows, ["scratch"], ["labels_only", "fixmatch"])
    assert text.startswith("### within avi, scratch")
    cells = {row.split(" | ")[0].strip("| "): row for row in text.splitlines()}
    assert ", n = 1 |" in cells["fixmatch"]
    assert ", n = 2 |" in cells["labels_only"]
