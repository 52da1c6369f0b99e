"""Turns the predictions of all runs into folds.json, the comparison report, and one report for each run."""

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
from heart2heart.progress import Progress, progress_bar
from heart2heart.utils import read_json, sha256_json, write_json, write_text
from pipelines.heart2heart_runs import FOLDS, VARIANTS, BenchmarkRun, BenchmarkStudy

if TYPE_CHECKING:
    from heart2heart.schema.predictions import Predictions


def finished_results(jobs: Sequence[BenchmarkRun]) -> list[dict[str, Any]]:
    """Return the results of finished jobs, in the order of the jobs."""
    return [line for line in (job.result() for job in jobs) if line is not None]


def write_results(study: BenchmarkStudy) -> None:
    """Write `results.jsonl`, one line for each run, from the folders of all runs, also of other folds and ways."""
    results = finished_results(replace(study, folds=FOLDS, variants=VARIANTS).runs())
    write_text(study.out / "results.jsonl", "".join(json.dumps(line, sort_keys=True) + "\n" for line in results))


def write_reports(study: BenchmarkStudy, *, replicates: int, seed: int, each: bool = True) -> Path:
    """Score every fold, combine the folds, and write all reports; files that are up to date are not rewritten.

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
    results = finished_results(study.runs())
    made_of = sha256_json([__version__, replicates, seed, each, results])
    marker = out / "finished.json"
    if marker.exists() and read_json(marker, what="evaluation")["made_of"] == made_of and report.exists():
        return report
    with progress_bar("evaluate and report", 100) as progress:
        _write_reports(study, report, replicates, seed, each, progress)
    write_json(marker, {"made_of": made_of})
    return report


def _write_reports(
    study: BenchmarkStudy, report: Path, replicates: int, seed: int, each: bool, progress: Progress
) -> None:
    from heart2heart.evaluation.cross_split import evaluate_folds
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.reporting.comparison import write_comparison
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.metrics_files import write_folds, write_metrics
    from heart2heart.schema.predictions import Predictions
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.provenance import record_test_access

    fold_predictions, done, total = [], 0, len(study.runs()) + len(study.folds)
    for fold in study.folds:
        split = SplitManifest.load(study.split(fold))
        parts = [
            _read_predictions(job, split.sha256) for job in study.runs() if job.fold == fold and not _diverged(job)
        ]
        if not parts:
            remedy = "Lower optimiser.lr by --override, in another --out"
            raise RunError(f"every run of fold {fold} diverged", where=study.out, remedy=remedy)
        predictions = record_test_access(Predictions.concat(parts), split)
        folder = study.out / "evaluation" / f"fold{fold}"
        predictions.write(folder / "predictions.parquet")
        write_metrics(evaluate_predictions(predictions, replicates=replicates, seed=seed), folder / "metrics.json")
        fold_predictions.append(predictions)
        reference = predictions.provenance.runs[0].run
        for run in predictions.provenance.runs if each else ():
            compared = select_runs(predictions, [reference] if run.run == reference else [reference, run.run])
            metrics = evaluate_predictions(compared, replicates=replicates, seed=seed)
            write_report(compared, metrics, study.out / "reports" / f"fold{fold}" / run.run / "report.html")
            done += 1
            progress.update(100 * done // total, f"fold {fold}")
    folds = evaluate_folds(fold_predictions, replicates=replicates, seed=seed)
    write_folds(folds, study.out / "folds.json")
    write_comparison(folds, report)


def select_runs(predictions: Predictions, runs: Sequence[str]) -> Predictions:
    """Return the predictions of some runs only."""
    table = predictions.table.filter(pc.is_in(predictions.table["run"], pa.array(list(runs), pa.string())))
    kept = tuple(run for run in predictions.provenance.runs if run.run in runs)
    return replace(predictions, table=table, provenance=predictions.provenance.model_copy(update={"runs": kept}))


def _read_predictions(job: BenchmarkRun, split: str) -> Predictions:
    from heart2heart.schema.predictions import Predictions

    predictions = Predictions.read(job.predictions)
    if predictions.provenance.split.sha256 != split:
        remedy = "Remove its result.json and run the same command again: it is then predicted anew"
        raise RunError("these predictions are of another split", where=job.predictions, remedy=remedy)
    return predictions


def _diverged(job: BenchmarkRun) -> bool:
    line = job.result()
    return line is not None and bool(line["diverged"])
