"""A study of uncurated frames as data: tasks, ways, pools and seeds in one YAML file, from which its jobs follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.training.config import TrainConfig
from pipelines.mismatch_task import CONTROL_PROTOCOLS, FRAME_CLASSES, IMAGE_TASKS, MismatchSplit, Protocol
from pipelines.mismatch_variants import RunBudget, parse_variant, variant_config, way_reads_pool
from pipelines.study_measures import config_digest, train_and_measure

REFERENCE = "labels_only"
"""The way that every other one is compared with."""
LABEL_WAYS = (REFERENCE, "supervised_mixup", "supervised_strong")
"""Ways that read no pool: the reference, and what mixing and strong augmentation of the labels bring alone."""


class TaskDesign(Config):
    """One task."""

    dataset: Literal["cifar10", "fashion-mnist", "fashion-mnist-footwear", "fashion-mnist-mixed"]
    """The image set with its labeled and its unseen classes, as `pipelines.mismatch_task` names them."""
    labels: int = Field(ge=1)
    """Labeled images a class."""


class BudgetDesign(Config):
    """What every run is given."""

    steps: int = Field(2500, ge=1)
    """Optimiser steps."""
    labeled: int = Field(32, ge=1)
    """Labeled images a step."""
    unlabeled: int = Field(128, ge=1)
    """Unlabeled images a step."""
    depth: int = 10
    """Depth of the WideResNet."""
    widen: int = 1
    """Its width."""
    blocks: int = 2
    """Its groups."""
    ema: float = Field(0.99, ge=0, lt=1)
    """Decay of the averaged weights."""
    shrink: int = Field(1, ge=1)
    """Side of the blocks of pixels averaged into one."""
    validation: int = Field(50, ge=1)
    """Validation images a class."""

    def of_run(self) -> RunBudget:
        """Return the part that a run's configuration holds."""
        return RunBudget(**self.model_dump(exclude={"shrink", "validation"}))


class ControlDesign(Config):
    """The controls, which are jobs of their own."""

    way: str = "fixmatch"
    """The way that learns from a pool of all labeled classes, which must help, and from noise, which must not."""
    gain: float = Field(3.0, gt=0)
    """Points that the first pool must bring over every way that reads no pool."""
    noise: int = Field(10_000, ge=1)
    """Images of noise."""
    run: bool = True
    """Whether they are run; a study that shows something needs them, development does not."""


class TuningDesign(Config):
    """The sweep of each way, by validation images of a seed that the study does not count."""

    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Values of each dotted key, for ways with a pool."""
    labels_grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """The same for ways without a pool; it has as many points, so that every way is tuned with the same budget."""
    seed: int = Field(1000, ge=0)
    """Seed of data and training."""
    keep: int = Field(3, ge=2)
    """Of this many points, one continues from a rung to the next."""

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        points = [_points(grid) for grid in (self.grid, self.labels_grid)]
        if points[0] != points[1]:
            raise ValueError(f"grid has {points[0]} points and labels_grid {points[1]}; give both the same number")
        return self


def _points(grid: Mapping[str, tuple[Any, ...]]) -> int:
    product = 1
    for values in grid.values():
        product *= len(values)
    return product


class StudyDesign(Config):
    """A study."""

    title: str
    """Heading of the tables and the plot."""
    tasks: dict[str, TaskDesign] = Field(min_length=1)
    """The tasks by name."""
    ways: tuple[str, ...] = Field(min_length=1)
    """Such as `fixmatch+fix_a_step`; the parts are those of `pipelines.mismatch_variants`."""
    levels: tuple[int, ...] = (0, 50, 100)
    """Per cent of mismatch."""
    protocols: tuple[Literal["replace", "add"], ...] = ("replace", "add")
    """`replace`: unseen classes take the place of seen ones, as in the paper. `add`: the seen part is held fixed."""
    seeds: int = Field(8, ge=1)
    """Number of seeds, of data and training alike."""
    first_seed: int = Field(0, ge=0)
    """The first seed."""
    budget: BudgetDesign = BudgetDesign()
    """What every run is given."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of every run, as a training configuration names them."""
    way_settings: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Dotted settings of single ways, such as `optimiser.lr=0.01`; `--tune` writes them."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of ways that are compared with one error rate for all; by default each way with labels only."""
    margins: dict[str, float] = Field(default_factory=dict)
    """Ways that must be nowhere worse than labels only by more than so many points."""
    deviation: float = Field(2.0, gt=0)
    """Standard deviation of a paired difference, points, before lines are there to estimate it from."""
    controls: ControlDesign = ControlDesign()
    """The controls."""
    tuning: TuningDesign = TuningDesign()
    """How `--tune` chooses settings."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for task in self.tasks.values():
            if unknown := sorted(set(self.levels) - set(IMAGE_TASKS[task.dataset].unlabeled)):
                raise ValueError(f"no level of mismatch is {unknown[0]} %: choose 0, 25, 50, 75 or 100")
        known = {*self.ways, REFERENCE}
        named = {way for pair in self.comparisons for way in pair} | {*self.way_settings, *self.margins}
        if missing := sorted(named - known):
            raise ValueError(f"{missing[0]} is compared or set, and is none of the ways")
        for way in (*self.ways, self.controls.way):
            parse_variant(way)
        return self

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the comparisons: those that are named, or every way with the reference."""
        return self.comparisons or tuple((way, REFERENCE) for way in self.ways if way != REFERENCE)

    def pools(self) -> list[tuple[Protocol, int]]:
        """Return the pools of the tables; at level 0 both protocols have the same one, which is named once."""
        pools: list[tuple[Protocol, int]] = [(name, level) for name in self.protocols for level in self.levels]
        return [pool for pool in pools if pool != ("add", 0) or ("replace", 0) not in pools]

    def control_ways(self) -> list[tuple[Protocol, str]]:
        """Return the pool and the way of each control."""
        if not self.controls.run:
            return []
        ways = {"pure": self.controls.way, "noise": self.controls.way, "shuffled": REFERENCE}
        return [(protocol, ways[protocol]) for protocol in CONTROL_PROTOCOLS]

    def jobs(self, out: Path) -> list[StudyJob]:
        """Return every job, seed by seed, so that whole tables of fewer seeds exist at any time; controls come first.

        A way without a pool has one job a seed, at the first pool.
        """
        jobs: list[StudyJob] = []
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for protocol, way in self.control_ways():
                jobs += [StudyJob(self, task, protocol, 0, seed, way, out) for task in self.tasks]
            for way in dict.fromkeys((REFERENCE, *self.ways)):
                for protocol, level in self.pools() if way_reads_pool(way) else self.pools()[:1]:
                    jobs += [StudyJob(self, task, protocol, level, seed, way, out) for task in self.tasks]
        return jobs


@dataclass(frozen=True)
class StudyJob:
    """One run of a study.

    Attributes:
        design: The study.
        task: Name of the task.
        protocol: How the pool is filled.
        level: Per cent of mismatch; 0 for controls.
        seed: Seed of data and training.
        way: The way.
        out: Folder of the study.
    """

    design: StudyDesign
    task: str
    protocol: Protocol
    level: int
    seed: int
    way: str
    out: Path

    @property
    def mismatch(self) -> MismatchSplit:
        """The settings of its split."""
        task = self.design.tasks[self.task]
        validation = self.design.budget.validation
        return MismatchSplit(task.dataset, self.level, task.labels, self.seed, validation, self.protocol)

    @property
    def data(self) -> Path:
        """Folder of its image set's store and splits."""
        return self.out / "data" / self.mismatch.dataset

    @property
    def split(self) -> Path:
        """Folder of its split."""
        return self.data / "splits" / self.mismatch.name

    @property
    def path(self) -> Path:
        """Folder of its run, which is named by its settings."""
        pool = f"{self.protocol}{self.level:03d}-{self.way.replace('+', '-')}-seed{self.seed}"
        return self.out / "runs" / f"{self.task}-{pool}-{config_digest(self.config)[:8]}"

    @cached_property
    def config(self) -> TrainConfig:
        """Its configuration."""
        design = self.design
        config = variant_config(
            self.way, design.budget.of_run(), stores=[self.data / "store"], split=self.split, seed=self.seed,
            base=design.settings,
        )  # fmt: skip
        return config.with_overrides(design.way_settings.get(self.way, ()))

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        task = self.design.tasks[self.task]
        return {
            "task": self.task,
            "dataset": task.dataset,
            "labels": task.labels,
            "protocol": self.protocol,
            "level": self.level,
            "seed": self.seed,
            "way": self.way,
            "config_sha256": config_digest(self.config),
        }


def run_job(job: StudyJob) -> dict[str, Any]:
    """Train one run and return what `train_and_measure` measures."""
    return train_and_measure(job.config, job.path, frame_classes=job.data / FRAME_CLASSES)
