"""Models: configurations, training and sweeps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from heart2heart.api.audit import audited
from heart2heart.errors import ConfigError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.training.config import TrainConfig
    from heart2heart.training.run import Run
    from heart2heart.training.seeds import SeedRuns
    from heart2heart.training.sweep import SweepResult


def load_train_config(
    config: str | Path | TrainConfig,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
) -> TrainConfig:
    """Return the resolved configuration of a training.

    Args:
        config: A YAML file, a packaged name such as `demo/fixmatch`, or a configuration.
        stores: Frame stores; override `data.stores`.
        split: Certified split; overrides `data.split`.
        overrides: Dotted keys and values: `["steps=200"]` or `{"steps": 200}`.

    Raises:
        MissingInputError: neither a file nor a packaged name.
        ConfigError: an unknown key, or a value of the wrong type.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.load_train_config("demo/fixmatch", stores="store", split="split", overrides={"steps": 20}).steps
        20
    """
    from heart2heart.config import find_config
    from heart2heart.training.config import TrainConfig

    changes = config_changes(stores, split, overrides)
    if isinstance(config, TrainConfig):
        return config.with_overrides(changes)
    return TrainConfig.load(find_config(config), changes)


def config_changes(
    stores: str | Path | Sequence[str | Path] | None,
    split: str | Path | None,
    overrides: Sequence[str] | Mapping[str, Any],
) -> list[str]:
    """Return the overrides of a configuration as `key=value` texts, those of stores and split last.

    Args:
        stores: Frame stores; override `data.stores`.
        split: Certified split; overrides `data.split`.
        overrides: Dotted keys and values: `["steps=200"]` or `{"steps": 200}`.

    Examples:
        >>> config_changes(["a", "b"], None, {"steps": 20})
        ['steps=20', "data.stores=['a', 'b']"]
    """
    changes = list(overrides) if not isinstance(overrides, Mapping) else _override_texts(overrides)
    if stores is not None:
        roots = [stores] if isinstance(stores, str | Path) else stores
        changes.append(f"data.stores=[{', '.join(map(_quoted, roots))}]")
    if split is not None:
        changes.append(f"data.split={_quoted(split)}")
    return changes


def _override_texts(overrides: Mapping[str, Any]) -> list[str]:
    import json

    return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]


def _quoted(path: str | Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


@overload
def train(
    config: str | Path | TrainConfig,
    out: str | Path,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    seeds: None = None,
    workers: int | None = None,
    stage: Stage = silent_stage,
) -> Run: ...


@overload
def train(
    config: str | Path | TrainConfig,
    out: str | Path,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    seeds: str | Sequence[int],
    workers: int | None = None,
    stage: Stage = silent_stage,
) -> SeedRuns: ...


@audited(AuditAction.TRAIN, beside="out", reads=["stores"], writes=["out"])
def train(
    config: str | Path | TrainConfig,
    out: str | Path,
    *,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    seeds: str | Sequence[int] | None = None,
    workers: int | None = None,
    stage: Stage = silent_stage,
) -> Run | SeedRuns:
    """Train a view classifier, or continue a run that was stopped; with seeds, one run for each and their ensemble.

    Args:
        config: A YAML file, a packaged name such as `demo/fixmatch`, or a configuration.
        out: Folder of the run, or of the runs of all seeds.
        stores: Frame stores; override `data.stores`.
        split: Certified split; overrides `data.split`.
        overrides: Dotted keys and values: `["steps=200"]` or `{"steps": 200}`.
        seeds: Seeds such as `0..4`, `0,2,5` or `[0, 1]`; None trains one run with the configuration's seed.
        workers: Seeds that are trained at a time, each in a process; None takes one for each core of the CPU, or one on
            an accelerator. A script that asks for several needs the guard `if __name__ == "__main__"`.
        stage: Opens the progress; under torchrun the first process alone reports.

    Returns:
        The finished run, ready to predict; with seeds, the runs with their ensemble and weight average.

    Raises:
        ConfigError: a setting that does not exist, or seeds that cannot be read.
        LeakageError: the split is not certified.
        RunError: another run is in the folder, or a seed failed.

    Examples:
        >>> import heart2heart as h2h
        >>> run = h2h.train("demo/labels_only", "run", stores="store", split="split", overrides={"steps": 4})
        >>> run.classes
        ('PLAX', 'PSAX', 'A4C', 'A2C')
    """
    settings, folder = load_train_config(config, stores=stores, split=split, overrides=overrides), Path(out)
    if seeds is not None:
        from heart2heart.training.seeds import read_seeds, train_seeds

        numbers = read_seeds(seeds)
        with stage(f"train {folder.name}", settings.steps * len(numbers)) as progress:
            return train_seeds(settings, numbers, folder, workers=workers, progress=progress)
    from heart2heart.training.train import train

    if os.environ.get("RANK", "0") != "0":  # torchrun started several processes, and the first one reports
        return train(settings, folder)
    with stage(f"train {folder.name}", settings.steps) as progress:
        return train(settings, folder, progress=progress)


@audited(AuditAction.TRAIN, beside="out", reads=["stores"], writes=["out"])
def sweep(
    config: str | Path | TrainConfig,
    out: str | Path,
    *,
    grid: Sequence[str],
    seeds: str | Sequence[int] = "0",
    keep: int = 3,
    stores: str | Path | Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    stage: Stage = silent_stage,
) -> SweepResult:
    """Tune by successive halving over a grid and seeds; only source validation frames select.

    Args:
        config: Configuration that every run shares; see `train`, also for `stores`, `split`, `overrides`, `stage`.
        out: Folder of the sweep; a stopped sweep continues.
        grid: Keys and their values, such as `optimiser.lr=0.01,0.03`.
        seeds: Seeds of each point of the grid, such as `0,1,2`.
        keep: Of this many points, one continues from a rung to the next.
        stores: Frame stores.
        split: Certified split.
        overrides: Dotted keys and values.
        stage: Opens the progress.

    Raises:
        ConfigError: seeds or a grid that cannot be read.

    Examples:
        >>> from heart2heart.api import sweep
        >>> changes = {"steps": 2, "evaluate_every": 1}
        >>> options = {"stores": "store", "split": "split", "overrides": changes}
        >>> result = sweep("demo/labels_only", "sweep", grid=["optimiser.lr=0.01,0.03"], **options)
        >>> sorted(trial.point["optimiser.lr"] for trial in result.trials)
        [0.01, 0.03]
    """
    from heart2heart.training.sweep import sweep
    from heart2heart.training.sweep_plan import SweepPlan, read_grid

    words = seeds.split(",") if isinstance(seeds, str) else [str(seed) for seed in seeds]
    if not all(word.strip().isdecimal() for word in words):
        raise ConfigError(f"{seeds!r} is no list of seeds", where="--seeds", remedy="Example: --seeds 0,1,2")
    settings = load_train_config(config, stores=stores, split=split, overrides=overrides)
    plan = SweepPlan.create(settings, read_grid(grid), tuple(map(int, words)), keep)
    with stage(f"sweep {Path(out).name}", plan.steps()) as progress:
        return sweep(plan, Path(out), progress=progress)
