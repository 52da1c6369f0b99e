"""The verb that tunes: `heart2heart sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.model import data_overrides


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("sweep")(sweep)


def sweep(
    config: Annotated[Path, typer.Argument(help="YAML file, or packaged name, that every run shares.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep; a stopped sweep goes on.")],
    grid: Annotated[list[str], typer.Option(help="Key and its values, such as optimiser.lr=0.01,0.03; repeatable.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as steps=2000.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds that each point of the grid is trained with.")] = "0",
    keep: Annotated[int, typer.Option(min=2, help="One point in so many goes on from a rung to the next.")] = 3,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[Path | None, typer.Option(help="Certified split. Overrides data.split.")] = None,
) -> None:
    """Tune by successive halving over a grid and seeds, selecting on source validation frames alone.

    Example: heart2heart sweep demo/labels_only --grid optimiser.lr=0.01,0.03 --seeds 0,1 --out sweeps/lr
    """
    from heart2heart.cli.tables import text_table
    from heart2heart.errors import ConfigError
    from heart2heart.learn import TrainConfig
    from heart2heart.learn.tuning import SweepPlan, read_grid
    from heart2heart.learn.tuning import sweep as run_sweep
    from heart2heart.named_configs import find_config
    from heart2heart.progress import stage

    if not all(seed.strip().isdecimal() for seed in seeds.split(",")):
        raise ConfigError(f"{seeds!r} is no list of seeds", where="--seeds", remedy="Example: --seeds 0,1,2")
    numbers = tuple(int(seed) for seed in seeds.split(","))
    settings = TrainConfig.load(find_config(config), [*(override or ()), *data_overrides(store, split)])
    plan = SweepPlan.of(settings, read_grid(grid), numbers, keep)
    with stage(f"sweep {out.name}", plan.steps()) as progress:
        found = run_sweep(plan, out, progress=progress)
    header = ("trial", *plan.grid, "steps", "score", "deviation", "outcome")
    rows = [
        (trial.number, *map(str, trial.point.values()), trial.steps, trial.score, trial.deviation, trial.outcome)
        for trial in found.trials
    ]
    print(text_table(header, rows))
    print(f"{out / 'results.csv'}\n{found.chosen}")
