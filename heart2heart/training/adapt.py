"""Adapts a finished run to one hospital with that hospital's unlabeled frames, and joins predictions of adapted runs.

The weights stay those of the source, except in batch normalisation. `unscored_frames` chooses the patients,
`adaptation_steps` adapts and decides, and this module writes the result as a run of its own. A run that was adapted at
several hospitals counts as one model: `join_adapted` joins its predictions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import ExistsError, RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.adaptation import AdaptationRecord, AdaptationSettings
from heart2heart.schema.predictions import Predictions, RunInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training import checkpoint
from heart2heart.training.adaptation_priors import (
    LogitAdjustment,
    TemperatureFit,
    adjust_to_labels,
    adjust_to_predictions,
    draw_labeled_clips,
)
from heart2heart.training.adaptation_statistics import batch_norm_layers
from heart2heart.training.adaptation_steps import Adaptation
from heart2heart.training.derived_networks import adapted_checkpoint
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.unscored_frames import AdaptationFrames
from heart2heart.utils import sha256_file, sha256_json, write_text


def join_adapted(parts: Sequence[Predictions], records: Sequence[AdaptationRecord | None]) -> list[Predictions]:
    """Join the predictions of runs that were adapted from the same weights, in the same way, at different hospitals.

    The result is what a user of the model sees: at each hospital the predictions of the run that was adapted there, and
    elsewhere those of the run that was not. Other parts stay as they are.

    Args:
        parts: The predictions of one run each.
        records: How each run was adapted; None for a run that was not.

    Returns:
        The parts in their order; a joined part has the place of its first run.

    Raises:
        RunError: two runs were adapted from the same weights, in the same way, at the same hospital.
    """
    groups: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        groups.setdefault(f"run {position}" if record is None else _way(record), []).append(position)
    return [_join([parts[index] for index in group], [records[index] for index in group]) for group in groups.values()]


def _way(record: AdaptationRecord) -> str:
    """Return the hash of the weights that were adapted, and of how."""
    return sha256_json([record.source_weights_sha256, record.settings.model_dump(mode="json")])


def _join(parts: Sequence[Predictions], records: Sequence[AdaptationRecord | None]) -> Predictions:
    adapted = [record for record in records if record is not None]
    if len(adapted) < 2:
        return parts[0]
    sites = [record.site for record in adapted]
    if len(set(sites)) < len(sites):
        names = ", ".join(part.provenance.runs[0].run for part in parts)
        raise RunError(
            "a run was adapted twice at one hospital in the same way", where=names, remedy="Name one of them"
        )
    first = parts[0]
    elsewhere = pc.invert(pc.is_in(first.table["site"], pa.array(sites, pa.string())))
    tables = [first.table.filter(elsewhere)]
    tables += [part.table.filter(pc.equal(part.table["site"], site)) for part, site in zip(parts, sites, strict=True)]
    info = _joined_info(first.provenance.runs[0], adapted)
    table = pa.concat_tables(tables)
    names = pa.array([info.run] * len(table), pa.string())
    table = table.set_column(table.schema.get_field_index("run"), table.schema.field("run"), names)
    return replace(first, table=table, provenance=first.provenance.model_copy(update={"runs": (info,)}))


def _joined_info(info: RunInfo, records: Sequence[AdaptationRecord]) -> RunInfo:
    """Return the facts of the joined run: those of the first, with all hospitals."""
    one, sites = records[0], sorted(record.site for record in records)
    suffix = f"at {one.site}"
    title = f"{info.method.removesuffix(suffix)}at {', '.join(sites)}"
    method = f"{one.method.removesuffix(f' of {one.site}')} of each hospital"
    changes = {"run": f"{one.source_run}_adapted", "method": title}
    return info.model_copy(update=changes | {"facts": info.facts.model_copy(update={"adaptation": method})})


def adapt_run(
    run: Run,
    frames: AdaptationFrames,
    split: SplitManifest,
    out: str | Path,
    settings: AdaptationSettings,
    *,
    store_digest: str,
    labels: Mapping[str, str] | None = None,
    fit_temperature: TemperatureFit | None = None,
    progress: Progress | None = None,
) -> Run:
    """Adapt a finished run to a hospital, and write the result as a run of its own.

    Args:
        run: The run; it stays as it is.
        frames: Frames of patients who are never scored.
        split: The run's split, for the views among its training labels.
        out: Folder of the new run.
        settings: How to adapt.
        store_digest: Digest of the store with the frames, for the record.
        labels: View by frame, of which `settings.shots` clips are used.
        fit_temperature: Fits the temperature to labels.
        progress: Receives the percentage done.

    Returns:
        The new run. Where a check says that adapted statistics would do harm, it has the source's.

    Raises:
        ExistsError: something is in the folder.
        RunError: the run is adapted already or takes other frames, its network has no batch normalisation and nothing
            else was asked for, or no label is among the frames.
    """
    started = time.monotonic()
    folder = Path(out)
    check_adaptable(run, frames, folder, settings)
    progress = progress or NoProgress()
    adaptation = Adaptation(run, frames, split, settings, progress)
    statistics = adaptation.adapt_statistics()
    adjustment = _adjust_logits(adaptation, labels or {}, fit_temperature)
    record = AdaptationRecord(
        site=frames.site,
        settings=settings,
        source_run=run.name,
        source_weights_sha256=sha256_file(run.directory.best_checkpoint),
        store_digest=store_digest,
        chosen_by=frames.patients.chosen_by,
        patients=tuple(sorted(set(frames.owners))),
        reserved_patients=frames.patients.reserved,
        pixel_hashes=frames.pixel_hashes(),
        clips=len(set(frames.table["clip"].to_pylist())),
        frames=len(frames.table),
        layers=len(batch_norm_layers(adaptation.network)),
        kept_source=statistics.kept_source,
        statistics=statistics.method,
        outcome=statistics.outcome(frames.site),
        checks=statistics.checks,
        effective_patients=statistics.estimate.patients if statistics.estimate else 0.0,
        weight=statistics.weight(settings),
        passes=statistics.estimate.passes if statistics.estimate else 0,
        last_change=statistics.estimate.change if statistics.estimate else 0.0,
        trained_shares=adaptation.named(adaptation.trained),
        estimated_shares=adaptation.named(adaptation.estimated),
        before=statistics.before,
        after=statistics.after,
        confident_disagreement=statistics.disagreement,
        labels=adjustment.labels,
        temperature=adjustment.temperature,
        logit_offset=adjustment.offset,
        seconds=round(time.monotonic() - started, 2),
    )
    _write_run(run, folder, adaptation, record)
    progress.update(100)
    return Run.load(folder, device=str(run.device))


def check_adaptable(run: Run, frames: AdaptationFrames, out: Path, settings: AdaptationSettings) -> None:
    """Refuse what cannot be adapted, before anything is computed.

    Raises:
        ExistsError, RunError: see `adapt_run`.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExistsError("something is here already", where=out, remedy="Name another folder")
    if run.directory.record.adaptation is not None:
        remedy = "Adapt the run that it was made from"
        raise RunError(f"this run is adapted to {run.directory.record.adaptation.site}", where=run.path, remedy=remedy)
    if run.geometry != frames.store.geometry:
        what = f"this run takes frames of {run.geometry}, the store holds {frames.store.geometry}"
        raise RunError(what, where=run.path, remedy="Ingest the hospital's clips with the run's geometry")
    if not batch_norm_layers(run.network):
        name = run.config.network.name
        if settings.entropy_steps:
            what = f"{name} has no batch normalisation, so entropy minimisation has nothing to change"
            raise RunError(what, where=run.path, remedy="Leave out --entropy-steps")
        if not settings.correct_prior and not settings.shots:
            remedy = "Only the shares of the views (--correct-prior) and labels (--labels, --shots) can adapt it"
            what = f"{name} has no batch normalisation with recorded statistics, so there is nothing to estimate"
            raise RunError(what, where=run.path, remedy=remedy)


def _adjust_logits(
    adaptation: Adaptation, labels: Mapping[str, str], fit_temperature: TemperatureFit | None
) -> LogitAdjustment:
    settings, frames = adaptation.settings, adaptation.frames
    if settings.shots:
        assert fit_temperature is not None
        labeled = draw_labeled_clips(frames, labels, adaptation.run.classes, settings.shots, settings.seed)
        return adjust_to_labels(adaptation.logits(), labeled, adaptation.assumed, fit_temperature)
    if settings.correct_prior:
        patients = len(set(frames.owners))
        return adjust_to_predictions(
            adaptation.logits(), adaptation.assumed, adaptation.patient_weights, patients, settings.prior_patients
        )
    return LogitAdjustment()


def _write_run(run: Run, folder: Path, adaptation: Adaptation, record: AdaptationRecord) -> None:
    """Write the new run; its record comes last, so that a folder with a record is whole."""
    source = run.directory
    run_record = source.record.model_copy(
        update={
            "adaptation": record,
            "config_sha256": sha256_json(
                [source.record.config_sha256, record.settings.model_dump(mode="json"), record.site]
            ),
            "notes": (*source.record.notes, f"adaptation: {record.outcome}"),
        }
    )
    directory = RunDirectory(folder, source.config, run_record)
    source.config.save(folder / "config.yaml")
    weights = checkpoint.load(source.best_checkpoint)["weights"]
    checkpoint.save(
        directory.best_checkpoint, adapted_checkpoint(weights, adaptation.network, run_record.selected_step)
    )
    if source.metrics.path.exists():
        write_text(directory.metrics.path, source.metrics.path.read_text(encoding="utf-8"))
    directory.update()
