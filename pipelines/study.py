"""Runs a study of uncurated frames that a YAML file describes: controls, ways, pools and seeds; tables and a plot.

    python -m pipelines.study pipelines/studies/uncurated_fashion.yaml --data /usr/share/datasets/fashion-mnist --plan
    python -m pipelines.study pipelines/studies/uncurated_fashion.yaml --data /usr/share/datasets/fashion-mnist

Every run is one line of `results.jsonl`. The same command continues a stopped study; tables are rewritten after every
seed. `--plan` prints cost and power, `--report` the tables of what is finished, `--tune` chooses settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from heart2heart.errors import ConfigError
from heart2heart.progress import progress_bar
from heart2heart.utils import write_json, write_text
from pipelines.command_line import run
from pipelines.mismatch_task import IMAGE_TASKS, ImageStore, build_split
from pipelines.study_controls import check_preconditions, difference
from pipelines.study_design import StudyDesign, StudyJob, run_job
from pipelines.study_engine import Line, ResultsFile, lock_study, run_study
from pipelines.study_measures import POOL_SAMPLE
from pipelines.study_plan import calibrate_config, cost_text, job_costs, pooled_deviation, power_text
from pipelines.study_plot import plot
from pipelines.study_report import compare, family_size, pool_scores, report
from pipelines.study_tuning import design_text, tune

TEST_IMAGES = 6_000
POOL_IMAGES = 24_000
"""Rough sizes of test part and pool, for the cost before the data are read."""


def results_of(out: Path) -> ResultsFile[StudyJob]:
    """Return the results file of a study's folder."""
    return ResultsFile(out / "results.jsonl", StudyJob.key)


def kind_of(job: StudyJob) -> str:
    """Return what a job is in the table of costs: all jobs of a kind cost about the same."""
    return f"{job.way}, {'control' if job.protocol not in ('replace', 'add') else job.protocol}"


def plan_text(design: StudyDesign, out: Path, workers: int, *, calibrate: bool = True) -> str:
    """Return the cost and the power of a study.

    Args:
        design: The study.
        out: Its folder; lines that are there count.
        workers: Processes.
        calibrate: Time a few steps of each kind of job that has no finished line.
    """
    jobs = design.jobs(out)
    lines = results_of(out).lines(jobs)

    def seconds(index: int) -> float:
        job = jobs[index]
        task = IMAGE_TASKS[job.mismatch.dataset]
        every = job.config.evaluate_every
        validations = -(-job.config.steps // every) * design.budget.validation * len(task.labeled)
        frames = validations + TEST_IMAGES + POOL_SAMPLE
        size = task.side // design.budget.shrink
        return calibrate_config(job.config, size=size, classes=len(task.labeled), pool=POOL_IMAGES, frames=frames)

    costs = job_costs([kind_of(job) for job in jobs], lines, seconds if calibrate else None)
    finished = [line for line in lines if line is not None]
    pairs = [
        difference(*(pool_scores(design, finished, task, name, pool) for name in pair))
        for task in design.tasks
        for pair in design.pairs()
        for pool in design.pools()
    ]
    estimate = pooled_deviation(pairs)
    deviation, source = design.deviation, "stated beforehand"
    if estimate is not None:
        deviation, source = estimate[0], f"of finished lines, {estimate[1]} degrees of freedom"
    return f"{cost_text(costs, workers)}\n\n{power_text(deviation, source, design.seeds, family_size(design))}"


def prepare(design: StudyDesign, jobs: Sequence[StudyJob], data: Path) -> None:
    """Fill the stores and freeze the splits of some jobs, unless they exist."""
    missing = {job.split: job for job in jobs if not (job.split / "certificate.json").exists()}
    by_store: dict[Path, list[StudyJob]] = {}
    for job in missing.values():
        by_store.setdefault(job.data, []).append(job)
    for folder, own in by_store.items():
        dataset = own[0].mismatch.dataset
        with progress_bar(f"images of {IMAGE_TASKS[dataset].title}, and splits", len(own)) as progress:
            images = ImageStore.build(
                dataset, data, folder / "store", design.budget.shrink, noise=design.controls.noise
            )
            for done, job in enumerate(own, start=1):
                build_split(job.mismatch, images, job.split)
                progress.update(done)


@dataclass(frozen=True)
class _Finish:
    """Removes the folder of a run whose line is recorded; weights of hundreds of runs fill a disk."""

    keep: bool

    def __call__(self, job: StudyJob, line: Line) -> None:
        import shutil

        if not self.keep:
            shutil.rmtree(job.path, ignore_errors=True)


def describe(line: Line) -> str:
    """Return a few words about a finished run."""
    score = "diverged" if line["balanced_accuracy"] is None else f"{100 * line['balanced_accuracy']:.1f}"
    return f"{line['task']}, {line['way']}, {line['protocol']} {line['level']} %, seed {line['seed']}: {score}"


def write_results(design: StudyDesign, lines: Sequence[Line], out: Path) -> str:
    """Write `results.md`, `results.json` and `results.png`, and return the first."""
    page = report(design, lines)
    write_text(out / "results.md", page + "\n")
    write_json(out / "results.json", summary(design, lines))
    plot(design, lines, out / "results.png")
    return page


def summary(design: StudyDesign, lines: Sequence[Line]) -> dict[str, Any]:
    """Return preconditions and comparisons in a form that another program reads; failed preconditions come first."""
    verdicts = sorted((vars(each) for each in check_preconditions(design, lines)), key=lambda each: each["outcome"])
    comparisons = [
        dict(zip(("task", "way", "other", "protocol", "level"), name, strict=True))
        | {"mean": test.interval.mean, "seeds": test.seeds}
        | (
            {}
            if test.seeds < 2
            else vars(test.interval) | {"p": test.p, "p_holm": test.p_holm, "p_flips": test.p_flips}
        )
        for name, test in compare(design, lines).items()
    ]
    return {"title": design.title, "lines": len(lines), "preconditions": verdicts, "comparisons": comparisons}


def main(
    design: Annotated[Path, typer.Argument(help="YAML file of the study.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the image set's files.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for stores, runs and results.")] = Path("study_output"),
    plan: Annotated[bool, typer.Option("--plan", help="Print cost and power, and stop.")] = False,
    calibrate: Annotated[bool, typer.Option(help="With --plan: time steps of jobs without a finished line.")] = True,
    tuned: Annotated[
        bool, typer.Option("--tune", help="Choose settings by sweeps, write tuned.yaml, and stop.")
    ] = False,
    only_report: Annotated[bool, typer.Option("--report", help="Write the tables of finished runs, and stop.")] = False,
    override: Annotated[
        list[str] | None, typer.Option(help="Setting of the study, such as seeds=2; repeatable.")
    ] = None,
    keep_runs: Annotated[bool, typer.Option("--keep-runs", help="Keep the folder of every run.")] = False,
    workers: Annotated[int, typer.Option(help="Processes, each on one core; they share a GPU.", min=1)] = 2,
) -> None:
    """Run what is missing of the study, then write `results.md`, `results.json` and `results.png`."""
    study = StudyDesign.load(design, override or [])
    if plan:
        print(plan_text(study, out, workers, calibrate=calibrate))
        return
    if only_report:
        jobs = study.jobs(out)
        print(write_results(study, [line for line in results_of(out).lines(jobs) if line is not None], out))
        return
    if data is None:
        raise ConfigError("no images are named", where="--data", remedy="Name the folder of the image set's files")
    with lock_study(out / "study.lock"):
        if tuned:
            protocol, level = study.pools()[0]
            prepare(study, [StudyJob(study, task, protocol, level, study.tuning.seed, study.ways[0], out)
                            for task in study.tasks], data)  # fmt: skip
            path = out / "tuned.yaml"
            write_text(
                path, design_text(tune(study, out), f"python -m pipelines.study {path} --data {data} --out {out}")
            )
            print(f"The design with the chosen settings: {path}")
            return
        jobs, finished = study.jobs(out), []
        for seed in dict.fromkeys(job.seed for job in jobs):
            own = [job for job in jobs if job.seed == seed]
            known = results_of(out).lines(own)
            prepare(study, [job for job, line in zip(own, known, strict=True) if line is None], data)
            finished += run_study(
                own, run_job, key=StudyJob.key, results=out / "results.jsonl", workers=workers, describe=describe,
                title=f"train and test, seed {seed}", on_line=_Finish(keep_runs),
            )  # fmt: skip
            page = write_results(study, finished, out)
    print(page)


if __name__ == "__main__":
    run(main)
