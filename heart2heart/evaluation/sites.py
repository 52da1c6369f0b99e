"""One site prepared for intervals: confusion matrices by cluster for frames, clips or studies.

All runs use the same clusters and cluster weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints, clustered_confusion, sensitivity
from heart2heart.evaluation.contrasts import Contrast, mean_share, shares_by_cluster
from heart2heart.evaluation.intervals import Weights, cluster_weights
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.scored_sites import ScoredLevel
from heart2heart.evaluation.simultaneous import NO_FAMILY, Family
from heart2heart.schema.clip_probabilities import clip_log_probabilities
from heart2heart.schema.margin import MarginClaim, MarginVerdict, judge_margin
from heart2heart.schema.metrics import SiteSummary
from heart2heart.schema.predictions import SiteInfo
from heart2heart.schema.site_metrics import Estimate


@dataclass(frozen=True)
class Aggregation:
    """Confusion matrices of one site at one level: frames, clips or studies.

    Attributes:
        confusion: By run and cluster, `(runs, clusters, classes, classes)`.
        weights: Cluster weights `(replicates, clusters)`.
        point: Sensitivity by run and class `(runs, classes)`; NaN for an absent class.
        sample: Name of the sample of clusters; estimates of the same sample are paired by cluster.
    """

    confusion: Floats
    weights: Weights
    point: Floats
    sample: str

    def mean_sensitivity(self, runs: Sequence[int], labels: Sequence[int]) -> Contrast:
        """Return the mean over runs of the mean sensitivity over the classes `labels`."""
        chosen = list(labels)
        correct = np.diagonal(self.confusion[list(runs)], axis1=2, axis2=3)[..., chosen].mean(0)
        shares = shares_by_cluster(correct, self.confusion[0].sum(-1)[:, chosen], self.sample)
        return mean_share(shares, range(len(chosen)))

    def rarest(self, labels: Sequence[int]) -> int:
        """Return the number of clusters of the rarest of the classes `labels`."""
        return int(min((self.view_clusters[label] for label in labels), default=0))

    def why_hidden(self, labels: Sequence[int]) -> str | None:
        """Return None: rows hide nothing."""
        del labels
        return None

    def why_not_paired(self, labels: Sequence[int]) -> str | None:
        """Return None: the rows of all runs are paired."""
        del labels
        return None

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


def aggregate(scores: Floats, truth: Ints, cluster: Ints, weights: Weights, sample: str) -> Aggregation:
    """Compute the confusion matrix of each cluster.

    Args:
        scores: Logits or log-probabilities `(runs, n, classes)`; the largest is the prediction.
        truth: True class `(n,)`.
        cluster: Cluster of each row `(n,)`.
        weights: Cluster weights `(replicates, clusters)`.
        sample: Name of the sample of clusters.
    """
    classes, clusters = scores.shape[-1], weights.shape[1]
    confusion = np.stack([clustered_confusion(truth, run.argmax(-1), cluster, clusters, classes) for run in scores])
    return Aggregation(
        confusion=confusion,
        weights=weights,
        point=sensitivity(confusion.sum(1)),
        sample=sample,
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
        bca: Bootstrap intervals are BCa instead of percentile.
        family: The losses and differences that are judged together.
        subgroups: The subgroup differences of one run that are judged together.
        margin: Largest acceptable loss, registered before.
    """

    classes: tuple[str, ...]
    common: tuple[int, ...]
    unit: str
    seed: int
    replicates: int
    bca: bool = False
    family: Family = NO_FAMILY
    subgroups: Family = NO_FAMILY
    margin: MarginClaim | None = None

    def judge_loss(self, loss: Estimate, sign: float = 1.0) -> MarginVerdict | None:
        """Judge a loss, or with `sign` -1 a gain, by the registered margin; None without one or without an interval."""
        if self.margin is None or loss.low is None or loss.high is None:
            return None
        low, high = sorted((sign * loss.low, sign * loss.high))
        return judge_margin(low, high, self.margin.fraction)

    def why_not_estimable(self, level: ScoredLevel, labels: Sequence[int]) -> str | None:
        """Return why a mean over the classes `labels` has no value or no interval; None when it has both."""
        if not labels:
            return "no view to average over"
        if hidden := level.why_hidden(labels):
            return hidden
        cluster_counts = {label: int(level.view_clusters[label]) for label in labels}
        smallest = min(labels, key=cluster_counts.__getitem__)
        if cluster_counts[smallest] >= 2:
            return None
        available = f"only one {self.unit}" if cluster_counts[smallest] else f"no {self.unit}"
        return f"{self.classes[smallest]} comes from {available}; an interval needs two"


@dataclass(frozen=True)
class ScoredSite:
    """One site with scored frames, prepared for the bootstrap.

    Attributes:
        info: Description of the site in the provenance.
        sample: Its labeled test frames.
        truth: True class of the scored frames `(n,)`.
        cluster: Cluster of the scored frames `(n,)`, 0 to `clusters - 1`.
        frames: Confusion by frame.
        clips: Confusion by clip, from the averaged log-probabilities of its frames.
        studies: Confusion by study and true view, likewise.
        mixed_clips: Number of clips that are not scored, because their frames have different true views.
    """

    info: SiteInfo
    sample: SiteSample
    truth: Ints
    cluster: Ints
    frames: Aggregation
    clips: Aggregation
    studies: Aggregation
    mixed_clips: int

    @property
    def name(self) -> str:
        """The site."""
        return self.info.site

    @property
    def held_out(self) -> bool:
        """No frame of it was trained on."""
        return self.info.held_out

    @property
    def rows(self) -> int:
        """Number of scored frames."""
        return len(self.truth)

    @property
    def clusters(self) -> int:
        """Number of clusters with scored frames."""
        return int(self.frames.weights.shape[1])

    @property
    def present(self) -> list[int]:
        """Indices of the classes with at least one frame."""
        return [int(label) for label in np.flatnonzero(self.frames.view_counts)]

    def summary(self, classes: Sequence[str]) -> SiteSummary:
        """Count the scored frames, clips, clusters and views of the site."""
        counts, holders = self.frames.view_counts, self.frames.view_clusters
        return SiteSummary(
            site=self.info.site,
            held_out=self.info.held_out,
            synthetic=self.info.synthetic,
            frames=len(self.truth),
            clips=int(self.clips.view_counts.sum()),
            mixed_clips=self.mixed_clips,
            clusters=self.clusters,
            views={classes[label]: int(counts[label]) for label in self.present},
            view_clusters={classes[label]: int(holders[label]) for label in self.present},
            outside=self.sample.outside,
            unlabeled=self.sample.unlabeled,
        )


def empty_summary(info: SiteInfo, sample: SiteSample, reason: str) -> SiteSummary:
    """Describe a site without a scored frame."""
    return SiteSummary(
        site=info.site,
        held_out=info.held_out,
        synthetic=info.synthetic,
        frames=0,
        clips=0,
        mixed_clips=0,
        clusters=0,
        views={},
        view_clusters={},
        outside=sample.outside,
        unlabeled=sample.unlabeled,
        reason=reason,
    )


def arrange(info: SiteInfo, sample: SiteSample, *, replicates: int, seed: int) -> ScoredSite | None:
    """Prepare a site for the bootstrap; None if no frame has a true view that is scored."""
    scored = sample.scored
    if not scored.any():
        return None
    truth = sample.truth[scored]
    clusters, cluster = np.unique(sample.cluster[scored], return_inverse=True)
    weights = cluster_weights(len(clusters), replicates, seed, info.site)
    log_p = log_probabilities(sample.logits[:, scored])
    votes, vote_truth, vote_cluster, mixed = aggregate_groups(log_p, truth, sample.clip[scored], cluster)
    by_view = sample.study[scored] * (int(truth.max()) + 1) + truth
    studies, study_truth, study_cluster, _ = aggregate_groups(log_p, truth, by_view, cluster)
    return ScoredSite(
        info=info,
        sample=sample,
        truth=truth,
        cluster=cluster,
        frames=aggregate(log_p, truth, cluster, weights, info.site),
        clips=aggregate(votes, vote_truth, vote_cluster, weights, info.site),
        studies=aggregate(studies, study_truth, study_cluster, weights, info.site),
        mixed_clips=mixed,
    )
