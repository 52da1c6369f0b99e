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
from benchmarks.draft_study import draft_study
from benchmarks.packed_study import PackedStudy, pack_study
from heart2heart.errors import ConfigError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from pipelines.study_design import StudyDesign
from pipelines.study_measures import train_and_measure
from tests.pipelines.test_mismatch import _images

FACTS = ("pool", "pool_passes", "balanced_accuracy", "pool_pass_rate", "pool_precision", "conflict_rate")


RULE = Path("pipelines/studies/uncurated_rule.yaml")
SMALL = (
    "seeds=1", "levels=[100]", "ways=[fixmatch+fix_a_step, prototype_match]", "comparisons=[]", "controls.noise=20",
    "tasks.garments.labels=4", "settings.precision=float32", "settings.unlabeled_weight={value: 1.0, ramp: 3}",
    "budget={steps: 4, labeled: 8, unlabeled: 16, validation: 3, ema: 0.5}",
)  # fmt: skip
"""The registered comparison in miniature: both tasks, both protocols."""


@pytest.fixture(scope="module")
def design() -> StudyDesign:
    return StudyDesign.load(RULE, list(SMALL))


@pytest.fixture(scope="module")
def packed(design: StudyDesign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the study, in its folder beside stores and splits."""
    folder = tmp_path_factory.mktemp("packed")
    _images(folder / "images")
    pack_study(design, folder / "images", folder, folder / "packed.npz")
    return folder / "packed.npz"


def test_run_beside_measures_what_training_from_stores_measures(design: StudyDesign, packed: Path) -> None:
    chosen = {("garments", "shuffled"), ("footwear", "add")}
    jobs = [job for job in design.jobs(packed.parent) if (job.task, job.protocol) in chosen]
    assert [job.way for job in jobs] == ["labels_only", "fixmatch+fix_a_step", "prototype_match"]
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
    other = StudyDesign.parse(design.model_dump(mode="json") | {"ways": ["openmatch"], "margins": {}}, where="test")
    with pytest.raises(ConfigError, match="openmatch cannot be recorded"):
        CapturedRun(other.jobs(packed.parent)[-1], PackedStudy.read(packed), torch.zeros(1, 28, 28, dtype=torch.uint8))


def test_run_packed_writes_lines_and_runs_nothing_twice(
    design: StudyDesign, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> list[dict[str, Any]]:
        return list(accelerator_study.run_packed(design, packed, tmp_path, "cpu", 2, 20.0))

    monkeypatch.setattr(accelerator_study, "CHECKED_STEPS", 3)
    records = again()
    checks, lines = records[:4], records[4:]
    assert {check["way"] for check in checks} == {"labels_only", "fixmatch", "fixmatch+fix_a_step", "prototype_match"}
    assert all(check["relative_difference"] < 1e-4 for check in checks)
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(lines) == len(written) == len(design.jobs(tmp_path))
    assert all(np.sum(line["confusion"]) > 0 for line in written)
    assert again() == []
    assert "0 to do" in accelerator_study.plan_text(design, tmp_path, 8.0, 1400)


def test_run_packed_leaves_out_a_way_that_cannot_be_recorded(
    design: StudyDesign, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ["openmatch", "prototype_match"]
    content = {"ways": ways, "protocols": ["add"], "controls": {"run": False}}
    other = StudyDesign.parse(design.model_dump(mode="json") | content, where="test")
    monkeypatch.setattr(accelerator_study, "CHECKED_STEPS", 1)
    lines = list(accelerator_study.run_packed(other, packed, tmp_path, "cpu", 2, 20.0))
    assert [line["way"] for line in lines if "failed" in line] == ["openmatch"]
    scored = {line["way"] for line in lines if "balanced_accuracy" in line}
    assert scored == {"labels_only", "prototype_match"}


def test_plan_text_says_how_many_seeds_the_time_allows() -> None:
    design = StudyDesign.load(RULE, [])
    text = accelerator_study.plan_text(design, Path("none"), 8.0, 1400)
    assert "320 runs, 320 to do: 640,000 steps, 7.6 minutes at 1400 a second." in text
    assert "| footwear | prototype_match, add | 16 |" in text
    assert "In 4 minutes: 4 of 8 seeds whole" in accelerator_study.plan_text(design, Path("none"), 4.0, 1400)


def test_pack_study_refuses_images_of_several_sizes(design: StudyDesign, tmp_path: Path) -> None:
    tasks = {"animals": {"dataset": "cifar10", "labels": 4}, "garments": {"dataset": "fashion-mnist", "labels": 4}}
    mixed = StudyDesign.parse(design.model_dump(mode="json") | {"tasks": tasks}, where="test")
    with pytest.raises(ConfigError, match="several sizes"):
        pack_study(mixed, tmp_path, tmp_path, tmp_path / "packed.npz")


def test_pack_study_keeps_each_picture_once(design: StudyDesign, packed: Path) -> None:
    study = PackedStudy.read(packed)
    pixels = study.content["pixels"]
    assert len({frame.tobytes() for frame in pixels}) == len(pixels)
    garments, footwear = (
        next(job for job in design.jobs(packed.parent) if job.task == task and job.protocol == "replace")
        for task in ("garments", "footwear")
    )
    for job in (garments, footwear):
        store = FrameStores.open([job.data / "store"])
        rows = SplitManifest.load(job.split).select(store, "unlabeled").rows
        assert np.array_equal(pixels[study.rows(job, "unlabeled")], store.read(rows))
        assert set(study.pool_truth(job)) == {-1}  # level 100


def test_draft_study_draws_labels_pool_and_validation_apart(packed: Path, tmp_path: Path) -> None:
    overrides = ["seeds=1", "budget.validation=3", "tasks.garments.labels=4"]
    draft = StudyDesign.load(RULE.with_name("uncurated_development.yaml"), overrides)
    draft_study(draft, packed.parent / "images", tmp_path, tmp_path / "packed.npz")
    study = PackedStudy.read(tmp_path / "packed.npz")
    assert study.content["pixels"].shape[1:] == (14, 14)
    for job in draft.jobs(tmp_path):
        train, tested = study.labeled(job, "train"), study.labeled(job, "test")
        assert np.bincount(train.targets).tolist() == [4] * 6
        assert np.bincount(tested.targets).tolist() == [3] * 6
        used = [*train.rows, *tested.rows, *study.rows(job, "unlabeled")]
        assert len(set(used)) == len(used)
        assert set(study.pool_truth(job)) == {-1} if job.level == 100 else min(study.pool_truth(job)) >= 0
    with pytest.raises(ConfigError, match="no controls"):
        draft_study(StudyDesign.load(RULE, []), tmp_path, tmp_path, tmp_path / "packed.npz")
