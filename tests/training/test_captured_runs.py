"""Runs of a packed study beside each other: the same result as training from stores, on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import accelerator_study, captured_runs
from benchmarks.captured_runs import CapturedRun, run_beside
from benchmarks.packed_study import PackedStudy, pack_study
from heart2heart.errors import ConfigError
from pipelines.study_design import StudyDesign
from pipelines.study_measures import train_and_measure
from tests.pipelines.test_mismatch import _images

FACTS = ("pool", "pool_passes", "balanced_accuracy", "pool_pass_rate", "pool_precision", "conflict_rate")


@pytest.fixture(scope="module")
def design() -> StudyDesign:
    content: dict[str, Any] = {
        "title": "Miniature", "tasks": {"garments": {"dataset": "fashion-mnist", "labels": 4}},
        "ways": ["fixmatch+fix_a_step"], "levels": [100], "protocols": ["replace"], "seeds": 1,
        "budget": {"steps": 12, "labeled": 8, "unlabeled": 16, "validation": 3, "ema": 0.5},
        "settings": {"selection": "last", "batch_norm_record": "clean", "augmentation": {"labeled": None},
                     "unlabeled_weight": {"value": 1.0, "ramp": 8}},
        "controls": {"noise": 50},
    }  # fmt: skip
    return StudyDesign.parse(content, where="test")


@pytest.fixture(scope="module")
def packed(design: StudyDesign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the study, in its folder beside stores and splits."""
    folder = tmp_path_factory.mktemp("packed")
    _images(folder / "images")
    pack_study(design, folder / "images", folder, folder / "packed.npz")
    return folder / "packed.npz"


def test_run_beside_measures_what_training_from_stores_measures(design: StudyDesign, packed: Path) -> None:
    jobs = [job for job in design.jobs(packed.parent) if job.way == "fixmatch+fix_a_step" or job.protocol == "shuffled"]
    lines = list(run_beside(jobs, PackedStudy.read(packed), "cpu", streams=2))
    assert [job.key() for job, _ in lines] == [job.key() for job in jobs]
    for job, line in lines:
        stored = train_and_measure(job.config, job.path, frame_classes=job.data / "frame_classes.npy")
        for name in FACTS:
            assert line.get(name) == pytest.approx(stored.get(name)), name
        assert (line["split_sha256"], line["confusion"]) == (stored["split_sha256"], stored["confusion"])


def test_capture_begins_anew_after_warming_up(design: StudyDesign, packed: Path) -> None:
    job = design.jobs(packed.parent)[-1]
    study = PackedStudy.read(packed)
    pixels = torch.from_numpy(study.content["pixels"])
    fresh, warm = CapturedRun(job, study, pixels), CapturedRun(job, study, pixels)
    states = [each.get_state() for each in (warm.trainer.generator, warm.loader.augmentation_rng)]
    for _ in range(captured_runs.WARM_UP):
        warm.step()
    warm._begin_anew()
    for each, state in zip((warm.trainer.generator, warm.loader.augmentation_rng), states, strict=True):
        each.set_state(state)
    for run in (fresh, warm):
        run.capture()
        run.launch(5)
    for name, value in fresh.trainer.network.state_dict().items():
        torch.testing.assert_close(value, warm.trainer.network.state_dict()[name], msg=name)


def test_captured_run_refuses_a_method_that_reads_the_step(design: StudyDesign, packed: Path) -> None:
    other = StudyDesign.parse(design.model_dump(mode="json") | {"ways": ["openmatch"]}, where="test")
    with pytest.raises(ConfigError, match="openmatch cannot be recorded"):
        CapturedRun(other.jobs(packed.parent)[-1], PackedStudy.read(packed), torch.zeros(1, 28, 28, dtype=torch.uint8))


def test_run_packed_writes_lines_and_runs_nothing_twice(design: StudyDesign, packed: Path, tmp_path: Path) -> None:
    def again() -> list[dict[str, Any]]:
        return list(accelerator_study.run_packed(design, packed, tmp_path, "cpu", 2, 1.0))

    check, *lines = again()
    assert check["relative_difference"] < 1e-4
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(lines) == len(written) == len(design.jobs(tmp_path))
    assert all(np.sum(line["confusion"]) > 0 for line in written)
    assert again() == [{"check": "recorded steps"}]
