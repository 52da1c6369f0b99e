"""Evaluation and reports: runs to predictions, scores and pages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.progress import NoProgress, Progress, SubProgress
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.schema.metrics import Metrics
    from heart2heart.schema.predictions import SiteInfo
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.training.run import Run


@audited(AuditAction.EVALUATE, beside="out", reads=["runs", "stores"], writes=["out"])
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
    stress: bool | Sequence[str] = False,
    stress_levels: Sequence[float] | None = None,
    margin: str | Path | None = None,
    saliency: bool = False,
    pictures: bool = True,
    pseudonyms: bool = True,
    release: str | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Predict with every run, score every hospital, and write `predictions.parquet` and `metrics.json`.

    Runs that were adapted from one run, each at another hospital, count as one model.

    Args:
        runs: Runs or their folders, all trained on one split.
        stores: The stores of that split.
        out: Folder for the two files.
        command: Command that repeats the evaluation. None gives `heart2heart evaluate` and the names of the runs.
        split: The split of the runs, if it has moved since the first run.
        labels: Label store, for the names of the raters and their agreement with each other and with the model
            (`readers.json`).
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        probes: Predict altered frames as well, for the probes of shortcuts.
        stress: Predict perturbed frames too: True for the usual kinds of perturbation, or their names.
        stress_levels: Levels of the perturbations, above 0 and at most 1; None takes four.
        margin: File of the largest acceptable loss, registered before (`register_margin`).
        saliency: Compute what the last method looked at in these pictures (`saliency.parquet`).
        pictures: Keep a few pictures for the report, of frames in which no burned-in text is suspected.
        pseudonyms: Keep the names of patients, studies, clips and frames; otherwise codes take their place.
        release: `counts` writes only `counts_HOSPITAL.json`, one a hospital, as `validate` does.
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
    from heart2heart.api.beside_predictions import write_readers, write_saliency
    from heart2heart.api.release import check_release, write_release
    from heart2heart.api.shown_frames import without_text
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.schema.margin import read_margin
    from heart2heart.schema.metrics_files import write_metrics
    from heart2heart.schema.predictions import Predictions
    from heart2heart.schema.redaction import new_key, recode_names, without_pictures
    from heart2heart.splits.provenance import record_test_access, with_demographics
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.adapt import join_adapted
    from heart2heart.training.predict import add_altered_frames, check_run, predict_split
    from heart2heart.training.run import Run
    from heart2heart.training.stress import STRESS_KINDS, STRESS_LEVELS, add_perturbed_frames, check_stress

    check_release(release)
    opened, folder = FrameStores.open(stores), Path(out)
    run_list = [runs] if isinstance(runs, str | Path | Run) else runs
    loaded = [run if isinstance(run, Run) else Run.load(run) for run in run_list]
    manifest = loaded[0].load_split(split)
    registered = read_margin(Path(margin)) if margin else None
    kinds = STRESS_KINDS if stress is True else tuple(stress or ())
    levels = STRESS_LEVELS if stress_levels is None else tuple(stress_levels)
    if kinds:
        check_stress(kinds, levels)
    for run in loaded:  # all of them before the first predicts for an hour
        check_run(run, opened, manifest)
    sites = describe_sites([store.root for store in opened.stores], manifest, labels)
    progress = progress or NoProgress()
    command = command or f"heart2heart evaluate {' '.join(run.name for run in loaded)}"
    parts = []
    for index, run in enumerate(loaded):
        part = SubProgress(progress, start=90 * index / len(loaded), span=90 / len(loaded), total=len(manifest.members))
        predictions = predict_split(run, opened, manifest, sites, command=command, progress=part)
        if probes:
            predictions = add_altered_frames(predictions, opened, run.predict_at)
        if kinds:
            predictions = add_perturbed_frames(predictions, opened, run.predict_at, kinds=kinds, levels=levels)
        parts.append(predictions)
    joined = join_adapted(parts, [run.directory.record.adaptation for run in loaded])
    together = record_test_access(with_demographics(Predictions.concat(joined), opened), manifest)
    if registered:
        provenance = together.provenance.model_copy(update={"margin": registered})
        together = replace(together, provenance=provenance)
    if release:
        return write_release(together, folder)
    named = without_text(together, opened) if pictures else without_pictures(together)
    together = named if pseudonyms else recode_names(named, new_key())
    together.write(folder / "predictions.parquet")
    metrics = evaluate_predictions(together, replicates=replicates, seed=seed, bca=bca)
    write_metrics(metrics, folder / "metrics.json")
    if labels:
        write_readers(named, labels, folder, metrics.predictions_sha256)
    if saliency:
        write_saliency(loaded, named, opened, folder, metrics.predictions_sha256)
    progress.update(100)
    return metrics


def parse_stress(kinds: str, levels: str) -> tuple[bool | tuple[str, ...], tuple[float, ...]]:
    """Read the kinds and levels of a stress test from text.

    Args:
        kinds: `all`, names separated by commas, or nothing for no stress test.
        levels: Numbers separated by commas.

    Raises:
        ConfigError: a level that is no number.

    Examples:
        >>> parse_stress("gain,shadow", "0.5,1")
        (('gain', 'shadow'), (0.5, 1.0))
    """
    try:
        numbers = tuple(float(level) for level in levels.split(","))
    except ValueError as error:
        what = f"{levels!r} is no list of levels"
        raise ConfigError(what, where="stress levels", remedy="Write numbers, such as 0.5,1") from error
    if kinds in ("", "all"):
        return kinds == "all", numbers
    return tuple(kind.strip() for kind in kinds.split(",")), numbers


def describe_sites(
    stores: Sequence[Path], manifest: SplitManifest, labels: str | Path | None = None
) -> tuple[SiteInfo, ...]:
    """Describe every hospital of a split: its patients, its files by status, and its raters.

    Args:
        stores: The stores of the split.
        manifest: The split.
        labels: Label store, for the names of the raters.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import describe_sites
        >>> [site.site for site in describe_sites(["store"], h2h.load_split("split"), "labels.db")]
        ['A', 'B']
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
        ['hospital', 'patients', 'method']
    """
    from heart2heart.reporting.score_table import summary_table

    return summary_table(metrics)
