"""The scope of a model: fitted at the source, and set again at a hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.api.audit import audited
from heart2heart.api.scope_clips import clip_features, source_clips, view_targets
from heart2heart.errors import RunError
from heart2heart.schema.enums import POOL_MODES, AuditAction, ClipMode

if TYPE_CHECKING:
    import pyarrow as pa

    from heart2heart.labels.label_store import LabelStore
    from heart2heart.scope.scope_model import ScopeModel
    from heart2heart.training.run import Run


@audited(AuditAction.EVALUATE, beside="run", reads=["run", "stores"])
def fit_scope(
    run: str | Path | Run,
    stores: str | Path | Sequence[str | Path] | None = None,
    *,
    split: str | Path | None = None,
    labels: str | Path | LabelStore | None = None,
    rule: str = "latest",
    **settings: Any,
) -> ScopeModel:
    """Fit the scope of a run on its source, and write it beside the run.

    The validation patients set the thresholds; clips of training patients are what features are compared with. Clips of
    training patients that are labeled with other views teach the scope what not to answer.

    Args:
        run: A run, or its folder.
        stores: Stores with the frames of the split; None takes those of the configuration.
        split: The split of the run, if it has moved.
        labels: Label store with the labels of other views; None: none are known.
        rule: How a clip's events become one label.
        settings: Fields of `ScopeSettings`, such as `keep=0.95` or `coverage=0.9`.

    Returns:
        The scope; the folder `scope` of the run holds it.

    Raises:
        ConfigError: a setting that does not exist.
        SplitError, StoreError: the data are not those of the run.
        EvaluationError: no labeled validation clip, or too few clips of other views for the score asked for.

    Examples:
        >>> from heart2heart.api.scope import fit_scope
        >>> scope = fit_scope("run", "store", split="split", keep=0.9)
        >>> scope.record.classes, sorted(scope.record.thresholds)[0].value
        (('PLAX', 'PSAX', 'A4C', 'A2C'), 'energy')
    """
    from heart2heart.api.frozen_models import model_sha256
    from heart2heart.schema.scope import SCOPE_FOLDER, ScopeSettings, answered_classes
    from heart2heart.scope.fit import fit_scope
    from heart2heart.scope.scope_files import write_scope
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.run import Run
    from heart2heart.training.unscored_frames import require_run_split

    model = run if isinstance(run, Run) else Run.load(run)
    chosen = ScopeSettings.parse(settings, where="scope settings")
    manifest = model.load_split(split)
    require_run_split(manifest, model.directory.record.split_sha256)
    paths = model.config.data.stores if stores is None else stores
    opened = FrameStores.open([paths] if isinstance(paths, str | Path) else list(paths))
    classes = answered_classes(model.classes)
    views = None if labels is None else _frame_views(labels, opened.frames, model.classes, rule)
    labeled, reference, copies = source_clips(replace(model, adapted=False), opened, manifest, views)
    modes = manifest.settings.get("modes", POOL_MODES)
    scope = fit_scope(
        labeled, reference, copies, classes=classes, modes=[ClipMode(each) for each in modes],
        weights_sha256=model_sha256(model), settings=chosen,
    )  # fmt: skip
    return write_scope(scope, model.path / SCOPE_FOLDER)


@audited(AuditAction.EVALUATE, beside="run", reads=["run", "store"])
def reset_scope(
    run: str | Path | Run,
    store: str | Path,
    *,
    site: str | None = None,
    labels: str | Path | LabelStore | None = None,
    patients: Sequence[str] = (),
    rule: str = "latest",
) -> ScopeModel:
    """Set the scope of a run again at a hospital, with its unlabeled clips and, if there are any, labeled ones.

    The scope beside the run is replaced; `fit_scope` brings that of the source back. Do not score the run on the
    patients that set it.

    Args:
        run: A run with a scope, or its folder.
        store: The store with the clips of the hospital.
        site: The hospital, where the store holds several.
        labels: Label store; None keeps the thresholds of the source.
        patients: Pseudonyms of the patients to take; empty: all.
        rule: How a clip's events become one label.

    Raises:
        MissingInputError: the run has no scope.
        RunError: no such hospital, or frames of another geometry.
        EvaluationError: no clip in the modes of the model.

    Examples:
        >>> from heart2heart.api.scope import fit_scope, reset_scope
        >>> source = fit_scope("run", "store", split="split")
        >>> reset_scope("run", "store", site="B").record.site
        'B'
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from heart2heart.schema.scope import SCOPE_FOLDER, answered_classes
    from heart2heart.scope.scope_files import read_scope, write_scope
    from heart2heart.scope.scope_model import reset_scope
    from heart2heart.store.frame_store import FrameStore
    from heart2heart.training.run import Run
    from heart2heart.training.unscored_frames import choose_site

    model = run if isinstance(run, Run) else Run.load(run)
    scope, opened = read_scope(model.path / SCOPE_FOLDER), FrameStore.open(store)
    if opened.geometry != model.geometry:
        what = f"this run takes frames of {model.geometry}, the store holds {opened.geometry}"
        raise RunError(what, where=store, remedy=f"Ingest with the geometry {model.geometry}")
    name = choose_site(opened, site)
    frames = opened.frames
    kept = pc.and_(pc.equal(frames["site"], name), pc.is_in(frames["mode"], pa.array(scope.record.modes, pa.string())))
    if patients:
        kept = pc.and_(kept, pc.is_in(frames["patient"], pa.array(list(patients), pa.string())))
    frames = frames.filter(kept)
    targets = np.full(len(frames), -1, np.int64)
    if labels is not None:
        views = _frame_views(labels, frames, model.classes, rule)
        targets = view_targets(frames["frame"].to_pylist(), views, answered_classes(model.classes))
    clips = clip_features(
        model, opened, frames["row"].to_numpy().astype(np.int64), frames["clip"].to_numpy(zero_copy_only=False),
        frames["patient"].to_numpy(zero_copy_only=False), targets,
    )  # fmt: skip
    moved = reset_scope(scope, clips, clips if labels is not None else None, site=name)
    return write_scope(moved, model.path / SCOPE_FOLDER)


def _frame_views(
    labels: str | Path | LabelStore, frames: pa.Table, classes: Sequence[str], rule: str
) -> Mapping[str, str]:
    """Return the view of each labeled frame, as the task of the model knows it."""
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.task_labels import task_events

    book = labels if isinstance(labels, LabelStore) else LabelStore(labels)
    return frame_labels(task_events(book, classes), frames, rule)


def scope_sentences(scope: ScopeModel) -> list[str]:
    """Return the notes of a scope and a line of its facts, for a reader.

    Examples:
        >>> from heart2heart.api.scope import fit_scope, scope_sentences
        >>> scope_sentences(fit_scope("run", "store", split="split"))[-1].split(",")[0]
        'scope by mahalanobis'
    """
    record = scope.record
    where = f" at {record.site}" if record.site else ""
    score = scope.deciding_score(features=True)
    facts = f"scope by {score}{where}, thresholds of {record.patients} patients, sha256 {record.digest()[:12]}"
    foreign = [f"of {record.foreign_clips} clips of other views of these patients, {record.foreign_answered} pass"]
    return [*(f"note: {note}" for note in record.notes), *foreign[: record.foreign_clips], facts]
