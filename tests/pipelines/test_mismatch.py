"""The mismatch study: who is drawn for what, what the table says, and a whole miniature study that is stopped."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from pipelines import command_line, mismatch
from pipelines.mismatch import STUDY_VARIANTS, study_runs
from pipelines.mismatch_report import main, tables
from pipelines.mismatch_scores import (
    conclusion,
    fix_a_step_counterpart,
    paired_differences,
    scores_by_seed,
)
from pipelines.mismatch_task import IMAGE_TASKS, NOISE_CLASS, MismatchSplit, draw_roles
from pipelines.mismatch_variants import RunBudget, parse_variant, run_config, way_reads_pool
from pipelines.study_statistics import SeedInterval

NUMBER = np.repeat(np.arange(10), 40)
TESTED = np.tile(np.arange(40) < 10, 10)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([0, 25, 50, 75, 100]), st.integers(0, 50), st.sampled_from(list(IMAGE_TASKS)))
def test_draw_roles_follows_the_protocol(level: int, seed: int, name: str) -> None:
    left_out = np.random.default_rng(seed).random(len(NUMBER)) < 0.1
    role = draw_roles(MismatchSplit(name, level, 4, seed, 6), NUMBER, TESTED, left_out)
    dataset = IMAGE_TASKS[name]
    assert set(NUMBER[role == "unlabeled"]) == set(dataset.unlabeled[level])
    assert len(set(dataset.unlabeled[level]) - set(dataset.labeled)) == level // 25
    for each in dataset.labeled:
        assert ((role == "train") & (each == NUMBER)).sum() == 4
        assert ((role == "validation") & (each == NUMBER)).sum() == 6
    assert ((role == "test") == (TESTED & np.isin(NUMBER, dataset.labeled))).all()
    assert (role[left_out & ~TESTED] == "excluded").all()
    other = draw_roles(MismatchSplit(name, 100 - level, 4, seed, 6), NUMBER, TESTED, left_out)
    for name in ("train", "validation", "test"):
        assert ((role == name) == (other == name)).all()


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([25, 50, 75, 100]), st.integers(0, 50), st.sampled_from(list(IMAGE_TASKS)))
def test_draw_roles_holds_the_seen_part_fixed_under_the_protocol_add(level: int, seed: int, name: str) -> None:
    def pool(at: int) -> set[int]:
        role = draw_roles(MismatchSplit(name, at, 4, seed, 6, "add"), NUMBER, TESTED, np.zeros(len(NUMBER), bool))
        return set(np.flatnonzero(role == "unlabeled").tolist())

    seen = {index for index in pool(level) if NUMBER[index] in IMAGE_TASKS[name].labeled}
    assert seen == pool(0)
    assert len({NUMBER[index] for index in pool(level) - seen}) == level // 25
    replaced = draw_roles(MismatchSplit(name, 0, 4, seed, 6), NUMBER, TESTED, np.zeros(len(NUMBER), bool))
    assert pool(0) == set(np.flatnonzero(replaced == "unlabeled").tolist())  # both protocols are one at level 0


def test_draw_roles_of_the_controls() -> None:
    numbers, tested = np.append(NUMBER, [NOISE_CLASS] * 5), np.append(TESTED, [False] * 5)
    pools = {}
    for protocol in ("pure", "noise"):
        role = draw_roles(MismatchSplit("fashion-mnist", 0, 4, 1, 6, protocol), numbers, tested, np.zeros(405, bool))
        pools[protocol] = set(numbers[role == "unlabeled"].tolist())
    assert pools == {"pure": {0, 1, 2, 3, 4, 6}, "noise": {NOISE_CLASS}}
    plain = draw_roles(MismatchSplit("fashion-mnist", 0, 4, 1, 6), NUMBER, TESTED, np.zeros(400, bool))
    beside = draw_roles(MismatchSplit("fashion-mnist", 0, 4, 1, 6), numbers, tested, np.zeros(405, bool))
    assert (plain == beside[:400]).all()  # images of noise in the store change no draw
    assert (beside[400:] == "excluded").all()


def test_seed_interval_is_that_of_student() -> None:
    values = [80.0, 83.0, 87.5]
    interval, known = SeedInterval.of(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((known.low, known.high))
    assert str(SeedInterval.of([80.0])) == SeedInterval.of([80.0]).per_cent() == "80.0"
    assert SeedInterval(60.0, -5.0, 125.0).per_cent() == "60.0 (0.0 to 100.0)"
    assert [conclusion(SeedInterval(0.0, *ends)) for ends in ((0.1, 1), (-1, -0.1), (-1, 1))] == [
        "helps",
        "hurts",
        "not shown",
    ]


def _line(way: str, level: int, seed: int, score: float) -> dict[str, Any]:
    key = {"dataset": "fashion-mnist", "labels": 4, "way": way, "level": level, "seed": seed}
    alone = way == "labels_only"
    passed = None if alone else 0.05 + level / 800 + seed / 20
    conflict = None if alone else 0.25
    return key | {"balanced_accuracy": score, "conflict_rate": conflict, "pseudo_label_rate": passed}


def test_paired_differences_are_by_seed_over_the_levels() -> None:
    lines = [_line("labels_only", 0, seed, 0.5 + seed / 10) for seed in (0, 1)]
    for level, gain in ((0, 0.1), (100, -0.02)):
        lines += [_line("fixmatch", level, seed, 0.6 + seed / 10) for seed in (0, 1)]
        lines += [_line("fixmatch+mixing", level, seed, 0.6 + seed / 10 + gain) for seed in (0, 1)]
    scores = scores_by_seed(lines)
    assert paired_differences(scores, 4, "fixmatch+mixing", "fixmatch") == pytest.approx([4.0, 4.0])
    assert paired_differences(scores, 4, "fixmatch", "labels_only") == pytest.approx([10.0, 10.0])
    table = tables([*lines, _line("fixmatch", 0, 2, 0.0) | {"balanced_accuracy": None}])
    assert "Diverged, and left out: fixmatch at 0 % with seed 2." in table
    assert "| fixmatch+mixing | 4.0 (4.0 to 4.0) | helps | 14.0 (14.0 to 14.0) | helps |" in table
    assert "| 25 % |" in table
    assert "| fixmatch+mixing | 10.0 (10.0 to 10.0) | -2.0 (-2.0 to -2.0) |" in table  # from its base, level by level
    assert "| fixmatch+mixing | 20.0 (20.0 to 20.0) | 8.0 (8.0 to 8.0) |" in table  # from labels only
    assert "| fixmatch+mixing | -12.0 (-12.0 to -12.0) | 7.5 % | 20.0 % |" in table  # what foreign frames cost


def test_tables_are_printed_again_for_some_of_the_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [_line("labels_only", 0, seed, 0.5 + seed / 10) for seed in (0, 1, 2)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    main(tmp_path / "results.jsonl", from_seed=1, to_seed=1)
    assert "| labels_only | 60.0 |" in capsys.readouterr().out
    main(tmp_path / "results.jsonl", from_seed=1)
    assert "| labels_only | 65.0 (1.5 to 100.0) |" in capsys.readouterr().out
    with pytest.raises(MissingInputError):
        main(tmp_path / "none.jsonl")


def test_fix_a_step_counterpart_of_another_rule_is_fix_a_step() -> None:
    ways = ("mixmatch", "mixmatch+fix_a_step", "fixmatch+fix_a_step", "fixmatch+gradient", "fixmatch+running_mean")
    peers = {
        way: fix_a_step_counterpart(way, ways)
        for way in (*ways, "mixmatch+per_layer", "fixmatch+mixing+per_frame", "uda+sum")
    }
    assert peers == dict.fromkeys(ways) | {
        "fixmatch+running_mean": "fixmatch+gradient",
        "mixmatch+per_layer": "mixmatch+fix_a_step",  # MixMatch mixes by itself
        "fixmatch+mixing+per_frame": "fixmatch+fix_a_step",
        "uda+sum": None,
    }
    lines = [_line(way, 0, seed, 0.6) for way in ("fixmatch", "fixmatch+gradient") for seed in (0, 1)]
    lines += [_line("fixmatch+running_mean", 0, seed, 0.62) for seed in (0, 1)]
    row = "| fixmatch+running_mean | 2.0 (2.0 to 2.0) | helps | 2.0 (2.0 to 2.0) | helps |  |  |"
    assert row in tables(lines)


def test_run_config_of_every_run_of_the_study() -> None:
    jobs = study_runs(Path("out"), "fashion-mnist", [0, 50], [4], [0], STUDY_VARIANTS, RunBudget(steps=40))
    configs = {job.key["way"]: run_config(job) for job in jobs}
    assert set(configs) == set(STUDY_VARIANTS)
    assert {config.method.name for config in configs.values()} <= set(ALGORITHMS)
    assert {job.key["level"] for job in jobs if not way_reads_pool(job.key["way"])} == {0}
    assert configs["mixmatch+fix_a_step"].fix_a_step.mixing is False
    assert configs["mean_teacher"].unlabeled_weight.ramp == 16
    assert configs["fixmatch"].batch_norm == "labeled"
    assert configs["fixmatch+joint"].batch_norm == "joint"
    assert configs["fixmatch+running_mean"].fix_a_step.gradient == "running_mean"
    ways = ["fixmatch+fix_a_step+clean+method.params.threshold=0.8"]
    (job,) = study_runs(Path("out"), "fashion-mnist", [0], [4], [0], ways, RunBudget(steps=40))
    assert run_config(job).method.params["threshold"] == 0.8
    assert run_config(job).fix_a_step.clean
    for wrong in ("fixmatch+nothing", "nothing+mixing"):
        with pytest.raises(ConfigError):
            parse_variant(wrong)


def test_run_config_has_the_settings_of_the_published_results() -> None:
    adam = {"name": "adam", "lr": 0.002, "weight_decay": 4e-5}
    changes: dict[str, dict[str, Any]] = {
        "fixmatch": {},
        "mean_teacher": {"unlabeled_weight": {"value": 50.0, "ramp": 16}},
        "pseudo_label": {"unlabeled_weight": {"value": 1.0, "ramp": 16}},
        "mixmatch": {"unlabeled_weight": {"value": 75.0, "ramp": 16}, "optimiser": adam, "schedule": {"name": "fixed"}},
        "vat": {"unlabeled_weight": {"value": 0.3, "ramp": 16}, "optimiser": adam, "schedule": {"name": "fixed"}},
    }
    for job in study_runs(Path("out"), "fashion-mnist", [0], [4], [3], list(changes), RunBudget(steps=40)):
        content: dict[str, Any] = {
            "data": {"stores": ["out/store"], "split": str(job.split)},
            "network": {"options": {"depth": 10, "widen": 1, "blocks": 2, "norm_momentum": 0.05}},
            "method": {"name": job.key["way"]}, "unlabeled_weight": {"value": 1.0, "ramp": 0},
            "optimiser": {"name": "sgd", "lr": 0.03, "weight_decay": 5e-4}, "fix_a_step": {"alpha": 0.5},
            "selection": "validation", "batch_norm_record": "running", "augmentation": {"labeled": None},
            "batch": {"labeled": 32, "unlabeled": 64}, "pool": {"modes": ["other"]}, "ema": 0.98, "steps": 40,
            "evaluate_every": 5, "checkpoint_every": 40, "log_every": 5, "seed": 3, "device": "auto",
        }  # fmt: skip
        assert run_config(job) == TrainConfig.parse(content | changes[job.key["way"]], where="published")


def _images(folder: Path) -> None:
    """Write a miniature image set of ten noisy patterns in Fashion-MNIST's files."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (10, 4, 4)).repeat(7, axis=1).repeat(7, axis=2)
    for part, count in (("train", 24), ("t10k", 6)):
        labels = np.tile(np.arange(10), count).astype(np.uint8)
        noise = rng.normal(0, 40, (len(labels), 14, 14)).repeat(2, axis=1).repeat(2, axis=2)
        images = (patterns[labels] * 0.6 + 50 + noise).clip(0, 255).astype(np.uint8)
        for kind, data in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, data.ndim]) + struct.pack(f">{data.ndim}I", *data.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + data.tobytes())


def test_main_on_a_miniature_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _images(tmp_path / "images")
    command = ["--data", str(tmp_path / "images"), "--seeds", "1"]
    command += ["--out", str(tmp_path / "out"), "--level", "0", "--level", "100", "--way", "labels_only"]
    command += ["--way", "fixmatch+fix_a_step", "--labels", "6", "--validation", "6", "--steps", "8"]
    command += ["--labeled", "8", "--unlabeled", "8", "--blocks", "1", "--workers", "1"]

    def study(*more: str) -> tuple[int, str, str]:
        """Run the pipeline as from the command line; return its exit code, output and errors."""
        monkeypatch.setattr(sys, "argv", ["mismatch", *command, *more])
        with pytest.raises(SystemExit) as ended:
            command_line.run(mismatch.main)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    code, first, _ = study()
    assert code == 0
    results = tmp_path / "out" / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    assert first.count("| fixmatch+fix_a_step |") == 4
    assert (tmp_path / "out" / "results.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # Killed while the last line was being written: the line is torn, the run itself is finished.
    results.write_text("".join(lines[:-1]) + lines[-1][:20])
    code, again, _ = study()
    assert code == 0
    assert "1 runs in" in again
    repeated = [json.loads(line) for line in results.read_text().splitlines()[:2]]
    assert [line["way"] for line in repeated] == ["labels_only", "fixmatch+fix_a_step"]
    table = (tmp_path / "out" / "results.md").read_text()
    assert table.split("runs in")[0] in first
    code, _, errors = study("--level", "30")
    assert code == 2
    assert "Choose 0, 25, 50, 75 or 100" in errors
