"""The benchmark in miniature: its plan, its whole way on byte-true data sets and on synthetic ones, its refusals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from heart2heart.errors import ConfigError, RunError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.metrics_files import read_folds
from heart2heart.schema.predictions import Predictions
from heart2heart.testing.stores import random_store, view_labels
from heart2heart.training.config import TrainConfig
from pipelines import command_line, heart2heart, heart2heart_data
from pipelines.heart2heart import choose_devices, choose_shard
from pipelines.heart2heart_cost import REACHED_SHARE, ROOFLINE_FRAMES, gpu_hours, passes_per_step
from pipelines.heart2heart_data import SITES, bind_settings
from pipelines.heart2heart_results import select_runs
from pipelines.heart2heart_runs import (
    CONFIGS,
    FOLDS,
    SYNTHETIC_STEPS,
    VARIANTS,
    BenchmarkRun,
    BenchmarkStudy,
    train_on_own_device,
)
from pipelines.study_jobs import run_all
from tests.datasets import miniature

TOY = tuple(
    f"--override={each}"
    for each in (
        "network.options={depth: 10, widen: 1, blocks: 1}", "steps=2", "evaluate_every=2", "checkpoint_every=1",
        "log_every=1", "batch.labeled=2", "batch.unlabeled=2", "unlabeled_weight.ramp=0", "ema=0.5",
    )
)  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the pipeline as from the command line and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["heart2heart", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command_line.run(heart2heart.main)
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for name in SITES:
        getattr(miniature, name)(root / name)
    return root


def test_config_of_each_run_has_the_settings_of_the_paper() -> None:
    study = BenchmarkStudy(Path("out"), SITES)
    configs = {(job.fold, job.variant): job.config for job in study.runs()}
    assert len(configs) == len(FOLDS) * len(VARIANTS)
    rates = [(configs[fold, "labels_only"].optimiser.lr, configs[fold, "labels_only"].schedule.name) for fold in FOLDS]
    assert rates == [(0.01, "cosine"), (0.003, "cosine"), (0.003, "fixed")]
    vat = [configs[fold, "vat_fix_a_step"] for fold in FOLDS]
    assert [(each.unlabeled_weight.value, each.unlabeled_weight.ramp) for each in vat] == [
        (0.1, 17000), (3, 34000), (0.1, 0),
    ]  # fmt: skip
    assert [each.optimiser.lr for each in vat] == [0.002, 0.002, 0.006]
    mixed = [configs[fold, "fixmatch_fix_a_step"].fix_a_step for fold in FOLDS]
    assert [(each.temperature, each.alpha) for each in mixed] == [(0.95, 0.75), (0.95, 0.75), (0.5, 0.5)]
    assert [configs[fold, "pi_model"].unlabeled_weight.ramp for fold in FOLDS] == [0, 17000, 34000]
    for (fold, way), config in configs.items():
        assert config.steps == 1000 * round(config.steps / 1000)
        if way.endswith("_fix_a_step"):
            base = configs[fold, way.removesuffix("_fix_a_step")]
            assert config.fix_a_step.mixing
            assert config.fix_a_step.gradient == "fix_a_step"
            assert base == config.model_copy(update={"fix_a_step": base.fix_a_step, "loss": base.loss})
            assert (config.loss.scale, base.loss.scale) == ("official", "sum_of_weights")
            assert not base.fix_a_step.mixing
            assert base.fix_a_step.gradient == "sum"
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*VARIANTS, "folds"}
    assert set(yaml.safe_load((CONFIGS / "folds.yaml").read_text())) == set(VARIANTS)


def test_synthetic_config_keeps_method_and_ramp_and_is_short() -> None:
    study = BenchmarkStudy(Path("out"), SITES, synthetic=True)
    config = BenchmarkRun(study, 0, "vat").config
    assert config.steps == SYNTHETIC_STEPS
    assert config.unlabeled_weight.ramp == round(17000 / 24000 * SYNTHETIC_STEPS)
    assert config.method == TrainConfig.load(CONFIGS / "vat.yaml", ["data.stores=[s]", "data.split=s"]).method


def test_passes_per_step_and_gpu_hours_count_passes() -> None:
    job = BenchmarkRun(BenchmarkStudy(Path("out"), SITES), 0, "fixmatch_fix_a_step")
    # The two guesses of 64 rows, one view of 320 without and one with gradient: 533 frames trained a step.
    assert passes_per_step(job.config) / 3 == pytest.approx(533.33, abs=0.01)
    assert gpu_hours([job])[job.name] == pytest.approx(
        24000 * 533.333 / (ROOFLINE_FRAMES * REACHED_SHARE) / 3600, rel=1e-4
    )
    plain = BenchmarkRun(job.study, 0, "fixmatch")
    assert gpu_hours([plain], 384.0)[plain.name] == pytest.approx(24000 / 3600)


def test_choose_shard_divides_the_jobs_and_checks_its_argument() -> None:
    jobs = BenchmarkStudy(Path("out"), SITES).runs()
    parts = [choose_shard(jobs, f"{shard}/4") for shard in (1, 2, 3, 4)]
    assert sorted(job.name for part in parts for job in part) == sorted(job.name for job in jobs)
    for wrong in ("0/2", "3/2", "one", "1"):
        with pytest.raises(ConfigError):
            choose_shard(jobs, wrong)
    assert choose_devices("cuda:0, cuda:1") == ["cuda:0", "cuda:1"]


def test_main_dry_run_names_what_is_missing_and_does_nothing(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "--dry-run", "--out", out, "--camus", folders / "camus") == 0
    text = capsys.readouterr().out
    assert text.count("blocked: TMED-2 is not given") == 21
    assert "https://tmed.cs.tufts.edu" in text
    assert "CC BY-NC-ND 4.0" in text
    assert "creatis" not in text
    assert "nothing was measured" in text
    assert run(monkeypatch, "--dry-run", "--out", out, "--tmed2", folders / "tmed2", "--images-per-second", "5000") == 0
    text = capsys.readouterr().out
    assert text.count("blocked: the tables of DEV56 fold") == 14
    assert "fold0/vat_fix_a_step       to do" in text
    assert "1 of 23 files are missing" in text
    assert "frames of the unlabeled set: 3 instead of 353500" in text
    assert "from 5000 images/s" in text
    assert max(map(len, text.partition("missing: ")[0].splitlines())) < 100  # one difference a line
    assert run(monkeypatch, "--dry-run", "--out", out, "--tmed2", folders) == 0
    assert "not readable" in capsys.readouterr().out
    assert not out.exists()


def test_main_refuses_half_a_download_in_one_line(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for arguments, message in (
        (("--tmed2", folders / "tmed2"), "TMED-2 is not whole, or of another version (1 of 23 files are missing"),
        (("--tmed2", folders / "camus"), "no labels_per_image.csv here"),
        (("--camus", folders / "camus"), "TMED-2 is needed to train"),
        (("--fold", 3), "there is no 3"),
        (("--method", "mixmatch"), "there is no mixmatch"),
        (("--synthetic", "--tmed2", folders / "tmed2"), "--synthetic takes no data set"),
        (("--tmed2", folders / "tmed2", "--accept-incomplete", "--fold", 0), "--clean-pool"),
    ):
        assert run(monkeypatch, *arguments, "--out", out) == 2
        error = capsys.readouterr().err
        assert message in error.splitlines()[-1]
        assert "Traceback" not in error


def test_main_on_miniatures_goes_on_after_a_kill(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ("--tmed2", folders / "tmed2", "--camus", folders / "camus", "--out", out, "--accept-incomplete",
                 "--clean-pool", "--fold", 0, "--method", "labels_only", "--method", "fixmatch_fix_a_step",
                 "--devices", "cpu", "--replicates", 100, "--no-run-reports", *TOY)  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.heart2heart", *map(str, arguments)], stderr=subprocess.DEVNULL
    )
    first = out / "runs" / "fold0" / "labels_only" / "checkpoints" / "last.pt"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(monkeypatch, *arguments, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "in the store" in text
    assert "fold0/fixmatch_fix_a_step  to do" in text

    assert run(monkeypatch, *arguments) == 0
    text = capsys.readouterr().out
    assert "Not tested on, since they are not there: Unity Imaging" in text
    assert "Not the published data: TMED-2: 1 of 23 files are missing" in text
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [line["way"] for line in lines] == ["labels_only", "fixmatch_fix_a_step"]
    assert all(set(line["test"]) == {"tmed2", "camus"} for line in lines)
    folds = read_folds(out / "folds.json")
    assert not folds.synthetic
    for method, line in zip(folds.methods, lines, strict=True):
        for site in method.sites:
            assert site.balanced_accuracy.value == pytest.approx(line["test"][site.site])
    assert (out / "comparison.html").exists()
    assert not (out / "reports").exists()
    assert not [path for path in out.rglob("*") if path.name.endswith((".tmp", ".part"))]

    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    report = (out / "comparison.html").stat().st_mtime_ns
    assert run(monkeypatch, *arguments) == 0
    assert "0 runs in" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before
    assert (out / "comparison.html").stat().st_mtime_ns == report

    # Other settings, other hospitals, and predictions of another split are refused, not mixed.
    for changed, message in (
        ((*arguments, "--override=seed=5"), "other settings"),
        ((*arguments, "--unity", folders / "unity"), "begun with sites"),
    ):
        assert run(monkeypatch, *changed) == 2
        assert message in capsys.readouterr().err
    path = out / "runs" / "fold0" / "labels_only" / "predictions.parquet"
    predictions = Predictions.read(path)
    split = predictions.provenance.split.model_copy(update={"sha256": "0" * 64})
    Predictions(predictions.table, predictions.provenance.model_copy(update={"split": split})).write(path)
    assert run(monkeypatch, *arguments, "--replicates", 101) == 2
    assert "predictions are of another split" in capsys.readouterr().err


def _stores(out: Path, sites: tuple[str, ...], *_: object, **__: object) -> None:
    """Stand in for the ingest: stores of noise, labels in the book; SYNTHETIC."""
    for seed, site in enumerate(sites):
        if (out / "stores" / site).exists():
            continue
        store = random_store(out / "stores" / site, sites=[site], patients=9 if site == "A" else 2, seed=seed)
        views = {frame.rpartition(":")[0]: view for frame, view in view_labels(store).items()}
        events = [LabelEvent(clip, "", view, "rater", "", "test") for clip, view in sorted(views.items())]
        LabelStore(out / "labels.db").append(events)


def test_main_synthetic_takes_folds_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(heart2heart_data, "simulate_hospitals", lambda *_, **__: None)
    monkeypatch.setattr(heart2heart_data, "ingest_hospitals", _stores)
    out = tmp_path / "out"
    arguments: tuple[object, ...] = ("--synthetic", "--out", out, "--devices", "cpu", "--replicates", 100, *TOY)
    arguments += ("--fold", 0, "--fold", 1, "--no-run-reports")
    ways: tuple[object, ...] = ("--method", "labels_only", "--method", "vat", "--method", "vat_fix_a_step")
    assert run(monkeypatch, *arguments, *ways, "--shard", "1/2") == 0
    assert "3 of 6 runs are done" in capsys.readouterr().out
    assert run(monkeypatch, *arguments, *ways) == 0
    assert "All hospitals are SYNTHETIC. 3 runs" in capsys.readouterr().out
    folds = read_folds(out / "folds.json")
    assert folds.synthetic
    assert len(folds.splits) == 2
    assert ("VAT", "VAT + Fix-A-Step") in [(each.reference, each.candidate) for each in folds.comparisons]
    assert [site.site for site in folds.methods[0].sites] == ["A", "B", "C", "D"]
    assert "SYNTHETIC DATA" in (out / "comparison.html").read_text()
    evaluated = Predictions.read(out / "evaluation" / "fold0" / "predictions.parquet")
    one = select_runs(evaluated, ["vat"])
    assert set(one.table["run"].to_pylist()) == {"vat"}
    assert [each.run for each in one.provenance.runs] == ["vat"]

    study = BenchmarkStudy(out, ("A", "B", "C", "D"), synthetic=True)
    with pytest.raises(ConfigError, match="begun with seed 7"):
        bind_settings(study, {"scale": 1.0, "seed": 8})
    # Of one fold alone, with a report a run, in which each stands beside the reference.
    assert run(monkeypatch, *arguments[:-5], "--method", "labels_only", "--fold", 0) == 0
    capsys.readouterr()
    assert (out / "reports" / "fold0" / "labels_only" / "MODEL_CARD.md").exists()
    assert len((out / "results.jsonl").read_text().splitlines()) == 6
    # A run that diverged is a result, and is left out of the table.
    line = json.loads((out / "runs" / "fold1" / "vat" / "result.json").read_text())
    (out / "runs" / "fold1" / "vat" / "result.json").write_text(json.dumps(line | {"diverged": True}))
    assert run(monkeypatch, *arguments, *ways) == 0
    assert read_folds(out / "folds.json").left_out == ("VAT",)
    assert run(monkeypatch, *arguments, *ways, "--dry-run") == 0
    assert "diverged" in capsys.readouterr().out


@pytest.mark.slow
def test_train_on_own_device_uses_two_devices_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heart2heart_data, "simulate_hospitals", lambda *_, **__: None)
    monkeypatch.setattr(heart2heart_data, "ingest_hospitals", _stores)
    assert run(monkeypatch, "--synthetic", "--out", tmp_path, "--prepare-only") == 0
    overrides = tuple(each.removeprefix("--override=") for each in TOY)
    study = BenchmarkStudy(tmp_path, ("A", "B", "C", "D"), (0,), VARIANTS[:3], synthetic=True, overrides=overrides)
    jobs = study.runs()
    results = dict(run_all(train_on_own_device, jobs, 2, ["cpu", "cpu"]))
    assert sorted(results) == list(range(len(jobs)))
    assert all(jobs[index].state() == "done" and line["device"] == "cpu" for index, line in results.items())


def test_result_of_other_settings_is_refused(tmp_path: Path) -> None:
    job = BenchmarkRun(BenchmarkStudy(tmp_path, SITES), 0, "vat")
    assert job.result() is None
    assert job.state() == "to do"
    job.path.mkdir(parents=True)
    (job.path / "result.json").write_text(json.dumps({"config_sha256": "0", "diverged": False}))
    with pytest.raises(RunError, match="other settings"):
        job.result()
    shutil.rmtree(job.path)
