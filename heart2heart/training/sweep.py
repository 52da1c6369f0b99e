"""Trains the points of a sweep rung by rung; a sweep that was killed continues where it stopped.

Points are compared by validation frames of the source hospitals alone, as weights are.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from heart2heart.csv_files import CsvWriter
from heart2heart.errors import ConfigError, DivergedError, RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.training.distributed import join_process_group
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.sweep_plan import GridPoint, SweepPlan, SweepStudy
from heart2heart.training.train import advance
from heart2heart.utils import write_text


@dataclass(frozen=True)
class TrialResult:
    """Result of one point.

    Attributes:
        number: Its index in the grid.
        point: Its settings.
        steps: Steps that all its seeds were trained for; 0 where one diverged before the first rung.
        score: Mean over the seeds of the best validation balanced accuracy so far, 0 to 1; None without any.
        deviation: Standard deviation over the seeds; None for a single one.
        outcome: `chosen`, `finished`, `dropped` at a rung, or `diverged`.
    """

    number: int
    point: GridPoint
    steps: int
    score: float | None
    deviation: float | None
    outcome: str


@dataclass(frozen=True)
class SweepResult:
    """Result of a finished sweep.

    Attributes:
        plan: The plan.
        trials: In order of trained steps, then of score, both descending.
        chosen: The best point's configuration, ready for `heart2heart train`.
    """

    plan: SweepPlan
    trials: tuple[TrialResult, ...]
    chosen: Path


def sweep(plan: SweepPlan, out: Path, *, progress: Progress | None = None) -> SweepResult:
    """Train every point of a grid with every seed, dropping the worse points at each rung.

    Args:
        plan: The plan.
        out: Folder of the sweep. It receives `sweep.json` (the plan), `sweep.db` (Optuna's study), one ordinary run
            folder a point and seed under `trials/`, and at the end `results.csv` and `chosen.yaml`.
        progress: Receives the number of finished steps over all runs.

    Raises:
        ConfigError: a grid with keys or values that a configuration does not take; started by torchrun.
        RunError: another sweep is in the folder, or every point diverged; and as `train`.
        MissingInputError: Optuna is not installed.
    """
    if join_process_group().size > 1:
        what = "a sweep trains its runs one after another, in one process"
        raise ConfigError(what, remedy="Start `heart2heart sweep` without torchrun")
    plan.open_directory(out)
    study, reports = SweepStudy(plan, out), _SweepProgress(plan, progress or NoProgress())
    points = plan.points()
    alive = list(range(len(points)))
    for rung in plan.rungs():
        scores: dict[int, float] = {}
        for number in alive:
            score = study.score(number, rung)
            if score is None and not study.diverged(number):
                score = _train(plan, points[number], _trial_directory(out, number), rung, reports)
                if score is None:
                    study.finish(number, "FAIL")
                else:
                    study.write(number, rung, score)
            if score is not None:
                scores[number] = score
                reports.known(_trial_directory(out, number), rung)
        if not scores:
            raise RunError("every point of this sweep diverged", where=out, remedy="Lower optimiser.lr in the grid")
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        alive = sorted(ranked[: plan.survivors(len(ranked))]) if rung < plan.config.steps else ranked
        for number in set(scores) - set(alive):
            study.finish(number, "PRUNED")
    for number in alive:
        study.finish(number, "COMPLETE", scores[number])
    trials = _trials(plan, study, out, finalists=alive)
    chosen = _choose(plan, points[alive[0]], scores[alive[0]], out)
    write_text(out / "results.csv", _table(plan, trials))
    return SweepResult(plan, trials, chosen)


def _trial_directory(out: Path, number: int) -> Path:
    return out / "trials" / f"{number:03d}"


class _SweepProgress:
    """Adds up the steps of all runs for one progress."""

    def __init__(self, plan: SweepPlan, progress: Progress) -> None:
        self.plan, self.progress = plan, progress
        self.done: dict[Path, int] = {}
        self.run = Path()

    def known(self, folder: Path, rung: int) -> None:
        self.done |= {folder / f"seed_{seed}": rung for seed in self.plan.seeds}

    def update(self, done: int, note: str = "") -> None:
        self.done[self.run] = done
        self.progress.update(sum(self.done.values()), f"{self.run.parent.name}/{self.run.name}: {note}")


def _train(plan: SweepPlan, point: GridPoint, folder: Path, rung: int, reports: _SweepProgress) -> float | None:
    """Train every seed of a point up to a rung, and return its mean score; None if one diverged."""
    runs = []
    for seed in plan.seeds:
        reports.run = folder / f"seed_{seed}"
        try:
            runs.append(advance(plan.run(point, seed), reports.run, until=rung, progress=reports))
        except DivergedError:
            return None
    return statistics.fmean(_best(run, rung) for run in runs)


def _best(run: RunDirectory, rung: int) -> float:
    """Return the best validation score up to a rung, by what the run's selection compares."""
    key = "validation_perturbed_accuracy" if run.config.selection == "perturbed" else "validation_balanced_accuracy"
    return max(line[key] for line in run.metrics.read() if key in line and line["step"] <= rung)


def _trials(plan: SweepPlan, study: SweepStudy, out: Path, finalists: Sequence[int]) -> tuple[TrialResult, ...]:
    results = []
    for index, point in enumerate(plan.points()):
        reached = [rung for rung in plan.rungs() if study.score(index, rung) is not None]
        score, deviation = None, None
        if reached:
            folders = [RunDirectory.read(_trial_directory(out, index) / f"seed_{seed}") for seed in plan.seeds]
            scores = [_best(folder, reached[-1]) for folder in folders]
            score = statistics.fmean(scores)
            deviation = statistics.stdev(scores) if len(scores) > 1 else None
        outcome = "diverged" if study.diverged(index) else "finished" if index in finalists else "dropped"
        outcome = "chosen" if index == finalists[0] else outcome
        results.append(TrialResult(index, point, reached[-1] if reached else 0, score, deviation, outcome))
    return tuple(
        sorted(results, key=lambda trial: (-trial.steps, -1 if trial.score is None else -trial.score, trial.number))
    )


def _choose(plan: SweepPlan, point: GridPoint, score: float, out: Path) -> Path:
    path = out / "chosen.yaml"
    settings = plan.run(point, plan.config.seed).model_dump(mode="json")
    head = (
        f"# heart2heart train {path} --out RUN\n"
        f"# Chosen by `heart2heart sweep` among {len(plan.points())} points, seeds {', '.join(map(str, plan.seeds))}:\n"
        f"# {100 * score:.1f} % mean balanced accuracy on source validation after {plan.config.steps} steps.\n"
        "# It was selected for that score, which is therefore too good an estimate of what to expect elsewhere.\n"
    )
    write_text(path, head + yaml.safe_dump(settings, sort_keys=False))
    return path


def _table(plan: SweepPlan, trials: Sequence[TrialResult]) -> str:
    out = io.StringIO()
    writer = CsvWriter(out)
    writer.writerow(["trial", *plan.grid, "steps", "score", "deviation", "outcome"])
    for trial in trials:
        shown = ["" if value is None else f"{value:.4f}" for value in (trial.score, trial.deviation)]
        writer.writerow([trial.number, *trial.point.values(), trial.steps, *shown, trial.outcome])
    return out.getvalue()
