"""Certified predictions of a frozen model, a run or an exported file, at the hospitals of a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import heart2heart
from heart2heart.api.frozen_models import load_frozen, model_sha256
from heart2heart.api.shown_frames import without_text
from heart2heart.errors import ConfigError, Heart2HeartError, MissingInputError, RunError
from heart2heart.evaluation.table_predictions import NO_SPLIT
from heart2heart.export.exported_model import ExportedModel
from heart2heart.ingest.ledger import Ledger
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.task_labels import task_events
from heart2heart.progress import Progress, SubProgress
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.flags_rule import FlagsRule
from heart2heart.schema.predictions import Predictions, Provenance
from heart2heart.schema.redaction import recode_names
from heart2heart.schema.split import SplitInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference
from heart2heart.splits.provenance import record_test_access, site_info, with_demographics
from heart2heart.splits.validation import (
    certify_validation,
    scored_members,
    validation_members,
    with_certificate,
)
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.predict_rows import predict_rows
from heart2heart.training.run import Run
from heart2heart.training.unscored_frames import require_run_split

Paths = str | Path | Sequence[str | Path]


def certified_frames(
    model: str | Path | Run,
    store: Paths,
    labels: str | Path | LabelStore,
    *,
    sites: Sequence[str],
    split: str | Path | None,
    train_stores: Paths,
    leave_out_seen: bool,
    task: str,
    rule: str,
    command: str,
    progress: Progress,
    key: bytes | None = None,
    flags: FlagsRule | None = None,
) -> Predictions:
    """Predict the labeled frames of the hospitals with a frozen model and certify the predictions.

    Where the training split and its stores are at hand, its validation frames and the test frames of its sources are
    predicted too: they give the temperature, and the accuracy at the source to compare with.

    Args:
        model: See `api.validation.validate`, as for all that follow.
        store: The stores.
        labels: The label store.
        sites: The hospitals.
        split: The training split.
        train_stores: The stores of that split.
        leave_out_seen: Leave out patients whom the model has seen.
        task: Noun of what the classes are.
        rule: How a clip's events become one label.
        command: The command line, for the record.
        progress: Receives the percentage done, up to 90.
        key: Replaces the names of patients, studies, clips and frames by codes; None keeps the names.
        flags: The flags rule.

    Examples:
        >>> from heart2heart.progress import NoProgress
        >>> options = {"split": None, "train_stores": (), "leave_out_seen": False, "task": "view", "rule": "latest"}
        >>> options |= {"sites": ["B"], "command": "example", "progress": NoProgress()}
        >>> certified_frames("run", "store", "labels.db", **options).provenance.validation.sites
        ('B',)
    """
    frozen, opened = load_frozen(model), FrameStores.open(store)
    if frozen.geometry != opened.geometry:
        what = f"this model takes frames of {frozen.geometry}, the stores hold {opened.geometry}"
        raise RunError(what, where=str(model), remedy="Ingest the hospital with the model's geometry")
    reference = training_reference(frozen, opened, split, train_stores)
    book = labels if isinstance(labels, LabelStore) else LabelStore(labels)
    events = book.events()
    members = validation_members(
        opened,
        frame_labels(task_events(book, frozen.classes), opened.frames, rule),
        sites,
        reference=reference,
        leave_out_seen=leave_out_seen,
        flags=flags,
    )
    validated = sorted(set(members["site"].to_pylist()))
    manifest = reference.split
    source_sites = () if manifest is None else manifest.source_sites
    files = _ledger_counts(opened)
    infos = [
        site_info(site, opened, members, held_out=site not in source_sites, files=files.get(site, {}), events=events)
        for site in validated
    ]
    rows = scored_members(members)
    parts = [_predict(frozen, opened, rows, SubProgress(progress, start=0, span=60, total=len(rows)))]
    if manifest is not None and reference.stores is not None and manifest.classes == frozen.classes:
        manifest.require_certified()
        source = _source_rows(manifest, validated)
        shown = SubProgress(progress, start=60, span=30, total=len(source))
        parts.insert(0, _predict(frozen, reference.stores, source, shown))
        files = _ledger_counts(reference.stores)
        infos = [
            site_info(site, reference.stores, manifest.members, held_out=False, files=files.get(site, {}))
            for site in source_sites
            if site not in validated
        ] + infos
    held_out = tuple(site for site in validated if site not in source_sites)
    provenance = Provenance(
        code_version=heart2heart.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        classes=frozen.classes,
        geometry=str(opened.geometry),
        split=SplitInfo(
            name=NO_SPLIT if manifest is None else manifest.name,
            sha256="",
            certificate_sha256="",
            source_sites=tuple(source_sites),
            held_out_sites=held_out,
            checks=(),
            flags_rule=flags,
        ),
        sites=tuple(infos),
        runs=(frozen.info(),),
        task=task,
    )
    predictions = Predictions.concat([Predictions(pa.concat_tables(parts), provenance)])
    every = _all_stores(opened, reference.stores)
    predictions = without_text(with_demographics(predictions, every), every)
    if key is not None:
        predictions = recode_names(predictions, key)
    certificate = certify_validation(
        predictions, rows, opened, reference, sites=validated, model_sha256=model_sha256(frozen)
    )
    certified = with_certificate(predictions, certificate)
    if manifest is None or len(parts) == 1:
        return certified
    logged = record_test_access(certified, manifest)
    # The log is that of the source's test frames: it does not tell when the validated frames were first looked at.
    own = logged.provenance.split.model_copy(update={"first_test_access": None})
    return replace(logged, provenance=logged.provenance.model_copy(update={"split": own}))


def _predict(frozen: Run | ExportedModel, stores: FrameStores, members: pa.Table, progress: Progress) -> pa.Table:
    rows = stores.frames["row"].take(pc.index_in(members["frame"], stores.frames["frame"]))
    targets = pc.fill_null(pc.index_in(members["view"], pa.array(frozen.classes, pa.string())), -1)
    positions, classes = rows.to_numpy().astype(np.int64), targets.to_numpy().astype(np.int64)
    return predict_rows(frozen, stores, positions, members, classes, progress)


def _source_rows(manifest: SplitManifest, validated: Sequence[str]) -> pa.Table:
    """Return the labeled validation frames of the sources, and the test frames of those that are not validated."""
    members = manifest.members
    labeled = members.filter(
        pc.and_(pc.is_valid(members["view"]), pc.is_in(members["site"], pa.array(manifest.source_sites, pa.string())))
    )
    again = pc.is_in(labeled["site"], pa.array(validated, pa.string()))
    is_test = pc.and_(pc.equal(labeled["role"], SplitRole.TEST), pc.invert(again))
    return labeled.filter(pc.or_(pc.equal(labeled["role"], SplitRole.VALIDATION), is_test))


def _all_stores(opened: FrameStores, training: FrameStores | None) -> FrameStores:
    """Return the stores of the validated and of the training frames, each once."""
    stores = [*opened.stores, *(training.stores if training is not None else [])]
    return FrameStores(list({store.root.resolve(): store for store in stores}.values()))


def _ledger_counts(stores: FrameStores) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for store in stores.stores:
        with suppress(MissingInputError):  # a store that a plain image set filled has no ledger
            counts |= Ledger(store.root).counts()
    return counts


def training_reference(
    frozen: Run | ExportedModel, opened: FrameStores, split: str | Path | None, train_stores: Paths
) -> TrainingReference:
    """Return what is at hand of a model's training.

    Args:
        frozen: The model.
        opened: The validated stores, which may hold the training frames as well.
        split: The training split; None: where the run's configuration says.
        train_stores: The stores of the split; empty: where the run's configuration says, or the validated stores.

    Raises:
        SplitError: the named split is not the model's, or the named stores do not hold it.
        ConfigError: stores without a split.

    Examples:
        >>> run, stores = load_frozen("run"), FrameStores.open("store")
        >>> training_reference(run, stores, None, ()).training_data
        <TrainingData.COMPARED: 'compared'>
    """
    roots = [train_stores] if isinstance(train_stores, str | Path) else list(train_stores)
    recorded = frozen.split_sha256 if isinstance(frozen, ExportedModel) else frozen.directory.record.split_sha256
    manifest = None
    if split is not None:
        manifest = SplitManifest.load(split)
        if recorded is not None:
            require_run_split(manifest, recorded)
    elif isinstance(frozen, Run):
        with suppress(Heart2HeartError):  # the split may have moved, and another may be there now
            own = frozen.load_split()
            manifest = own if own.sha256 == recorded else None
    if roots and manifest is None:
        what = "--train-store needs the training split, which is not at hand"
        raise ConfigError(what, remedy="Name its folder with --split")
    stores = None if manifest is None else _training_stores(manifest, frozen, opened, roots)
    patients, hashes, note = _adaptation(frozen)
    reference = TrainingReference(manifest, stores, recorded is None, patients, hashes)
    return reference if note is None else TrainingReference(manifest, stores, recorded is None, None, (), note)


def _training_stores(
    manifest: SplitManifest, frozen: Run | ExportedModel, opened: FrameStores, roots: list[str | Path]
) -> FrameStores | None:
    if roots:
        stores = FrameStores.open(roots)
        manifest.check_data(stores)
        return stores
    candidates = [opened]
    if isinstance(frozen, Run):
        with suppress(Heart2HeartError):  # the stores may have moved
            candidates.insert(0, FrameStores.open(list(frozen.config.data.stores)))
    for stores in candidates:
        with suppress(Heart2HeartError):  # other clips are there now
            manifest.check_data(stores)
            return stores
    return None


def _adaptation(frozen: Run | ExportedModel) -> tuple[tuple[str, ...] | None, tuple[str, ...], str | None]:
    """Return patients and pixel hashes that adapted a model; or why they are unknown."""
    if isinstance(frozen, Run):
        adaptation = frozen.directory.record.adaptation
        return ((), (), None) if adaptation is None else (adaptation.patients, adaptation.pixel_hashes, None)
    if frozen.adapted_at:
        return None, (), f"not compared: the file does not list the patients who adapted it at {frozen.adapted_at}"
    if frozen.adapted_at is None:
        return None, (), "not compared: whether the model was adapted to patients is not recorded"
    return (), (), None
