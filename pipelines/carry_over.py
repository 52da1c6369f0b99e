"""Which training carries over to another hospital? An ablation on real lung ultrasound and on SYNTHETIC hospitals.

    python -m pipelines.carry_over --lung shared/data/lung_ultrasound --out carry_over_output --way weak --way acoustic
    python -m pipelines.carry_over --hospitals demo_output --out carry_over_output --seeds 5

`--lung` adds both directions of the lung task (`pipelines.lung_data`); `--hospitals` adds the stores and the split of a
demo. Every way is trained with the same seeds; each run is one line of `results.jsonl`, and a study that was stopped
continues with what is missing. The hospitals that test are read once a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import typer
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from heart2heart.errors import ConfigError, DivergedError
from heart2heart.schema.clip_probabilities import clip_log_probabilities
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.config import TrainConfig
from heart2heart.training.train import train
from heart2heart.training.validation import balanced_accuracy
from heart2heart.utils import write_text
from pipelines.carry_over_table import side_by_side, tables
from pipelines.carry_over_ways import BUDGETS, WAYS, parse_weights, resolve_ways, with_weights
from pipelines.command_line import run
from pipelines.lung_data import DIRECTIONS, build_lung_split, build_lung_store
from pipelines.study_engine import Line, ResultsFile, run_study
from pipelines.study_measures import config_digest
from pipelines.study_plan import cost_text, job_costs


@dataclass(frozen=True)
class CarryOverTask:
    """One training hospital and those that test.

    Attributes:
        name: Short name, in the results.
        budget: A name of `BUDGETS`: network, batch and steps.
        stores: Folders of the stores.
        splits: Folder of the split of each seed, or of every seed.
    """

    name: str
    budget: str
    stores: tuple[Path, ...]
    splits: Mapping[int, Path] | Path

    def split(self, seed: int) -> Path:
        """Return the folder of a seed's split."""
        return self.splits if isinstance(self.splits, Path) else self.splits[seed]


@dataclass(frozen=True)
class CarryOverRun:
    """One training of the study.

    Attributes:
        task: What is learned from and tested on.
        way: A name of `WAYS`.
        seed: Seed of the run, and of the split where a task has several.
        overrides: Settings for all runs, after those of the way.
        out: Folder of the run.
        weights: Placeholder and file of the weights that a way may begin from.
    """

    task: CarryOverTask
    way: str
    seed: int
    overrides: tuple[str, ...]
    out: Path
    weights: tuple[tuple[str, Path], ...] = ()

    def config(self) -> TrainConfig:
        """Return the resolved configuration."""
        way = with_weights(WAYS[self.way], dict(self.weights))
        settings = (*BUDGETS[self.task.budget], *way, *self.overrides, f"seed={self.seed}")
        data = {"stores": list(map(str, self.task.stores)), "split": str(self.task.split(self.seed))}
        return TrainConfig.parse({"data": data}, where="study").with_overrides(list(settings))

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        digest = config_digest(self.config())
        return {"task": self.task.name, "way": self.way, "seed": self.seed, "config_sha256": digest}


def train_and_score(job: CarryOverRun) -> dict[str, Any]:
    """Train one run and read the hospitals that test once.

    Returns:
        A line of results without its key; its `sites` is empty when the run diverged.
    """
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # the processes are the parallelism
    try:
        trained = train(job.config(), job.out)
    except DivergedError:
        return {"sites": {}, "validation": None}
    split, stores = SplitManifest.load(job.task.split(job.seed)), FrameStores.open(job.task.stores)
    record = trained.directory.record
    return {
        "sites": site_scores(trained, split, stores),
        "validation": record.selected_score,
        "selected_step": record.selected_step,
        "split_sha256": split.sha256,
        "device": record.device,
    }


class Predictor(Protocol):
    """What predicts frames, such as a `Run`."""

    def predict(self, pixels: npt.NDArray[np.uint8], /) -> npt.NDArray[np.float32]:
        """Return logits `(n, classes)` of uint8 `(n, size, size)`."""


def site_scores(trained: Predictor, split: SplitManifest, stores: FrameStores) -> dict[str, dict[str, float]]:
    """Return what each hospital's test frames score.

    Returns:
        Hospital -> balanced accuracy of `frames`, of `clips`, and `clip_auroc`, which no threshold shifts; 0 to 1.
    """
    selected = split.select(stores, SplitRole.TEST)
    logits = trained.predict(stores.read(selected.rows))
    scores = {}
    sites, clips = (selected.members[name].to_numpy(zero_copy_only=False) for name in ("site", "clip"))
    for site in sorted(set(sites)):
        here = (sites == site) & (selected.targets >= 0)
        _, first, clip_index = np.unique(clips[here], return_index=True, return_inverse=True)
        targets = torch.from_numpy(selected.targets[here])
        by_clip = clip_log_probabilities(logits[here], clip_index, len(first))
        scores[str(site)] = {
            "frames": balanced_accuracy(torch.from_numpy(logits[here]), targets),
            "clips": balanced_accuracy(torch.from_numpy(by_clip), targets[first]),
            "clip_auroc": mean_auroc(by_clip, targets[first].numpy()),
        }
    return scores


def mean_auroc(logits: npt.NDArray[np.floating[Any]], targets: npt.NDArray[np.int64]) -> float:
    """Return the mean over the classes of the area under the curve of one class against the others, 0 to 1.

    Args:
        logits: `(n, classes)`, or log-probabilities.
        targets: Class of each, `(n,)`; classes that are absent, or alone, are left out.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    present = [name for name in np.unique(targets) if (targets != name).any()]
    areas = [roc_auc_score(targets == name, probabilities[:, name]) for name in present]
    return float(np.mean(areas)) if areas else math.nan


def lung_tasks(
    folder: Path, out: Path, directions: Sequence[str], seeds: Sequence[int], size: int
) -> list[CarryOverTask]:
    """Return the tasks on real lung ultrasound, with one split a seed."""
    store = build_lung_store(folder, out / f"lung-{size}", size=size)
    tasks = []
    for direction in directions:
        splits = {seed: out / "splits" / f"{direction}-{size}-seed{seed}" for seed in seeds}
        for seed, path in splits.items():
            build_lung_split(folder, store, direction, seed, path)
        tasks.append(CarryOverTask(direction, "lung", (store.root,), splits))
    return tasks


def hospital_task(demo: Path) -> CarryOverTask:
    """Return the task on the SYNTHETIC hospitals of a demo: its stores and its split."""
    stores = tuple(sorted(path.parent for path in (demo / "stores").glob("*/store.json")))
    if not stores or not (demo / "split" / "split.json").exists():
        remedy = f"Run: heart2heart demo --out {demo}"
        raise ConfigError("no stores and split of a demo here", where=demo, remedy=remedy)
    return CarryOverTask("synthetic", "synthetic", stores, demo / "split")


def run_and_report(jobs: Sequence[CarryOverRun], ways: Sequence[str], out: Path, workers: int) -> None:
    """Run what is missing of a study, then write and print its tables.

    Args:
        jobs: All runs of the study.
        ways: Ways in the order of the tables' rows.
        out: Receives `results.jsonl`, one line a run, and `results.md`.
        workers: Processes.
    """
    lines = run_study(
        jobs, train_and_score, key=CarryOverRun.key, results=out / "results.jsonl", workers=workers, describe=describe
    )
    shown = f"{side_by_side(lines, ways)}\n\n{tables(lines, ways)}"
    write_text(out / "results.md", shown + "\n")
    print(shown)


def describe(line: Line) -> str:
    """Return a few words about a finished run."""
    mean = np.mean([score["frames"] for score in line["sites"].values()]) if line["sites"] else math.nan
    return f"{line['task']}, {line['way']}, seed {line['seed']}: {100 * mean:.1f}"


def plan_text(jobs: Sequence[CarryOverRun], out: Path, workers: int) -> str:
    """Return what the jobs cost, by the lines that are finished."""
    lines = ResultsFile(out / "results.jsonl", CarryOverRun.key).lines(jobs)
    return cost_text(job_costs([f"{job.task.name}, {job.way}" for job in jobs], lines), workers)


def main(
    lung: Annotated[Path | None, typer.Option(help="Folder of the lung clips, with clips.csv.")] = None,
    hospitals: Annotated[Path | None, typer.Option(help="Output folder of a demo: SYNTHETIC hospitals.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for stores, splits, runs and results.")] = Path("carry_over_output"),
    way: Annotated[
        list[str] | None, typer.Option(help="A way, or a group of ways; repeatable. All by default.")
    ] = None,
    direction: Annotated[list[str] | None, typer.Option(help="A direction of the lung task; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds.", min=1)] = 5,
    size: Annotated[int, typer.Option(help="Side of the lung frames, pixels.", min=32)] = 112,
    override: Annotated[list[str] | None, typer.Option(help="Setting for every run; repeatable.")] = None,
    workers: Annotated[int, typer.Option(help="Processes, each on one core; 1 on a GPU.", min=1)] = 2,
    first_seed: Annotated[int, typer.Option(help="The first seed; a proof takes seeds that chose nothing.", min=0)] = 0,
    weights: Annotated[
        list[str] | None, typer.Option(help="File of the weights LITE0 or SONONET, as NAME=FILE; repeatable.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished runs, and stop.")] = False,
) -> None:
    """Run what is missing of the study, then write `results.md`."""
    ways = resolve_ways(way or [])
    directions, drawn = direction or list(DIRECTIONS), range(first_seed, first_seed + seeds)
    files = tuple(parse_weights(weights or []).items())
    if unknown := sorted(set(directions) - set(DIRECTIONS)):
        raise ConfigError(f"no direction is called {unknown[0]!r}", remedy=f"Choose {', '.join(DIRECTIONS)}")
    tasks = [] if hospitals is None else [hospital_task(hospitals)]
    tasks += [] if lung is None else lung_tasks(lung, out, directions, drawn, size)
    if not tasks:
        raise ConfigError("no data are named", remedy="Name --lung FOLDER, --hospitals DEMO, or both")
    jobs = [
        CarryOverRun(task, name, seed, tuple(override or ()), out / "runs" / task.name / name / f"seed{seed}", files)
        for seed in drawn
        for task in tasks
        for name in ways
    ]
    if plan:
        print(plan_text(jobs, out, workers))
        return
    run_and_report(jobs, ways, out, workers)


if __name__ == "__main__":
    run(main)
