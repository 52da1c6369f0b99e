"""The tables of the lung study: means over seeds, differences paired by seed, and intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.evaluation.intervals import cluster_weights, percentile_interval, replicate
from pipelines.study_engine import Line
from pipelines.study_statistics import paired_tests

Floats = npt.NDArray[np.float64]
BASE = "labels_only"
"""Method that the others are compared with."""
REPLICATES = 4000
_COLUMNS = (
    "method", "balanced accuracy, over patients", "SD over seeds", "minus labels only, over seeds", "p, Holm",
    "over patients", "pool passes", "pass rate", "precision", "conflict",
)  # fmt: skip
_POOL = {"pool_passes": "{:.0f}", "pool_pass_rate": "{:.0%}", "pool_precision": "{:.0%}", "conflict_rate": "{:.0%}"}


def study_report(lines: Sequence[Line], starts: Sequence[str], methods: Sequence[str]) -> str:
    """Return one table a task and start, as Markdown.

    A row is a method: balanced accuracy by frame in per cent with its 95 % interval over patients, mean over the seeds;
    its standard deviation over seeds; the difference from labels only with a 95 % interval over seeds, Holm's p over
    the methods of the table, and the interval of the same difference over patients; what was taken from the pool.

    Args:
        lines: Lines of `results.jsonl`.
        starts: Starts in the order of the tables.
        methods: Methods in the order of the rows.
    """
    tasks = list(dict.fromkeys(task_group(line["task"]) for line in lines))
    parts = []
    for task in tasks:
        for start in starts:
            chosen = [line for line in lines if task_group(line["task"]) == task and line["start"] == start]
            if any(line["method"] == BASE for line in chosen):
                parts.append(f"### {task}, {start}\n\n{_table(chosen, methods)}")
    return "\n\n".join(parts)


def task_group(task: str) -> str:
    """Return the direction of a task, or the site whose folds are taken together.

    Examples:
        >>> task_group("avi, fold 3")
        'within avi'
    """
    site, fold, _ = task.partition(", fold ")
    return f"within {site}" if fold else task


def patient_counts(lines: Sequence[Line], patients: Sequence[str], classes: int = 2) -> dict[int, Floats]:
    """Return what each seed of one method got right, by patient and class.

    Args:
        lines: Lines of one task group, start and method; the folds of a seed are added.
        patients: Every patient who is tested, in the order of the counts.
        classes: Number of classes.

    Returns:
        For each seed float64 `(patients, classes, 2)`: right frames and all frames.
    """
    seeds: dict[int, Floats] = {}
    for line in lines:
        for clip in line.get("clips", []):
            counts = seeds.setdefault(line["seed"], np.zeros((len(patients), classes, 2)))
            counts[patients.index(clip["patient"]), clip["truth"]] += (clip["right"], clip["frames"])
    return seeds


def balanced(counts: Floats) -> Floats:
    """Return the mean recall in per cent, `(...)`, of right and all frames by class, `(..., classes, 2)`."""
    with np.errstate(invalid="ignore"):
        return np.asarray(100 * (counts[..., 0] / counts[..., 1]).mean(-1))


def patient_interval(counts: Sequence[Floats], base: Sequence[Floats] | None = None) -> tuple[float, float]:
    """Return the 95 % interval over patients of the mean over seeds, or of its difference from `base`.

    Every seed has the same patients, so one draw of patients counts for all of them.

    Args:
        counts: Of each seed, `(patients, classes, 2)`.
        base: The same of the method that is compared with.
    """
    weights = cluster_weights(len(counts[0]), REPLICATES, 0, "lung study")
    mean = np.mean([replicate(weights, seed, balanced) for seed in counts], axis=0)
    if base is not None:
        mean = mean - np.mean([replicate(weights, seed, balanced) for seed in base], axis=0)
    return percentile_interval(mean)


def _table(lines: Sequence[Line], methods: Sequence[str]) -> str:
    patients = sorted({clip["patient"] for line in lines for clip in line.get("clips", [])})
    counts = {name: patient_counts([line for line in lines if line["method"] == name], patients) for name in methods}
    whole = _whole_seeds(lines)
    scores = {
        name: {seed: float(balanced(table.sum(0))) for seed, table in seeds.items() if seed in whole[name]}
        for name, seeds in counts.items()
    }
    tests = paired_tests({
        name: {seed: score - scores[BASE][seed] for seed, score in by_seed.items() if seed in scores[BASE]}
        for name, by_seed in scores.items()
        if name != BASE and by_seed.keys() & scores[BASE].keys()
    })  # fmt: skip
    out = [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    for name in methods:
        if not scores[name]:
            continue
        shared = sorted(scores[name].keys() & scores[BASE].keys())
        tables = [counts[name][seed] for seed in shared]
        low, high = patient_interval(tables)
        cells = [
            f"{np.mean([scores[name][seed] for seed in shared]):.1f} ({low:.1f} to {high:.1f}), n = {len(shared)}",
            f"{np.std([scores[name][seed] for seed in shared], ddof=1):.1f}" if len(shared) > 1 else "",
        ]
        if name in tests:
            low, high = patient_interval(tables, [counts[BASE][seed] for seed in shared])
            cells += [str(tests[name].interval), f"{tests[name].p_holm:.3f}", f"{low:.1f} to {high:.1f}"]
        else:
            cells += ["", "", ""]
        cells += _pool_cells([line for line in lines if line["method"] == name])
        out.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(out)


def _whole_seeds(lines: Sequence[Line]) -> dict[str, set[int]]:
    """Return for each method the seeds of which every task of the group is finished and did not diverge."""
    tasks = {line["task"] for line in lines}
    whole: dict[str, set[int]] = {}
    for name in {line["method"] for line in lines}:
        finished: dict[int, set[str]] = {}
        for line in lines:
            if line["method"] == name and line["balanced_accuracy"] is not None:
                finished.setdefault(line["seed"], set()).add(line["task"])
        whole[name] = {seed for seed, of_seed in finished.items() if of_seed == tasks}
    return whole


def _pool_cells(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the mean over the runs of what was taken from the pool; empty for a method that reads none."""
    read = [line for line in lines if line["pool"]]
    cells = []
    for name, form in _POOL.items():
        values = [line[name] for line in read if line.get(name) is not None]
        cells.append(form.format(np.mean(values)) if values else "")
    return cells
