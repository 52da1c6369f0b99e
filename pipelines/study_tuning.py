"""Chooses the settings of every way with the same budget, by validation images of a seed that counts nowhere else."""

from __future__ import annotations

from pathlib import Path

import yaml

from heart2heart.progress import progress_bar
from heart2heart.training.sweep import sweep
from heart2heart.training.sweep_plan import SweepPlan
from pipelines.mismatch_variants import way_reads_pool
from pipelines.study_design import REFERENCE, StudyDesign, StudyJob


def tuning_plans(design: StudyDesign, out: Path) -> dict[tuple[str, str], tuple[StudyJob, SweepPlan]]:
    """Return the sweep of every task and way: as many points, seeds and steps for each.

    Args:
        design: The study.
        out: Its folder.
    """
    tuning = design.tuning
    if not tuning.grid:
        return {}
    protocol, level = design.pools()[0]
    plans = {}
    for task in design.tasks:
        for way in dict.fromkeys((REFERENCE, *design.ways)):
            job = StudyJob(design, task, protocol, level, tuning.seed, way, out)
            grid = tuning.grid if way_reads_pool(way) else tuning.labels_grid
            plan = SweepPlan.create(
                job.config.with_overrides(["selection=validation"]), grid, (tuning.seed,), tuning.keep
            )
            plans[task, way] = (job, plan)
    return plans


def tune(design: StudyDesign, out: Path) -> StudyDesign:
    """Run the sweeps that are not done, and return the design with the settings of the best mean rank over the tasks.

    The settings are the same in every task, since a study has one setting for each way.

    Args:
        design: The study; the splits of the tuning seed exist.
        out: Its folder; the sweeps lie under `tuning/`.
    """
    plans = tuning_plans(design, out)
    ranks: dict[str, dict[int, list[int]]] = {}
    with progress_bar("tune", sum(plan.steps() for _, plan in plans.values())) as progress:
        done = 0
        for (task, way), (_, plan) in plans.items():
            result = sweep(plan, out / "tuning" / f"{task}-{way.replace('+', '-')}")
            for rank, trial in enumerate(result.trials):
                ranks.setdefault(way, {}).setdefault(trial.number, []).append(rank)
            done += plan.steps()
            progress.update(done, f"{task}, {way}")
    chosen = {}
    for way, by_point in ranks.items():
        best = min(by_point, key=lambda number: (sum(by_point[number]), number))
        point = next(plan for (_, name), (_, plan) in plans.items() if name == way).points()[best]
        chosen[way] = tuple(f"{key}={value}" for key, value in point.items())
    return design.model_copy(update={"way_settings": {**design.way_settings, **chosen}})


def design_text(design: StudyDesign, command: str) -> str:
    """Return a design as YAML, with the command that runs it on top."""
    content = design.model_dump(mode="json")
    return f"# {command}\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}"
