"""The scope of a model: fitted at the source, and set again at a hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heart2heart.api.audit import audited
from heart2heart.errors import RunError
from heart2heart.schema.enums import POOL_MODES, AuditAction, ClipMode, SplitRole

if TYPE_CHECKING:
    import pyarrow as pa

    from heart2heart.labels.label_store import LabelStore
    from heart2heart.scope.scope_model import ClipFeatures, ScopeModel
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStore, FrameStores
    from heart2heart.training.run import Run

Ints = npt.NDArray[np.int64]

FRAMES_PER_CLIP = 4
"""Most frames of a clip, evenly spaced, that a scope is fitted on."""
CONFIDENT = 0.9
"""Probability from which an unlabeled training clip is one that features are compared with."""


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
    from heart2heart.schema.scope import SCOPE_FOLDER, ScopeSettings
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
    views = None if labels is None else _frame_views(labels, opened.frames, model.classes, rule)
    labeled, reference = source_clips(replace(model, adapted=False), opened, manifest, views)
    modes = manifest.settings.get("modes", POOL_MODES)
    scope = fit_scope(
        labeled, reference, classes=model.classes, modes=[ClipMode(each) for each in modes],
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

    from heart2heart.schema.scope import SCOPE_FOLDER
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
        targets = _view_targets(frames["frame"].to_pylist(), views, model.classes)
    clips = clip_features(
        model, opened, frames["row"].to_numpy().astype(np.int64), frames["clip"].to_numpy(zero_copy_only=False),
        frames["patient"].to_numpy(zero_copy_only=False), targets,
    )  # fmt: skip
    moved = reset_scope(scope, clips, clips if labels is not None else None, site=name)
    return write_scope(moved, model.path / SCOPE_FOLDER)


def source_clips(
    model: Run, stores: FrameStore | FrameStores, split: SplitManifest, views: Mapping[str, str] | None = None
) -> tuple[ClipFeatures, ClipFeatures]:
    """Return the validation clips, which set thresholds, and the clips of training and pool to compare features with.

    Of the pool, the clips of which the model is confident count as their likeliest view, unless their label is known.

    Args:
        model: The run.
        stores: The stores of its split.
        split: Its split.
        views: View of labeled frames, those of other views too; None: those that the split keeps.

    Examples:
        >>> import heart2heart as h2h
        >>> stores = h2h.open_store(["store"])
        >>> labeled, reference = source_clips(h2h.load_model("run"), stores, h2h.load_split("split"))
        >>> len(labeled) > 0, bool((labeled.truth >= 0).all())
        (True, True)
    """
    from heart2heart.schema.clip_probabilities import log_softmax
    from heart2heart.scope.scope_model import OTHER_VIEW

    parts = []
    for role in (SplitRole.VALIDATION, SplitRole.TRAIN, SplitRole.UNLABELED):
        selected = split.select(stores, role)
        names, patients = (selected.members[name].to_numpy(zero_copy_only=False) for name in ("clip", "patient"))
        targets = selected.targets
        if role == SplitRole.VALIDATION:  # all of them are labeled
            targets = np.where(targets < 0, OTHER_VIEW, targets)
        elif role == SplitRole.UNLABELED and views is not None:
            targets = _view_targets(selected.members["frame"].to_pylist(), views, model.classes)
        parts.append(clip_features(model, stores, selected.rows, names, patients, targets))
    labeled, train, pool = parts
    probabilities = np.exp(log_softmax(pool.logits))
    guesses = np.where(probabilities.max(1, initial=0) >= CONFIDENT, probabilities.argmax(1), -1)
    truth = np.where(pool.truth == -1, guesses, pool.truth)
    return labeled, join_clips(train, replace(pool, truth=truth.astype(np.int64)))


def _frame_views(
    labels: str | Path | LabelStore, frames: pa.Table, classes: Sequence[str], rule: str
) -> Mapping[str, str]:
    """Return the view of each labeled frame, as the task of the model knows it."""
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.task_labels import task_events

    book = labels if isinstance(labels, LabelStore) else LabelStore(labels)
    return frame_labels(task_events(book, classes), frames, rule)


def _view_targets(frames: Sequence[str], views: Mapping[str, str], classes: Sequence[str]) -> Ints:
    """Return the class of each frame, `OTHER_VIEW` for another view, -1 without a label."""
    from heart2heart.scope.scope_model import OTHER_VIEW

    known = {view: index for index, view in enumerate(classes)}
    return np.array([known.get(views[each], OTHER_VIEW) if each in views else -1 for each in frames], np.int64)


def clip_features(
    model: Run,
    stores: FrameStore | FrameStores,
    rows: Ints,
    clips: npt.NDArray[np.object_],
    patients: npt.NDArray[np.object_],
    targets: Ints,
) -> ClipFeatures:
    """Return clips as a scope sees them: means over at most `FRAMES_PER_CLIP` frames of each.

    Args:
        model: The run.
        stores: The stores with the frames.
        rows: Row of each frame `(n,)`.
        clips: Clip of each frame.
        patients: Patient of each frame.
        targets: Class of each frame; -1: unlabeled; -2: another view.

    Raises:
        RunError: the network has neither maps nor a last linear layer.

    Examples:
        >>> import heart2heart as h2h
        >>> names, unknown = np.array(["a", "a", "b"], object), np.full(3, -1)
        >>> clips = clip_features(h2h.load_model("run"), h2h.open_store("store"), np.arange(3), names, names, unknown)
        >>> clips.logits.shape
        (2, 4)
    """
    from heart2heart.scope.scope_model import ClipFeatures
    from heart2heart.training.features import FeatureExtractor

    _, first, member = np.unique(clips, return_index=True, return_inverse=True)
    groups = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1]) if len(rows) else []
    even = [np.linspace(0, len(each) - 1, min(len(each), FRAMES_PER_CLIP)).round().astype(int) for each in groups]
    chosen = [each[kept] for each, kept in zip(groups, even, strict=True)]
    extractor = FeatureExtractor(model)
    features, logits = [], []
    for start in range(0, len(chosen), FRAMES_PER_CLIP):  # some clips at a time, which bounds memory
        part = chosen[start : start + FRAMES_PER_CLIP]
        frame_features, frame_logits = extractor.compute(stores.read(rows[np.concatenate(part)]))
        ends = np.cumsum([len(each) for each in part])[:-1]
        features += [each.mean(0, dtype=np.float64) for each in np.split(frame_features, ends)]
        logits += [each.mean(0, dtype=np.float64) for each in np.split(frame_logits, ends)]
    if not chosen:
        width = extractor.compute(np.zeros((1, model.geometry.size, model.geometry.size), np.uint8))[0].shape[1]
        features, logits = [np.empty((0, width))], [np.empty((0, len(model.classes)))]
    _, numbers = np.unique(patients[first], return_inverse=True)
    return ClipFeatures(np.vstack(logits), np.vstack(features), numbers.astype(np.int64), targets[first])


def join_clips(one: ClipFeatures, other: ClipFeatures) -> ClipFeatures:
    """Return the clips of two groups of patients.

    Examples:
        >>> from heart2heart.scope.scope_model import ClipFeatures
        >>> one = ClipFeatures(np.zeros((1, 4)), None, np.array([0]), np.array([2]))
        >>> join_clips(one, one).patient.tolist()
        [0, 1]
    """
    from heart2heart.scope.scope_model import ClipFeatures

    features = None
    if one.features is not None and other.features is not None:
        features = np.concatenate([one.features, other.features])
    later = other.patient + one.patient.max(initial=-1) + 1
    return ClipFeatures(
        np.concatenate([one.logits, other.logits]),
        features,
        np.concatenate([one.patient, later]),
        np.concatenate([one.truth, other.truth]),
    )


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
