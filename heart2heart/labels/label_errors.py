"""Finds labels that are probably wrong, by confident learning on out-of-sample predictions.

C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of
Artificial Intelligence Research 70 (2021) 1373-1411. The comments give the numbers of their equations. A label is an
issue where the confident joint counts it off its diagonal. Issues are ranked by the normalised margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError, UnknownNameError
from heart2heart.labels import cleanlab_filter
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.double_reading import ClipReadings
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.table_files import write_rows
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OUT_OF_SAMPLE_ROLES = (PredictionRole.VALIDATION, PredictionRole.TEST)
"""Roles whose frames a run was not trained on. Altered copies of test frames are left out: they add no evidence."""
DETECTORS = ("confident_learning", "cleanlab")
"""The formulas of this module, or the library cleanlab, see `cleanlab_filter`."""
_MIN_CLASSES = 2  # classes with labels


def confident_classes(labels: Integers, probabilities: Floats) -> Integers:
    """Return the confident class of each example, or -1.

    It is the most likely of the classes whose probability reaches the threshold of the class: the mean probability over
    the examples with that label (1), (2).

    Args:
        labels: Given labels, int64 `(n,)`.
        probabilities: Out-of-sample probabilities, float64 `(n, classes)`.

    Returns:
        int64 `(n,)`. A class without labels is the confident class of no example.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=probabilities[np.arange(len(labels)), labels], minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    above = np.where(probabilities >= thresholds - 1e-9, probabilities, -1.0)
    return np.where(above.max(1) >= 0, above.argmax(1), -1).astype(np.int64)


def calibrated_joint(labels: Integers, confident: Integers, classes: int) -> Floats:
    """Return the estimated number of examples by given label and true class, float64 `(classes, classes)`.

    Each row of the confident joint is scaled to the number of its labels (3). A label without any confident example
    counts as correct.

    Args:
        labels: Given labels, int64 `(n,)`.
        confident: Confident classes, int64 `(n,)`, -1 for none.
        classes: Number of classes.
    """
    kept = confident >= 0
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels[kept], confident[kept]), 1)
    label_counts = np.bincount(labels, minlength=classes).astype(np.float64)
    unassigned = counts.sum(1) == 0
    counts[unassigned, unassigned] = 1
    scaled: Floats = counts / counts.sum(1, keepdims=True) * label_counts[:, None]
    return scaled


@dataclass(frozen=True)
class LabelIssue:
    """One label that is probably wrong.

    Attributes:
        clip: Pseudonym of the clip.
        label: The given view.
        model: The confident view; with `cleanlab`, the most likely other view.
        margin: Probability of the label minus that of the most likely other view, -1 to 1; the lowest come first.
        readers: Number of raters who read the clip, also those who were unsure.
    """

    clip: str
    label: str
    model: str
    margin: float
    readers: int


@dataclass(frozen=True)
class LabelIssues:
    """The label issues of a label store.

    Attributes:
        issues: The issues, lowest margin first.
        clips: Number of labeled clips that were examined.
        expected_errors: Number of wrong labels that the detector expects among them.
        excluded: Number of labeled clips that were not examined or not queued, by reason.
    """

    issues: tuple[LabelIssue, ...]
    clips: int
    expected_errors: float
    excluded: dict[str, int]


def find_label_errors(
    parts: Sequence[Predictions], events: Sequence[LabelEvent], rule: str = "latest", detector: str = DETECTORS[0]
) -> LabelIssues:
    """Find the labels of a label store that out-of-sample predictions contradict.

    Args:
        parts: Predictions of one split or several, such as the folds. The probabilities of several runs of a clip are
            averaged.
        events: Events of the label store.
        rule: A name of `CONSENSUS_RULES`.
        detector: One of `DETECTORS`.

    Returns:
        The issues and their counts.

    Raises:
        UnknownNameError: no such rule or detector.
        MissingInputError: cleanlab is not installed.
        EvaluationError: predictions of training frames, of different classes, or labels of fewer than two views.
    """
    if detector not in DETECTORS:
        raise UnknownNameError.among("detector of label errors", detector, list(DETECTORS))
    classes = _classes(parts)
    clips, probabilities = _clip_predictions(parts)
    labels, excluded = _clip_labels(parts, events, rule)
    kept_indices = [index for index, clip in enumerate(clips) if labels.get(clip) in classes]
    excluded["a view that the model does not know"] = sum(clip in labels for clip in clips) - len(kept_indices)
    given_labels = np.array([classes.index(labels[clips[index]]) for index in kept_indices], dtype=np.int64)
    if len(np.unique(given_labels)) < _MIN_CLASSES:
        remedy = "Give the label store of these clips, and predictions of all folds"
        raise EvaluationError("not estimable: labels of fewer than two of the model's views", remedy=remedy)
    other_classes, expected_errors = _detect(detector, given_labels, probabilities[kept_indices])
    margins = _margins(given_labels, probabilities[kept_indices])
    readings_of = _readings_by_clip(events)
    issues = []
    for index in np.flatnonzero(other_classes >= 0):
        clip = clips[kept_indices[index]]
        readings = readings_of.get(clip, _NO_READINGS)
        if readings.adjudication is not None:
            excluded["decided by an adjudicator"] = excluded.get("decided by an adjudicator", 0) + 1
            continue
        views = classes[given_labels[index]], classes[other_classes[index]]
        issues.append(LabelIssue(clip, *views, float(margins[index]), len(readings.readings)))
    issues.sort(key=lambda issue: (issue.margin, issue.clip))
    return LabelIssues(
        tuple(issues), len(given_labels), expected_errors, {why: count for why, count in excluded.items() if count}
    )


def _detect(detector: str, given_labels: Integers, probabilities: Floats) -> tuple[Integers, float]:
    """Return the class of each issue, -1 for labels that are no issue, and the expected number of wrong labels."""
    if detector == "cleanlab":
        issues, expected_errors = cleanlab_filter.find_cleanlab_issues(given_labels, probabilities)
        return np.where(issues, _without_given(given_labels, probabilities).argmax(1), -1).astype(
            np.int64
        ), expected_errors
    confident = confident_classes(given_labels, probabilities)
    expected = calibrated_joint(given_labels, confident, probabilities.shape[1])
    other_classes = np.where(confident != given_labels, confident, -1).astype(np.int64)
    return other_classes, float(expected.sum() - np.trace(expected))


_NO_READINGS = ClipReadings(0, {}, None)


def _classes(parts: Sequence[Predictions]) -> tuple[str, ...]:
    """Return the classes of all predictions, after a check that none is of a training frame."""
    classes = parts[0].provenance.classes
    for part in parts:
        if part.provenance.classes != classes:
            raise EvaluationError(
                "these predictions have different classes", remedy="Give the predictions of one study"
            )
        wrong_roles = set(part.table["role"].to_pylist()) - set(PredictionRole)
        if wrong_roles:
            remedy = "Give predictions of validation and test frames, such as those of all folds"
            raise EvaluationError(
                f"predictions in-sample: frames of role {', '.join(sorted(wrong_roles))}", remedy=remedy
            )
    return classes


def _margins(labels: Integers, probabilities: Floats) -> Floats:
    own = probabilities[np.arange(len(labels)), labels]
    margins: Floats = own - _without_given(labels, probabilities).max(1)
    return margins


def _without_given(labels: Integers, probabilities: Floats) -> Floats:
    rest = probabilities.copy()
    rest[np.arange(len(labels)), labels] = -np.inf
    return rest


def _readings_by_clip(events: Sequence[LabelEvent]) -> dict[str, ClipReadings]:
    by_clip: dict[str, list[LabelEvent]] = {}
    for event in events:
        by_clip.setdefault(event.clip, []).append(event)
    return {clip: ClipReadings.from_events(clip_events) for clip, clip_events in by_clip.items()}


def _clip_predictions(parts: Sequence[Predictions]) -> tuple[list[str], Floats]:
    """Return the clips and their mean probabilities over the runs, float64 `(clips, classes)`."""
    names, probabilities = [np.empty(0, str)], [np.empty((0, len(parts[0].provenance.classes)))]
    for part in parts:
        table = part.table.select(["run", "clip"])
        out_of_sample = pc.is_in(part.table["role"], pa.array(OUT_OF_SAMPLE_ROLES))
        for run in pc.unique(table["run"]).to_pylist():
            mask = pc.and_(out_of_sample, pc.equal(table["run"], run)).to_numpy(zero_copy_only=False)
            clips, clip = np.unique(table["clip"].to_numpy(zero_copy_only=False)[mask].astype(str), return_inverse=True)
            names.append(clips)
            log_p = log_softmax(part.logits[mask])
            probabilities.append(np.exp(clip_log_probabilities(log_p, clip, len(clips))))
    clips, clip_index = np.unique(np.concatenate(names), return_inverse=True)
    stacked = np.concatenate(probabilities)
    sums = np.zeros((len(clips), stacked.shape[1]))
    np.add.at(sums, clip_index, stacked)
    return [str(clip) for clip in clips], sums / np.bincount(clip_index, minlength=len(clips))[:, None]


def _clip_labels(
    parts: Sequence[Predictions], events: Sequence[LabelEvent], rule: str
) -> tuple[dict[str, str], dict[str, int]]:
    """Return the view of each labeled clip, and the number of clips whose frames have several views."""
    views: dict[str, set[str]] = {}
    for part in parts:
        frames = part.table.filter(pc.is_in(part.table["role"], pa.array(OUT_OF_SAMPLE_ROLES))).select(
            ["frame", "clip"]
        )
        clip_of = dict(zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True))
        for frame, view in frame_labels(events, frames, rule).items():
            views.setdefault(clip_of[frame], set()).add(view)
    n_mixed = sum(len(clip_views) > 1 for clip_views in views.values())
    return {clip: next(iter(distinct)) for clip, distinct in views.items() if len(distinct) == 1}, {
        "frames of several views": n_mixed
    }


def write_review_queue(issues: Sequence[LabelIssue], out: Path) -> int:
    """Write a labeling queue of the issues, and return the number of clips.

    The column `why` names neither the label nor the model's view, so that the rater reads the clip blind. The column
    `readings` asks for one more rater than have read the clip; if the readings differ, an adjudicator decides.

    Args:
        issues: The issues, in the order of the queue.
        out: Parquet or CSV file.
    """
    columns = ("clip", "why", "readings", "label", "model", "margin")
    rows = (
        (
            issue.clip,
            f"label in doubt, {rank} of {len(issues)}",
            issue.readers + 1,
            issue.label,
            issue.model,
            issue.margin,
        )
        for rank, issue in enumerate(issues, start=1)
    )
    write_rows(out, columns, rows, parquet=out.suffix == ".parquet")
    return len(issues)
