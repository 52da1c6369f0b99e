"""Clips as the scope of a model sees them: features and logits of stored clips, and of altered copies of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heart2heart.schema.enums import SplitRole
from heart2heart.schema.scope import answered_classes

if TYPE_CHECKING:
    from heart2heart.scope.scope_model import ClipFeatures
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStore, FrameStores
    from heart2heart.training.run import Run

Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]
Pixels = npt.NDArray[np.uint8]

FRAMES_PER_CLIP = 4
"""Most frames of a clip, evenly spaced, that a scope is fitted on."""
CONFIDENT = 0.9
"""Probability from which an unlabeled training clip is one that features are compared with."""
ALTERED_COPIES = 3
"""Copies of each labeled clip, altered as other machines and settings would, that fit the score `other_views`."""


def source_clips(
    model: Run, stores: FrameStore | FrameStores, split: SplitManifest, views: Mapping[str, str] | None = None
) -> tuple[ClipFeatures, ClipFeatures, ClipFeatures]:
    """Return the validation clips, those of training and pool, and altered copies of the labeled ones of these.

    The validation clips set thresholds, and the others are what features are compared with. Of the pool, the clips of
    which the model is confident count as their likeliest view, unless their label is known.

    Args:
        model: The run.
        stores: The stores of its split.
        split: Its split.
        views: View of labeled frames, those of other views too; None: those that the split keeps.

    Examples:
        >>> import heart2heart as h2h
        >>> stores = h2h.open_store(["store"])
        >>> labeled, reference, copies = source_clips(h2h.load_model("run"), stores, h2h.load_split("split"))
        >>> len(labeled) > 0, bool((labeled.truth >= 0).all())
        (True, True)
    """
    from heart2heart.schema.clip_probabilities import log_softmax
    from heart2heart.scope.scope_model import OTHER_VIEW

    classes = answered_classes(model.classes)
    numbers = np.array([classes.index(name) if name in classes else OTHER_VIEW for name in (*model.classes, None)])
    numbers[-1] = -1  # of frames without a target
    parts, copies = [], []
    for role in (SplitRole.VALIDATION, SplitRole.TRAIN, SplitRole.UNLABELED):
        selected = split.select(stores, role)
        names, patients = (selected.members[name].to_numpy(zero_copy_only=False) for name in ("clip", "patient"))
        targets = numbers[selected.targets]
        if role == SplitRole.VALIDATION:  # all of them are labeled
            targets = np.where(targets < 0, OTHER_VIEW, targets)
        elif role == SplitRole.UNLABELED and views is not None:
            targets = view_targets(selected.members["frame"].to_pylist(), views, classes)
        parts.append(clip_features(model, stores, selected.rows, names, patients, targets))
        if role != SplitRole.VALIDATION:
            copies.append(_altered_copies(model, stores, selected.rows, names, patients, targets))
    labeled, train, pool = parts
    probabilities = np.exp(log_softmax(pool.logits))
    guesses = np.where(probabilities.max(1, initial=0) >= CONFIDENT, probabilities.argmax(1), -1)
    if classes != model.classes:  # its likeliest class may be that of other views
        guesses[:] = -1
    truth = np.where(pool.truth == -1, guesses, pool.truth)
    reference = join_clips(train, replace(pool, truth=truth.astype(np.int64)))
    later = replace(copies[1], patient=copies[1].patient + train.patient.max(initial=-1) + 1)
    return labeled, reference, join_clips(copies[0], later, same_numbers=True)


def view_targets(frames: Sequence[str], views: Mapping[str, str], classes: Sequence[str]) -> Ints:
    """Return the class of each frame, `OTHER_VIEW` for another view, -1 without a label.

    Examples:
        >>> view_targets(["a", "b", "c"], {"a": "PLAX", "c": "OTHER"}, ["PLAX"]).tolist()
        [0, -1, -2]
    """
    from heart2heart.scope.scope_model import OTHER_VIEW

    known = {view: index for index, view in enumerate(classes)}
    return np.array([known.get(views[each], OTHER_VIEW) if each in views else -1 for each in frames], np.int64)


def clip_features(
    model: Run, stores: FrameStore | FrameStores, rows: Ints, clips: Names, patients: Names, targets: Ints
) -> ClipFeatures:
    """Return clips as a scope sees them: means over at most `FRAMES_PER_CLIP` frames of each.

    The logits are those of the classes that are answers.

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
    return _features(model, rows, clips, patients, targets, lambda part: stores.read(rows[np.concatenate(part)]))


def _altered_copies(
    model: Run, stores: FrameStore | FrameStores, rows: Ints, clips: Names, patients: Names, targets: Ints
) -> ClipFeatures:
    """Return `ALTERED_COPIES` of each labeled clip, each as another machine or setting might show it.

    Gain, time-gain, dynamic range, speckle, sector and depth are drawn anew for every copy (`AcousticPolicy`), so that
    what they change does not tell views apart. Patients keep their numbers.
    """
    import torch

    from heart2heart.training.augment.acoustic import AcousticPolicy
    from heart2heart.training.augment.batched import apply_batched
    from heart2heart.training.augment.policy import Policy, draw_parameters

    policy, generator = Policy(flip=0, crop=0, acoustic=AcousticPolicy()), torch.Generator().manual_seed(0)

    def altered(part: list[Ints]) -> Pixels:
        frames = torch.from_numpy(stores.read(rows[np.concatenate(part)]))
        counts = torch.tensor([len(each) for each in part])
        drawn = draw_parameters(policy, len(part), frames.shape[-1], generator)
        of_frames = drawn.take(torch.repeat_interleave(torch.arange(len(part)), counts))
        return apply_batched(policy, frames, of_frames).round().clamp(0, 255).to(torch.uint8).numpy()

    _, numbers = np.unique(patients, return_inverse=True)
    kept = np.isin(clips, np.unique(clips[targets != -1]))
    rows, own = rows[kept], numbers.astype(np.int64)[kept]
    copies = [
        _features(model, rows, clips[kept], patients[kept], targets[kept], altered, numbers=own)
        for _ in range(ALTERED_COPIES)
    ]
    joined = copies[0]
    for each in copies[1:]:
        joined = join_clips(joined, each, same_numbers=True)
    return joined


def _features(
    model: Run, rows: Ints, clips: Names, patients: Names, targets: Ints, read: Callable[[list[Ints]], Pixels],
    numbers: Ints | None = None,
) -> ClipFeatures:  # fmt: skip
    """Return means over frames; `read` takes the places of the frames of some clips in `rows`, and returns pixels."""
    from heart2heart.scope.scope_model import ClipFeatures
    from heart2heart.training.features import FeatureExtractor

    _, first, member = np.unique(clips, return_index=True, return_inverse=True)
    groups = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1]) if len(rows) else []
    even = [np.linspace(0, len(each) - 1, min(len(each), FRAMES_PER_CLIP)).round().astype(int) for each in groups]
    chosen = [each[kept] for each, kept in zip(groups, even, strict=True)]
    answers = [model.classes.index(name) for name in answered_classes(model.classes)]
    extractor = FeatureExtractor(model)
    features, logits = [], []
    for start in range(0, len(chosen), FRAMES_PER_CLIP):  # some clips at a time, which bounds memory
        part = chosen[start : start + FRAMES_PER_CLIP]
        frame_features, frame_logits = extractor.compute(read(part))
        ends = np.cumsum([len(each) for each in part])[:-1]
        features += [each.mean(0, dtype=np.float64) for each in np.split(frame_features, ends)]
        logits += [each.mean(0, dtype=np.float64) for each in np.split(frame_logits[:, answers], ends)]
    if not chosen:
        width = extractor.compute(np.zeros((1, model.geometry.size, model.geometry.size), np.uint8))[0].shape[1]
        features, logits = [np.empty((0, width))], [np.empty((0, len(answers)))]
    if numbers is None:
        numbers = np.unique(patients, return_inverse=True)[1].astype(np.int64)
    return ClipFeatures(np.vstack(logits), np.vstack(features), numbers[first], targets[first])


def join_clips(one: ClipFeatures, other: ClipFeatures, *, same_numbers: bool = False) -> ClipFeatures:
    """Return the clips of two groups of patients, or with `same_numbers` of the same patients.

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
    later = other.patient if same_numbers else other.patient + one.patient.max(initial=-1) + 1
    return ClipFeatures(
        np.concatenate([one.logits, other.logits]),
        features,
        np.concatenate([one.patient, later]),
        np.concatenate([one.truth, other.truth]),
    )
