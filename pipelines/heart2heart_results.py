"""From the predictions of all runs to folds.json, the comparison report and a report a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart import __version__
from heart2heart.errors import RunError
from heart2heart.files import read_json, sha256_json, write_json, write_text
from heart2heart.progress import Progress, stage
from pipelines.heart2heart_jobs import FOLDS, WAYS, Job, Study

if TYPE_CHECKING:
    from heart2heart.predictions import Predictions


def lines(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return the results that are there, in the order of the jobs."""
    return [line for line in (job.result() for job in jobs) if line is not None]


def write_lines(study: Study) -> None:
    """Write `results.jsonl`, one line a run, from what the folders of all runs hold, also of other folds and ways."""
    found = lines(replace(study, folds=FOLDS, ways=WAYS).jobs())
    write_text(study.out / "results.jsonl", "".join(json.dumps(line, sort_keys=True) + "\n" for line in found))


def publish(study: Study, *, replicates: int, seed: int, each: bool = True) -> Path:
    """Score every fold, take the folds together, and write all reports; what is up to date is left alone.

    Args:
        study: A study whose runs are all done.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        each: Write a report a run too.

    Returns:
        The comparison report.

    Raises:
        RunError: a run's predictions are of another split, or every run of a fold diverged.
    """
    out = study.out / "evaluation"
    report = study.out / "comparison.html"
    results = lines(study.jobs())
    made_of = sha256_json([__version__, replicates, seed, each, results])
    marker = out / "finished.json"
    if marker.exists() and read_json(marker, what="evaluation")["made_of"] == made_of and report.exists():
        return report
    with stage("evaluate and report", 100) as progress:
        _publish(study, report, replicates, seed, each, progress)
    write_json(marker, {"made_of": made_of})
    return report


def _publish(study: Study, report: Path, replicates: int, seed: int, each: bool, progress: Progress) -> None:
    from heart2heart.evaluate import evaluate_folds, evaluate_predictions, write_folds, write_metrics
    from heart2heart.predictions import Predictions
    from heart2heart.provenance import record_test_access
    from heart2heart.report import write_comparison, write_report
    from heart2heart.splits import SplitManifest

    whole, done, total = [], 0, len(study.jobs()) + len(study.folds)
    for fold in study.folds:
        split = SplitManifest.load(study.split(fold))
        parts = [_read(job, split.sha256) for job in study.jobs() if job.fold == fold and not _diverged(job)]
        if not parts:
            remedy = "Lower optimiser.lr by --override, in another --out"
            raise RunError(f"every run of fold {fold} diverged", where=study.out, remedy=remedy)
        found = record_test_access(Predictions.concat(parts), split)
        folder = study.out / "evaluation" / f"fold{fold}"
        found.write(folder / "predictions.parquet")
        write_metrics(evaluate_predictions(found, replicates=replicates, seed=seed), folder / "metrics.json")
        whole.append(found)
        reference = found.provenance.runs[0].run
        for run in found.provenance.runs if each else ():
            mine = only(found, [reference] if run.run == reference else [reference, run.run])
            metrics = evaluate_predictions(mine, replicates=replicates, seed=seed)
            write_report(mine, metrics, study.out / "reports" / f"fold{fold}" / run.run / "report.html")
            done += 1
            progress.update(100 * done // total, f"fold {fold}")
    folds = evaluate_folds(whole, replicates=replicates, seed=seed)
    write_folds(folds, study.out / "folds.json")
    write_comparison(folds, report)


def only(found: Predictions, runs: Sequence[str]) -> Predictions:
    """Return the predictions of some runs alone."""
    table = found.table.filter(pc.is_in(found.table["run"], pa.array(list(runs), pa.string())))
    kept = tuple(run for run in found.provenance.runs if run.run in runs)
    return replace(found, table=table, provenance=found.provenance.model_copy(update={"runs": kept}))


def _read(job: Job, split: str) -> Predictions:
    from heart2heart.predictions import Predictions

    found = Predictions.read(job.predictions)
    if found.provenance.split.sha256 != split:
        remedy = "Remove its result.json and run the same command again: it is then predicted anew"
        raise RunError("these predictions are of another split", where=job.predictions, remedy=remedy)
    return found


def _diverged(job: Job) -> bool:
    line = job.result()
    return line is not None and bool(line["diverged"])
