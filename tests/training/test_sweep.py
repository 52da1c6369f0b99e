"""Whole sweeps over the tiny synthetic store: the best point survives, and a kill changes nothing."""

from __future__ import annotations

import csv
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.testing.processes import new_process
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import sweep_plan
from heart2heart.training.config import TrainConfig
from heart2heart.training.run import Run
from heart2heart.training.selection import ValidationScore
from heart2heart.training.sweep import sweep
from heart2heart.training.sweep_plan import SweepPlan
from heart2heart.training.train import train
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import Validator
from tests.training.test_trackers import need

GRID = {"optimiser.lr": (1e-5, 0.05, 1e18), "fix_a_step.mixing": (False,)}
BASE: dict[str, Any] = {
    "optimiser": {"weight_decay": 0.0},
    "batch": {"labeled": 16, "unlabeled": 8},
    "steps": 16,
    "evaluate_every": 4,
    "log_every": 4,
}


class Last:
    """Keeps the last report."""

    def __init__(self) -> None:
        self.done, self.note = 0, ""

    def update(self, done: int, note: str = "") -> None:
        self.done, self.note = done, note


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations that follow the learning rate: a tiny network's own are chance after four steps."""
    begin = Validator.__init__

    def init(self: Validator, learner: Trainer, *arguments: Any) -> None:
        begin(self, learner, *arguments)
        config = learner.config
        score = {0.05: 0.9, 1e-5: 0.5}.get(config.optimiser.lr, 0.1) - 0.01 * config.seed
        monkeypatch.setattr(self, "score", lambda weights=None: ValidationScore(score, loss=1 - score))

    monkeypatch.setattr(Validator, "__init__", init)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.usefixtures("scripted")
def test_sweep_chooses_the_best_point_and_drops_the_others(tiny: TinyStore, tmp_path: Path) -> None:
    need("optuna")
    plan = SweepPlan.create(tiny.config(**BASE), GRID, (0, 1), 2)
    assert plan.rungs() == (8, 16)
    last = Last()
    done = sweep(plan, tmp_path / "sweep", progress=last)
    outcomes = {trial.point["optimiser.lr"]: (trial.outcome, trial.steps) for trial in done.trials}
    assert outcomes[0.05] == ("chosen", 16)
    assert outcomes[1e18] == ("diverged", 0)
    assert outcomes[1e-5] == ("dropped", 8)
    assert [trial.steps for trial in done.trials] == [16, 8, 0]
    assert last.note.startswith("001/seed_1: ")
    # Every trial is an ordinary run folder; the best of its validations so far, averaged over seeds, is its score.
    runs = [Run.load(tmp_path / "sweep" / "trials" / "001" / f"seed_{seed}") for seed in (0, 1)]
    scores = [run.directory.record.selected_score for run in runs]
    assert done.trials[0].score == pytest.approx(sum(scores) / 2)
    assert done.trials[0].deviation == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    rows = read(tmp_path / "sweep" / "results.csv")
    assert [row["outcome"] for row in rows] == ["chosen", "dropped", "diverged"]
    assert rows[0]["optimiser.lr"] == "0.05"
    # The chosen configuration trains as it is.
    chosen = TrainConfig.load(done.chosen, ["steps=1"])
    assert chosen.optimiser.lr == 0.05
    assert done.chosen.read_text().startswith("# heart2heart train ")
    train(chosen, tmp_path / "run")
    # Optuna's own tools read the book.
    with sqlite3.connect(tmp_path / "sweep" / "sweep.db") as study:
        states = [state for (state,) in study.execute("SELECT state FROM trials ORDER BY number")]
    study.close()
    assert states == ["PRUNED", "COMPLETE", "FAIL"]
    # Asked again, nothing is trained.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep" / "trials").rglob("*.pt")}
    assert sweep(plan, tmp_path / "sweep") == done
    assert before == {path: path.stat().st_mtime_ns for path in before}


def sweep_alone(plan: SweepPlan, out: Path) -> None:
    torch.set_num_threads(1)
    sweep(plan, out)


def test_sweep_killed_and_resumed_finds_the_same(tiny: TinyStore, tmp_path: Path) -> None:
    need("optuna")
    plan = SweepPlan.create(tiny.config(**BASE | {"checkpoint_every": 1}), {"optimiser.lr": (0.001, 0.05)}, (0,), 2)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    second = killed / "trials" / "001" / "seed_0" / "checkpoints" / "last.pt"
    process = new_process(sweep_alone, plan, killed)
    process.start()
    until = time.monotonic() + 120
    while not second.exists() and process.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (killed / "results.csv").exists()
    resumed, uninterrupted = sweep(plan, killed), sweep(plan, whole)
    assert resumed.trials == uninterrupted.trials
    assert (killed / "results.csv").read_text() == (whole / "results.csv").read_text()


def test_sweep_prints_the_table(tiny: TinyStore, tmp_path: Path) -> None:
    need("optuna")
    tiny.config(**BASE | {"steps": 4}).save(tmp_path / "config.yaml")
    arguments = ["sweep", str(tmp_path / "config.yaml"), "evaluate_every=2", "--out", str(tmp_path / "sweep")]
    result = CliRunner().invoke(app, [*arguments, "--grid", "optimiser.lr=0.001,0.05", "--seeds", "0, 1"])
    assert result.exit_code == 0, result.output
    header, _, first, second, *paths = result.output.splitlines()
    assert header.split() == ["trial", "optimiser.lr", "steps", "score", "deviation", "outcome"]
    assert (first.split()[-1], second.split()[-1]) == ("chosen", "finished")
    assert [Path(path).name for path in paths] == ["results.csv", "chosen.yaml"]
    refused = CliRunner().invoke(app, [*arguments, "--grid", "optimiser.lr=0.001", "--seeds", "one"])
    assert isinstance(refused.exception, ConfigError)


def test_sweep_names_a_grid_in_which_everything_diverges(tiny: TinyStore, tmp_path: Path) -> None:
    need("optuna")
    plan = SweepPlan.create(tiny.config(**BASE), {"optimiser.lr": (1e18, 1e19)})
    with pytest.raises(RunError, match="every point of this sweep diverged"):
        sweep(plan, tmp_path / "sweep")


def test_sweep_without_optuna_names_the_extra(tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(sweep_plan, "import_module", missing)
    with pytest.raises(MissingInputError, match=r"heart2heart\[sweep\]"):
        sweep(SweepPlan.create(tiny.config(), {"ema": (0.5, 0.9)}), tmp_path / "sweep")
