"""Do uncurated frames help on real ultrasound? Methods with and without the pool, across sites and within a site.

    python -m pipelines.lung_study --lung LUNG --out lung_output --weights SONONET=SonoNet16.npz

Pneumonia against normal, clips of the POCOVID-Net collection (`pipelines.lung_data`). Across sites, one site trains
and the other tests. Within a site, its patients are tested in turn. All clips of other sites and of other findings
(COVID-19, viral pneumonia, linear probes) are the uncurated pool. Each run is one line of `results.jsonl`; a study
that was stopped continues with what is missing. It is not echocardiography, and no clinical claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from heart2heart.errors import UnknownNameError
from heart2heart.training.config import TrainConfig
from heart2heart.utils import write_text
from pipelines.carry_over_ways import BUDGETS, WAYS, parse_weights, with_weights
from pipelines.command_line import run
from pipelines.lung_data import DIRECTIONS, FOLDS, build_lung_split, build_lung_store, fold_tasks, frame_labels
from pipelines.lung_study_report import study_report
from pipelines.study_engine import Line, run_study
from pipelines.study_measures import config_digest, train_and_measure
from pipelines.study_plan import cost_text, job_costs


@dataclass(frozen=True)
class Start:
    """What a network begins from.

    Attributes:
        size: Side of the frames, pixels.
        settings: Overrides of the configuration; those of the defaults for that start.
    """

    size: int
    settings: tuple[str, ...]


_SHORT = ("steps=200", "evaluate_every=100", "checkpoint_every=200")
STARTS: Mapping[str, Start] = {
    "scratch": Start(48, WAYS["outside-last-clean"]),
    "ultrasound": Start(80, (*WAYS["ultrasound-last"], *_SHORT)),
    "imagenet": Start(80, (*WAYS["imagenet"], "selection=last", *_SHORT)),
}
"""Start -> size and settings. Each takes the last weights, so that no test or validation label chooses them."""

_FIXMATCH = "method={name: fixmatch, params: {threshold: 0.95}}"
METHODS: Mapping[str, tuple[str, ...]] = {
    "labels_only": (),
    "supervised_mixup": ("method={name: supervised_mixup}",),
    "supervised_strong": ("method={name: supervised_strong}",),
    "fixmatch": (_FIXMATCH,),
    "fixmatch+fix_a_step": (
        _FIXMATCH, "fix_a_step={mixing: true, gradient: fix_a_step, temperature: 0.5, alpha: 0.5}",
    ),
}  # fmt: skip
"""Method -> overrides. The first reads no pool, the next two are its controls with the other ingredients."""


@dataclass(frozen=True)
class LungRun:
    """One training of the study.

    Attributes:
        task: A name of `DIRECTIONS` or of `fold_tasks`.
        start: A name of `STARTS`.
        method: A name of `METHODS`.
        seed: Seed of the run and of the split.
        store: The store of frames.
        split: Folder of the split.
        out: Folder of the run.
        weights: Placeholder and file of the weights that a start may begin from.
    """

    task: str
    start: str
    method: str
    seed: int
    store: Path
    split: Path
    out: Path
    weights: tuple[tuple[str, Path], ...] = ()

    def config(self) -> TrainConfig:
        """Return the resolved configuration."""
        start = with_weights(STARTS[self.start].settings, dict(self.weights))
        settings = (*BUDGETS["lung"], *start, *METHODS[self.method], f"seed={self.seed}")
        data = {"stores": [str(self.store)], "split": str(self.split)}
        return TrainConfig.parse({"data": data}, where="study").with_overrides(list(settings))

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        names = {"task": self.task, "start": self.start, "method": self.method, "seed": self.seed}
        return names | {"config_sha256": config_digest(self.config())}


def measure_run(job: LungRun) -> Line:
    """Train one run and read the clips that test once; the finished weights are not kept."""
    classes = job.store.with_name(f"{job.store.name}.labels.npy")
    return train_and_measure(job.config(), job.out, frame_classes=classes, by_clip=True)


def study_jobs(
    folder: Path,
    out: Path,
    tasks: Sequence[str],
    starts: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    weights: Mapping[str, Path],
) -> list[LungRun]:
    """Return the runs of the study by seed, so that a study that is stopped has whole seeds; freeze their splits.

    Args:
        folder: Holds `clips.csv`.
        out: Receives stores, splits and runs.
        tasks: Names of tasks.
        starts: Names of `STARTS`.
        methods: Names of `METHODS`.
        seeds: Seeds of runs and splits.
        weights: Placeholder -> file.
    """
    jobs = []
    for size in sorted({STARTS[name].size for name in starts}):
        store = build_lung_store(folder, out / f"lung-{size}", size=size)
        np.save(store.root.with_name(f"{store.root.name}.labels.npy"), np.array(frame_labels(folder, store)))
        for seed in seeds:
            for task in tasks:
                split = out / "splits" / f"{task.replace(', fold ', '-')}-{size}-seed{seed}"
                build_lung_split(folder, store, task, seed, split)
                for start in starts:
                    if STARTS[start].size != size:
                        continue
                    for method in methods:
                        run_folder = out / "runs" / start / method / f"{split.name}"
                        files = tuple(weights.items())
                        jobs.append(LungRun(task, start, method, seed, store.root, split, run_folder, files))
    return sorted(jobs, key=lambda job: job.seed)


def describe(line: Line) -> str:
    """Return a few words about a finished run."""
    score = line["balanced_accuracy"]
    text = "diverged" if score is None else f"{100 * score:.1f}"
    return f"{line['task']}, {line['start']}, {line['method']}, seed {line['seed']}: {text}"


def resolve_tasks(names: Sequence[str]) -> list[str]:
    """Return the tasks that names of directions and sites stand for; no name stands for both directions.

    Raises:
        UnknownNameError: neither a direction nor a site with folds.

    Examples:
        >>> resolve_tasks(["northumbria-avi"])
        ['northumbria-avi']
    """
    tasks: list[str] = []
    for name in names or tuple(DIRECTIONS):
        if name not in DIRECTIONS and name not in FOLDS:
            raise UnknownNameError.among("task", name, [*DIRECTIONS, *FOLDS])
        tasks += [name] if name in DIRECTIONS else fold_tasks(name)
    return tasks


def _known(kind: str, names: Sequence[str], known: Mapping[str, object]) -> list[str]:
    for name in names:
        if name not in known:
            raise UnknownNameError.among(kind, name, list(known))
    return list(names or known)


def main(
    lung: Annotated[Path, typer.Option(help="Folder of the lung clips, with clips.csv.")],
    out: Annotated[Path, typer.Option(help="Folder for stores, splits, runs and results.")] = Path("lung_output"),
    task: Annotated[
        list[str] | None, typer.Option(help="A direction, or a site for its folds; repeatable. Both directions.")
    ] = None,
    start: Annotated[list[str] | None, typer.Option(help="What the network begins from; repeatable. All.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="A method; repeatable. All by default.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds.", min=1)] = 8,
    first_seed: Annotated[int, typer.Option(help="The first seed.", min=0)] = 100,
    workers: Annotated[int, typer.Option(help="Processes, each on one core; 1 on a GPU.", min=1)] = 2,
    weights: Annotated[
        list[str] | None, typer.Option(help="File of the weights LITE0 or SONONET, as NAME=FILE; repeatable.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished runs, and stop.")] = False,
) -> None:
    """Run what is missing of the study, then write `results.md`."""
    starts, methods = _known("start", start or [], STARTS), _known("method", method or [], METHODS)
    tasks, drawn = resolve_tasks(task or []), range(first_seed, first_seed + seeds)
    jobs = study_jobs(lung, out, tasks, starts, methods, drawn, parse_weights(weights or []))
    if plan:
        from pipelines.study_engine import ResultsFile

        lines = ResultsFile(out / "results.jsonl", LungRun.key).lines(jobs)
        print(cost_text(job_costs([f"{job.start}, {job.method}" for job in jobs], lines), workers))
        return
    results = out / "results.jsonl"
    finished = run_study(jobs, measure_run, key=LungRun.key, results=results, workers=workers, describe=describe)
    text = study_report(finished, starts, methods)
    write_text(out / "results.md", text + "\n")
    print(text)


if __name__ == "__main__":
    run(main)
