"""Evaluation and reports: runs to predictions, scores and pages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import MissingInputError
from heart2heart.progress import NoProgress, Progress, SubProgress

if TYPE_CHECKING:
    from heart2heart.schema.fold_metrics import FoldMetrics
    from heart2heart.schema.metrics import Metrics
    from heart2heart.schema.predictions import SiteInfo
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.training.run import Run


def evaluate(
    runs: str | Path | Run | Sequence[str | Path | Run],
    stores: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    command: str | None = None,
    split: str | Path | None = None,
    labels: str | Path | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    probes: bool = False,
    progress: Progress | None = None,
) -> Metrics:
    """Predict with every run, score every hospital, and write `predictions.parquet` and `metrics.json`.

    Args:
        runs: Runs or their folders, all trained on one split.
        stores: The stores of that split.
        out: Folder for the two files.
        command: What a reader can run to get the same. None says `heart2heart evaluate` and the names of the runs.
        split: The runs' split, if it is not where the first run's configuration says.
        labels: Label store, for the names of the raters.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        probes: Predict altered frames as well, for the shortcut probes.
        progress: Receives the percentage done.

    Returns:
        The scores, with intervals over patients.

    Raises:
        RunError: a run was trained on another split or geometry.
        LeakageError: a run was adapted to patients whom the split scores.

    Examples:
        >>> import heart2heart as h2h
        >>> metrics = h2h.evaluate("run", "store", "evaluation", replicates=200)
        >>> [(site.site, site.held_out) for site in metrics.sites]
        [('A', False), ('B', True)]
    """
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.schema.metrics_files import write_metrics
    from heart2heart.schema.predictions import Predictions
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.provenance import record_test_access, with_demographics
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.predict import add_altered_frames, check_run, predict_split
    from heart2heart.training.run import Run

    opened, folder = FrameStores.open(stores), Path(out)
    run_list = [runs] if isinstance(runs, str | Path | Run) else runs
    loaded = [run if isinstance(run, Run) else Run.load(run) for run in run_list]
    manifest = SplitManifest.load(split or loaded[0].config.data.split)
    for run in loaded:  # all of them before the first predicts for an hour
        check_run(run, opened, manifest)
    sites = describe_sites([store.root for store in opened.stores], manifest, labels)
    progress = progress or NoProgress()
    command = command or f"heart2heart evaluate {' '.join(run.path.name for run in loaded)}"
    parts = []
    for index, run in enumerate(loaded):
        part = SubProgress(progress, start=90 * index / len(loaded), span=90 / len(loaded), total=len(manifest.members))
        predictions = predict_split(run, opened, manifest, sites, command=command, progress=part)
        parts.append(add_altered_frames(predictions, opened, run.predict_at) if probes else predictions)
    together = record_test_access(with_demographics(Predictions.concat(parts), opened), manifest)
    together.write(folder / "predictions.parquet")
    metrics = evaluate_predictions(together, replicates=replicates, seed=seed, bca=bca)
    write_metrics(metrics, folder / "metrics.json")
    progress.update(100)
    return metrics


def describe_sites(
    stores: Sequence[Path], manifest: SplitManifest, labels: str | Path | None = None
) -> tuple[SiteInfo, ...]:
    """Describe every hospital of a split: its patients, its files by status, and its raters.

    Args:
        stores: The stores of the split.
        manifest: The split.
        labels: Label store, for the names of the raters.
    """
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.provenance import site_infos
    from heart2heart.store.frame_store import FrameStores

    files: dict[str, dict[str, int]] = {}
    for root in stores:
        with suppress(MissingInputError):  # a store that a plain image set filled has no ledger
            files |= Ledger(root).counts()
    events = LabelStore(labels).events() if labels else []
    return site_infos(FrameStores.open(stores), manifest, files=files, events=events)


def read_metrics(path: str | Path) -> Metrics:
    """Read the scores of an evaluation, `metrics.json`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: another schema version.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.read_metrics("evaluation/metrics.json")
        <Metrics: labels only at A, B>
    """
    from heart2heart.schema.metrics_files import read_metrics

    return read_metrics(Path(path))


def summary_table(metrics: Metrics) -> str:
    """Return the scores of every hospital and method as a text table.

    Examples:
        >>> import heart2heart as h2h
        >>> print(h2h.summary_table(h2h.read_metrics("evaluation/metrics.json")).splitlines()[0].split()[:3])
        ['hospital', 'patients', 'labels']
    """
    from heart2heart.reporting.summary import summary_table

    return summary_table(metrics)


@dataclass(frozen=True)
class Report:
    """A report on disk.

    Attributes:
        path: The HTML page; the model card and the checklists are in the same folder.
        metrics: The scores that it shows.
        table: The scores as a text table.
    """

    path: Path
    metrics: Metrics
    table: str

    def __repr__(self) -> str:
        """Return the name of the page and its scores in one line."""
        return f"<Report({self.path.name!r}): {self.metrics!r}>"

    def _repr_html_(self) -> str:
        """Return a link to the page and the scores, for a notebook."""
        name = escape(str(self.path))
        return f'<p>Report: <a href="{name}">{name}</a></p>{self.metrics._repr_html_()}'


def report(
    predictions: str | Path,
    out: str | Path = "report.html",
    *,
    folds: str | Path | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
) -> Report:
    """Write the cross-hospital report, recomputed from the predictions alone.

    Args:
        predictions: `predictions.parquet` of an evaluation, or its folder.
        out: HTML file; the model card and the checklists are written beside it.
        folds: `folds.json` of several splits, shown as well.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.report("evaluation", "report.html", replicates=200)
        <Report('report.html'): <Metrics: labels only at A, B>>
    """
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.metrics_files import read_folds
    from heart2heart.schema.predictions import Predictions

    file = Path(predictions)
    content = Predictions.read(file / "predictions.parquet" if file.is_dir() else file)
    several = read_folds(Path(folds)) if folds else None
    metrics = evaluate_predictions(content, replicates=replicates, seed=seed, bca=bca)
    return Report(write_report(content, metrics, Path(out), folds=several), metrics, summary_table(metrics))


def evaluate_splits(
    predictions: Sequence[str | Path],
    out: str | Path = "folds.json",
    *,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
) -> FoldMetrics:
    """Summarise and compare methods over several splits: folds, or each hospital left out in turn.

    Args:
        predictions: `predictions.parquet` of each split.
        out: JSON file to write.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
    """
    from heart2heart.evaluation.cross_split import evaluate_folds
    from heart2heart.schema.metrics_files import write_folds
    from heart2heart.schema.predictions import Predictions

    parts = [Predictions.read(Path(path)) for path in predictions]
    metrics = evaluate_folds(parts, replicates=replicates, seed=seed, bca=bca)
    write_folds(metrics, Path(out))
    return metrics


@dataclass(frozen=True)
class ComparisonReport:
    """A report that compares methods over splits.

    Attributes:
        path: The HTML page.
        summary: Its first sentences.
        synthetic: Whether a hospital is simulated.
    """

    path: Path
    summary: str
    synthetic: bool


def compare(folds: str | Path, out: str | Path = "comparison.html") -> ComparisonReport:
    """Write the report that compares several methods across hospitals, from `folds.json` alone.

    Args:
        folds: What `evaluate_splits` wrote.
        out: HTML file to write.
    """
    from heart2heart.reporting.comparison import write_comparison
    from heart2heart.reporting.comparison_sentences import comparison_headline
    from heart2heart.schema.metrics_files import read_folds

    metrics = read_folds(Path(folds))
    return ComparisonReport(write_comparison(metrics, Path(out)), comparison_headline(metrics), metrics.synthetic)
