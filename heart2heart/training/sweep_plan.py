"""The plan of a sweep (grid, seeds, rungs of successive halving), and the Optuna study that stores its scores."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from heart2heart.config import YAML_ERRORS, Config, load_yaml
from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.training.config import TrainConfig
from heart2heart.training.run_directory import differing_keys
from heart2heart.utils import read_json, write_json

GridPoint = dict[str, Any]
"""Dotted keys of a configuration and their values."""


class SweepPlan(Config):
    """`sweep.json`."""

    config: TrainConfig
    """Configuration that every run shares."""
    grid: dict[str, tuple[Any, ...]] = Field(min_length=1)
    """The values of each dotted key; every combination is a point."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Every point is trained with each seed; its score is the mean."""
    keep: int = Field(3, ge=2)
    """Of this many points, one continues from a rung to the next."""

    def points(self) -> list[GridPoint]:
        """Return every point of the grid; the value of the last key changes first."""
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def run(self, point: GridPoint, seed: int) -> TrainConfig:
        """Return the configuration of one run.

        Raises:
            ConfigError: a key or value that a configuration does not take.
        """
        overrides = [f"{key}={json.dumps(value)}" for key, value in point.items()]
        return self.config.with_overrides([*overrides, f"seed={seed}"])

    def rungs(self) -> tuple[int, ...]:
        """Return the steps at which points are dropped, and last the steps of a whole run.

        Each rung is the next one's steps over `keep`, rounded up to a validation; there are as many as it takes until
        one point is left.
        """
        steps, every = self.config.steps, self.config.evaluate_every
        halvings = math.floor(math.log(len(self.points()), self.keep) + 1e-9)
        exact = [steps / self.keep**halving for halving in range(halvings, 0, -1)]
        rounded = {every * math.ceil(rung / every) for rung in exact}
        return (*sorted(rung for rung in rounded if rung < steps), steps)

    def survivors(self, count: int) -> int:
        """Return how many of `count` points continue after a rung."""
        return math.ceil(count / self.keep)

    def steps(self) -> int:
        """Return the total number of steps of all runs."""
        total, before, count = 0, 0, len(self.points())
        for rung in self.rungs():
            total += count * len(self.seeds) * (rung - before)
            before, count = rung, self.survivors(count)
        return total

    @classmethod
    def create(
        cls, config: TrainConfig, grid: Mapping[str, Sequence[Any]], seeds: Sequence[int] = (0,), keep: int = 3
    ) -> Self:
        """Create and check a plan; the arguments are its fields."""
        content = {"config": config.model_dump(mode="json"), "grid": dict(grid), "seeds": tuple(seeds), "keep": keep}
        return cls.parse(content, where="sweep")

    def open_directory(self, out: Path) -> None:
        """Create the folder of this sweep, or check that `out` is its folder.

        Raises:
            ConfigError: a point that is no configuration, or values that repeat.
            RunError: another sweep, or something else, is in the folder.
        """
        for key, values in self.grid.items():
            if not values or len({json.dumps(value) for value in values}) < len(values):
                raise ConfigError("each value must be given once", where=f"grid {key}")
        for point in self.points():
            self.run(point, self.seeds[0])
        file = out / "sweep.json"
        if not file.exists():
            if out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir()):
                raise RunError("this is no sweep, and not empty", where=out, remedy="Name another folder")
            write_json(file, self.model_dump(mode="json"))
            return
        begun = self.parse(read_json(file, what="sweep"), where=file)
        differ = [f"config.{key}" for key in differing_keys(begun.config, self.config)]
        differ += [name for name in ("grid", "seeds", "keep") if getattr(begun, name) != getattr(self, name)]
        if differ:
            what = f"this folder holds another sweep; differing: {', '.join(differ)}"
            raise RunError(what, where=out, remedy="Give the same plan, or name another folder for the new sweep")


def read_grid(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Return keys and values of texts such as `optimiser.lr=0.01,0.03`; values are read as YAML.

    Raises:
        ConfigError: a text of another form.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        remedy = "Example: --grid optimiser.lr=0.01,0.03"
        try:
            parsed = load_yaml(f"[{values}]")
        except YAML_ERRORS as error:
            raise ConfigError(f"the values of {text!r} are not readable YAML", remedy=remedy) from error
        if not key or not parsed:
            raise ConfigError(f"{text!r} is not of the form key=value,value", remedy=remedy)
        grid[key] = tuple(parsed)
    return grid


STUDY_NAME = "sweep"


class SweepStudy:
    """One Optuna trial for each point, in the order of the grid; scores by rung.

    Args:
        plan: The plan.
        out: Folder of the sweep.

    Raises:
        MissingInputError: Optuna is not installed.
    """

    def __init__(self, plan: SweepPlan, out: Path) -> None:
        try:
            self._optuna = import_module("optuna")
        except ModuleNotFoundError as error:
            raise MissingInputError(
                "Optuna is not installed", remedy="Run: pip install 'heart2heart[sweep]'"
            ) from error
        optuna = self._optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{(out / 'sweep.db').resolve()}")
        self._study = optuna.create_study(
            storage=self._storage, study_name=STUDY_NAME, direction="maximize", load_if_exists=True
        )
        self._id = self._storage.get_study_id_from_name(STUDY_NAME)
        choices = {key: [_optuna_value(value) for value in values] for key, values in plan.grid.items()}
        categories = optuna.distributions.CategoricalDistribution
        distributions = {key: categories(values) for key, values in choices.items()}
        for point in plan.points()[len(self._study.get_trials()) :]:
            trial = optuna.trial.create_trial(
                params={key: _optuna_value(value) for key, value in point.items()},
                distributions=distributions,
                state=optuna.trial.TrialState.RUNNING,
            )
            self._study.add_trial(trial)

    def score(self, number: int, rung: int) -> float | None:
        """Return the score of a point at a rung; None if it is not known."""
        score = self._study.get_trials()[number].intermediate_values.get(rung)
        return None if score is None else float(score)

    def write(self, number: int, rung: int, score: float) -> None:
        """Write a point's score at a rung."""
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        self._storage.set_trial_intermediate_value(trial, rung, score)

    def diverged(self, number: int) -> bool:
        """Return whether a point's training diverged."""
        return bool(self._study.get_trials()[number].state == self._optuna.trial.TrialState.FAIL)

    def finish(self, number: int, how: str, score: float | None = None) -> None:
        """End a point, if it has not ended: `FAIL`, `PRUNED`, or `COMPLETE` with its score."""
        if not self._study.get_trials()[number].state.is_finished():
            self._study.tell(number, score, state=self._optuna.trial.TrialState[how])


def _optuna_value(value: Any) -> Any:
    """Return a value in the form that Optuna accepts: a list or a mapping as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
