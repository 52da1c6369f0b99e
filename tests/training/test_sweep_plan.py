"""Grids, rungs and the folder of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, RunError
from heart2heart.training.config import TrainConfig
from heart2heart.training.sweep_plan import SweepPlan, read_grid


def plan(points: int = 9, seeds: tuple[int, ...] = (0,), keep: int = 3, **changes: Any) -> SweepPlan:
    content = {"data": {"stores": ["none"], "split": "none"}, "steps": 900, "evaluate_every": 10} | changes
    config = TrainConfig.parse(content, where="test")
    return SweepPlan.create(config, {"optimiser.lr": tuple(0.1 / (n + 1) for n in range(points))}, seeds, keep)


def test_rungs_of_nine_points_are_two_halvings() -> None:
    nine = plan(seeds=(0, 1))
    assert nine.rungs() == (100, 300, 900)
    assert nine.steps() == 2 * (9 * 100 + 3 * 200 + 1 * 600)
    assert plan(points=1).rungs() == (900,)
    assert plan(points=2).rungs() == (900,)
    assert plan(evaluate_every=400).rungs() == (400, 900)


@given(points=st.integers(1, 60), keep=st.integers(2, 5), steps=st.integers(1, 5000), every=st.integers(1, 5000))
def test_rungs_are_validations_and_leave_one_point(points: int, keep: int, steps: int, every: int) -> None:
    sweep = plan(points, keep=keep, steps=steps, evaluate_every=every)
    rungs, left = sweep.rungs(), points
    assert rungs[-1] == steps
    assert list(rungs) == sorted(set(rungs))
    assert all(rung % every == 0 for rung in rungs[:-1])
    for _ in rungs[:-1]:
        left = sweep.survivors(left)
    assert left >= 1
    assert sweep.steps() <= points * steps


def test_points_of_a_grid_are_every_combination_and_run_is_their_configuration() -> None:
    grid = read_grid(["method.params.threshold=0.8,0.95", "optimiser.lr=1e-2,0.1", "network.options=[{depth: 10}]"])
    assert grid["network.options"] == ([{"depth": 10}],)
    base = plan(method={"name": "fixmatch"}).config
    both = SweepPlan.create(base, {name: grid[name] for name in ("method.params.threshold", "optimiser.lr")})
    points = both.points()
    assert len(points) == 4
    run = both.run({"method.params.threshold": 0.8, "optimiser.lr": 0.1}, 7)
    assert (run.method.params, run.optimiser.lr, run.seed) == ({"threshold": 0.8}, 0.1, 7)


@pytest.mark.parametrize("text", ["optimiser.lr", "=1,2", "optimiser.lr=", "optimiser.lr=[1", "optimiser.lr=1]"])
def test_read_grid_refuses_another_form(text: str) -> None:
    with pytest.raises(ConfigError, match="Example: --grid"):
        read_grid([text])


def test_points_that_are_no_configuration_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    for grid in ({"optimiser.warp": (1,)}, {"optimiser.lr": (0.1, -1)}, {"optimiser.lr": (0.1, 0.1)}):
        with pytest.raises(ConfigError):
            SweepPlan.create(plan().config, grid).open_directory(tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_open_directory_refuses_a_second_plan(tmp_path: Path) -> None:
    plan().open_directory(tmp_path / "sweep")
    plan(device="cpu", trackers=["tensorboard"]).open_directory(tmp_path / "sweep")  # these may change
    with pytest.raises(RunError, match=r"differing: config\.ema, grid, seeds, keep"):
        plan(points=8, seeds=(1,), keep=2, ema=0.5).open_directory(tmp_path / "sweep")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="no sweep"):
        plan().open_directory(tmp_path)
