"""The paper's Heart2Heart benchmark: trains on TMED-2, tests on TMED-2, Unity and CAMUS; seven methods, three folds.

    python -m pipelines.heart2heart --tmed2 TMED2 --unity UNITY --camus CAMUS --out heart2heart_output
    python -m pipelines.heart2heart --dry-run
    python -m pipelines.heart2heart --synthetic --out heart2heart_synthetic

The same command continues a stopped study. `--synthetic` runs the same study with simulated hospitals and a
small network, on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from heart2heart.cli import yield_cores
from heart2heart.cli.output import text_table
from heart2heart.datasets.catalogue import CATALOGUE
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.progress import SubProgress, progress_bar
from pipelines.command_line import run
from pipelines.heart2heart_cost import explain_estimate, gpu_hours
from pipelines.heart2heart_data import (
    SITES,
    DatasetState,
    bind_settings,
    fill_stores,
    freeze_official_splits,
    inspect_dataset,
    prepare_synthetic,
)
from pipelines.heart2heart_results import finished_results, write_reports, write_results
from pipelines.heart2heart_runs import (
    FOLDS,
    VARIANTS,
    BenchmarkRun,
    BenchmarkStudy,
    train_and_test,
    train_on_own_device,
)
from pipelines.study_engine import lock_study
from pipelines.study_jobs import run_all

SYNTHETIC_HOSPITALS = ("A", "B", "C", "D")
"""Names of the SYNTHETIC hospitals, the source first."""


def choose_devices(text: str) -> list[str]:
    """Return the devices of `auto` (every graphics card, or the CPU) or of a list such as `cuda:0,cuda:1`."""
    if text != "auto":
        return [each.strip() for each in text.split(",")]
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


def choose_shard(jobs: list[BenchmarkRun], text: str) -> list[BenchmarkRun]:
    """Return every n-th job, from the i-th on, of `i/n`.

    Raises:
        ConfigError: not such a text.
    """
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise ConfigError(f"{text!r} is no shard", where="--shard", remedy="Give 1/3, 2/3 and 3/3 on three machines")
    return jobs[int(first) - 1 :: int(count)]


def show_plan(study: BenchmarkStudy, data: list[DatasetState], rate: float | None) -> str:
    """Return the plan as text: data sets, runs and their state, cost."""
    blocked = {}
    if not study.synthetic and data[0].state in ("not given", "not readable"):
        blocked = dict.fromkeys(study.folds, f"blocked: {CATALOGUE[SITES[0]].title} is {data[0].state}")
    elif not study.synthetic and data[0].splits is not None:
        lacking = [fold for fold in study.folds if f"DEV56/fold{fold}" not in data[0].splits]
        blocked = {fold: f"blocked: the tables of DEV56 fold {fold} are missing" for fold in lacking}
    states = {job.name: blocked.get(job.fold) or job.state() for job in study.runs()}
    parts = []
    if study.synthetic:
        parts.append("SYNTHETIC hospitals, made here; nothing is missing.")
    else:
        states_of_data = [(CATALOGUE[each.name].title, each.state) for each in data]
        parts.append(text_table(("data set", "state"), states_of_data))
        parts += [
            "\n  ".join([f"{CATALOGUE[each.name].title} is {each.state}:", *each.problems])
            for each in data
            if each.problems
        ]
        for each in data:
            if each.state in ("not given", "not readable"):
                source = CATALOGUE[each.name]
                use = "needed by every run" if each.name == SITES[0] else "without it this hospital is not tested on"
                parts.append(
                    f"missing: {source.title} ({use}). --{each.name} names a folder with {source.layout}. "
                    f"Source: {source.url}. Licence: {source.licence}."
                )
        if any(each.state == "not given" for each in data[1:]):
            parts.append("A hospital cannot be added once runs have begun: they are bound to their split.")
    cost = {} if study.synthetic else gpu_hours(study.runs(), rate)
    rows = [(name, state, f"{cost[name]:.2f}" if name in cost else "-") for name, state in states.items()]
    parts.append(text_table(("run", "state", "GPU hours"), rows))
    ended = sum(state in ("done", "diverged") for state in states.values())
    score = "done" if (study.out / "evaluation" / "finished.json").exists() and ended == len(states) else "to do"
    parts.append(f"{ended} of {len(states)} runs are done; evaluation and reports: {score}.")
    if cost:
        left = sum(value for name, value in cost.items() if states[name] not in ("done", "diverged"))
        parts.append(f"{sum(cost.values()):.1f} GPU hours in all, {left:.1f} to do: {explain_estimate(rate)}.")
    return "\n\n".join(parts)


def train_missing(study: BenchmarkStudy, todo: Sequence[BenchmarkRun], devices: Sequence[str]) -> None:
    """Train and test runs, one at a time on each device, and write `results.jsonl` after each."""
    with progress_bar("train and test", 100 * len(todo)) as progress:

        def train_here(job: BenchmarkRun) -> dict[str, Any]:
            part = SubProgress(progress, start=100 * todo.index(job), span=100, total=job.config.steps)
            return train_and_test(job, devices[0], part)

        function = train_here if len(devices) == 1 else train_on_own_device
        for done, (position, line) in enumerate(run_all(function, todo, len(devices), devices), start=1):
            write_results(study)
            progress.update(100 * done)
            shown = "diverged" if line["diverged"] else _scores(line)
            print(f"{todo[position].name}: {shown}", flush=True)
    write_results(study)


def main(
    tmed2: Annotated[Path | None, typer.Option(help="Folder of TMED-2; it trains.")] = None,
    unity: Annotated[Path | None, typer.Option(help="Folder of Unity.")] = None,
    camus: Annotated[Path | None, typer.Option(help="Folder of CAMUS.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("heart2heart_output"),
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Simulated hospitals, a small network, a CPU.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan, cost and missing data, and stop.")] = False,
    fold: Annotated[list[int] | None, typer.Option(help="Fold to run; repeatable. All three by default.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Such as fixmatch_fix_a_step; repeatable. All seven by default.")
    ] = None,
    devices: Annotated[str, typer.Option(help="Such as cuda:0,cuda:1; each takes one run at a time.")] = "auto",
    shard: Annotated[str, typer.Option(help="Share of this machine, i/n, where several share --out.")] = "1/1",
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Fill the stores and freeze the splits, and stop.")
    ] = False,
    clean_pool: Annotated[
        bool, typer.Option("--clean-pool", help="Leave pool frames of evaluated patients out of the official splits.")
    ] = False,
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Go on with data that differ from the published ones.")
    ] = False,
    images_per_second: Annotated[
        float | None, typer.Option(help="Measured rate of FixMatch at 64 + 320 frames a step, for the cost.", min=1e-9)
    ] = None,
    override: Annotated[list[str] | None, typer.Option(help="Training override such as seed=1; repeatable.")] = None,
    scale: Annotated[float, typer.Option(help="With --synthetic: number of patients, relative to the demo's.")] = 1.0,
    seed: Annotated[int, typer.Option(help="With --synthetic: seed of the simulation.")] = 7,
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    run_reports: Annotated[bool, typer.Option(help="Write a report a run beside the comparison.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read or simulate data.")] = 2,
) -> None:
    """Run the missing jobs of the benchmark, then write folds.json and the reports."""
    folder_options = {"tmed2": tmed2, "unity": unity, "camus": camus}
    folders = {name: path for name, path in folder_options.items() if path is not None}
    folds, variants = tuple(sorted(set(fold or FOLDS))), tuple(way for way in VARIANTS if way in (method or VARIANTS))
    for value, known in ((set(folds), FOLDS), (set(method or ()), VARIANTS)):
        if unknown := sorted(str(each) for each in value - set(known)):
            raise ConfigError(f"there is no {unknown[0]}", remedy=f"Choose {', '.join(map(str, known))}")
    if synthetic and folders:
        raise ConfigError("--synthetic takes no data set", remedy="Leave out --tmed2, --unity and --camus")
    data = [] if synthetic else [inspect_dataset(name, folder_options[name], out, folds) for name in SITES]
    there = tuple(each.name for each in data if each.state != "not given")
    sites = SYNTHETIC_HOSPITALS if synthetic else there or SITES
    study = BenchmarkStudy(out, sites, folds, variants, synthetic, clean_pool, tuple(override or ()))
    jobs = choose_shard(study.runs(), shard)
    if dry_run:
        print(show_plan(study, data, images_per_second))
        return
    if not synthetic and SITES[0] not in there:
        source = CATALOGUE[SITES[0]]
        remedy = f"Name its folder with --tmed2; its source is {source.url}. --synthetic needs no data"
        raise MissingInputError(f"{source.title} is needed to train", remedy=remedy)
    started = time.monotonic()
    settings: dict[str, Any] = {"scale": scale, "seed": seed} if synthetic else {}
    if (out / "benchmark.json").exists():
        bind_settings(study, settings)
    if synthetic:
        prepare_synthetic(study, scale=scale, seed=seed, workers=workers)
    else:
        fill_stores(study, folders, incomplete=accept_incomplete, workers=workers)
        freeze_official_splits(study)
    bind_settings(study, settings)
    if not synthetic and len(there) < len(SITES):
        absent = [CATALOGUE[name].title for name in SITES if name not in there]
        print(f"Not tested on, since they are not there: {', '.join(absent)}")
    if prepare_only:
        print(f"Stores and splits are ready in {out}")
        return
    with lock_study(out / f"shard-{shard.replace('/', '-of-')}.lock"):
        todo = [job for job in jobs if job.result() is None]
        train_missing(study, todo, choose_devices(devices))
    ended = len(finished_results(study.runs()))
    if ended < len(study.runs()):
        print(f"{ended} of {len(study.runs())} runs are done. Once all are, the same command writes the reports.")
        return
    report = write_reports(study, replicates=replicates, seed=0, each=run_reports)
    for each in data:
        for problem in inspect_dataset(each.name, None, out, folds).problems:
            print(f"Not the published data: {CATALOGUE[each.name].title}: {problem}")
    if run_reports and not synthetic:
        print("The reports below reports/ show frames of licensed data: do not pass them on")
    print(
        f"{'All hospitals are SYNTHETIC. ' if synthetic else ''}{len(todo)} runs in {time.monotonic() - started:.0f} s"
    )
    print(f"Comparison: {report}\nFigures: {out / 'folds.json'}, {out / 'results.jsonl'}")


def _scores(line: dict[str, Any]) -> str:
    return ", ".join(f"{site} {100 * value:.1f}" for site, value in line["test"].items())


if __name__ == "__main__":
    yield_cores()
    run(main)
