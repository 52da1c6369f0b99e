"""Confusion matrices by cluster for frames, clips or studies, their bootstrap resamples, and the evaluation context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints, clustered_confusion, sensitivity
from heart2heart.evaluation.intervals import Resamples, Weights, resample
from heart2heart.schema.clip_probabilities import clip_log_probabilities


@dataclass(frozen=True)
class Aggregation:
    """Confusion matrices of one site at one level: frames, clips or studies.

    Attributes:
        confusion: By run and cluster, `(runs, clusters, classes, classes)`.
        weights: Cluster weights `(replicates, clusters)`.
        point: Sensitivity by run and class `(runs, classes)`; NaN for an absent class.
        draws: Resampled sensitivity by class `(replicates, classes)`, one item per run.
    """

    confusion: Floats
    weights: Weights
    point: Floats
    draws: tuple[Resamples, ...]

    @property
    def view_clusters(self) -> Ints:
        """Number of clusters with each true class `(classes,)`."""
        counts: Ints = (self.confusion[0].sum(-1) > 0).sum(0)
        return counts

    @property
    def view_counts(self) -> Ints:
        """Number of rows of each true class `(classes,)`."""
        counts: Ints = self.confusion[0].sum((0, 2)).astype(np.int64)
        return counts


def aggregate_groups(log_p: Floats, truth: Ints, group: Ints, cluster: Ints) -> tuple[Floats, Ints, Ints, int]:
    """Average the log-probabilities of the frames of each group, such as a clip or a study.

    Args:
        log_p: `(runs, n, classes)`.
        truth: True class of each frame `(n,)`.
        group: Group of each frame `(n,)`.
        cluster: Cluster of each frame `(n,)`.

    Returns:
        Log-probabilities `(runs, groups, classes)`, truth and cluster `(groups,)` of the groups whose frames have the
        same truth, and the number of groups whose frames have different truths.
    """
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    mixed = np.bincount(member, weights=truth != truth[first][member]) > 0
    scores = np.stack([clip_log_probabilities(run, member, len(first)) for run in log_p])
    return scores[:, ~mixed], truth[first][~mixed], cluster[first][~mixed], int(mixed.sum())


def aggregate(scores: Floats, truth: Ints, cluster: Ints, weights: Weights, *, bca: bool) -> Aggregation:
    """Compute the confusion matrix of each cluster and resample the clusters.

    Args:
        scores: Logits or log-probabilities `(runs, n, classes)`; the largest is the prediction.
        truth: True class `(n,)`.
        cluster: Cluster of each row `(n,)`.
        weights: Cluster weights `(replicates, clusters)`.
        bca: Also compute the jackknife values that BCa intervals need.
    """
    classes, clusters = scores.shape[-1], weights.shape[1]
    confusion = np.stack([clustered_confusion(truth, run.argmax(-1), cluster, clusters, classes) for run in scores])
    return Aggregation(
        confusion=confusion,
        weights=weights,
        point=sensitivity(confusion.sum(1)),
        draws=tuple(resample(weights, run, sensitivity, bca=bca) for run in confusion),
    )


KEPT_ON_VALIDATION = 0.9
"""Share of the source validation frames that the frozen confidence threshold keeps."""


@dataclass(frozen=True)
class EvaluationContext:
    """Settings that every site and run of an evaluation share.

    Attributes:
        classes: Names of the classes, in the order of the logits.
        common: Classes present at every site.
        unit: Kind of cluster, such as `patient`; used in the texts.
        seed: Root seed of the bootstrap.
        replicates: Bootstrap replicates.
        bca: Intervals are BCa instead of percentile.
    """

    classes: tuple[str, ...]
    common: tuple[int, ...]
    unit: str
    seed: int
    replicates: int
    bca: bool = False

    def why_not_estimable(self, level: Aggregation, labels: Sequence[int]) -> str | None:
        """Return why a mean over the classes `labels` has no value or no interval; None when it has both."""
        if not labels:
            return "no view to average over"
        cluster_counts = {label: int(level.view_clusters[label]) for label in labels}
        smallest = min(labels, key=cluster_counts.__getitem__)
        if cluster_counts[smallest] >= 2:
            return None
        available = f"only one {self.unit}" if cluster_counts[smallest] else f"no {self.unit}"
        return f"{self.classes[smallest]} comes from {available}; an interval needs two"
