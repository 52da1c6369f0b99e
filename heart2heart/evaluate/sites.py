"""One site: every statistic of every run, with one set of cluster weights shared by all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluate.bootstrap import Weights, cluster_weights, replicate
from heart2heart.evaluate.classification import Floats, Ints, clustered_confusion, sensitivity
from heart2heart.evaluate.probabilities import log_probabilities
from heart2heart.evaluate.samples import SiteSample
from heart2heart.evaluate.schema import SiteSummary
from heart2heart.predictions import SiteInfo


@dataclass(frozen=True)
class Level:
    """Confusion matrices of one site at one level, frames or clips.

    Attributes:
        confusion: By run and cluster, `(runs, clusters, classes, classes)`.
        weights: Cluster weights `(replicates, clusters)`.
        point: Sensitivity by run and class `(runs, classes)`; NaN for an absent class.
        replicates: Sensitivity `(runs, replicates, classes)`.
    """

    confusion: Floats
    weights: Weights
    point: Floats
    replicates: Floats

    @property
    def view_clusters(self) -> Ints:
        """Clusters that hold each true class `(classes,)`."""
        held: Ints = (self.confusion[0].sum(-1) > 0).sum(0)
        return held

    @property
    def view_counts(self) -> Ints:
        """Rows of each true class `(classes,)`."""
        counts: Ints = self.confusion[0].sum((0, 2)).astype(np.int64)
        return counts


@dataclass(frozen=True)
class Site:
    """One site with scored frames, arranged for the bootstrap.

    Attributes:
        info: What is known of the site.
        sample: Its labeled test frames.
        truth: True class of the scored frames `(n,)`.
        cluster: Cluster of the scored frames `(n,)`, 0 to `clusters - 1`.
        frames: Confusion by frame.
        clips: Confusion by clip, after the vote.
        mixed_clips: Clips left out of the vote, as their frames disagree on the true view.
    """

    info: SiteInfo
    sample: SiteSample
    truth: Ints
    cluster: Ints
    frames: Level
    clips: Level
    mixed_clips: int

    @property
    def clusters(self) -> int:
        """Clusters with scored frames."""
        return int(self.frames.weights.shape[1])

    @property
    def present(self) -> list[int]:
        """Classes with at least one frame."""
        return [int(label) for label in np.flatnonzero(self.frames.view_counts)]

    def summary(self, classes: Sequence[str]) -> SiteSummary:
        """Count what is scored here."""
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


def clip_votes(log_p: Floats, truth: Ints, clip: Ints, cluster: Ints) -> tuple[Floats, Ints, Ints, int]:
    """Let the frames of each clip vote: the mean of their log-probabilities.

    Args:
        log_p: `(runs, n, classes)`.
        truth: True class of each frame `(n,)`.
        clip: Clip of each frame `(n,)`.
        cluster: Cluster of each frame `(n,)`.

    Returns:
        Scores `(runs, clips, classes)`, truth and cluster `(clips,)` of the clips whose frames share one truth, and
        the number of clips whose frames do not.
    """
    _, first, member = np.unique(clip, return_index=True, return_inverse=True)
    mixed = np.bincount(member, weights=truth != truth[first][member]) > 0
    sums = np.stack([[np.bincount(member, weights=column) for column in run.T] for run in log_p])
    scores = sums.transpose(0, 2, 1) / np.bincount(member)[None, :, None]
    return scores[:, ~mixed], truth[first][~mixed], cluster[first][~mixed], int(mixed.sum())


def arrange(info: SiteInfo, sample: SiteSample, *, replicates: int, seed: int) -> Site | None:
    """Prepare a site for the bootstrap; None when it has no frame with a scored truth."""
    scored = sample.scored
    if not scored.any():
        return None
    truth = sample.truth[scored]
    clusters, cluster = np.unique(sample.cluster[scored], return_inverse=True)
    weights = cluster_weights(len(clusters), replicates, seed, info.site)
    log_p = log_probabilities(sample.logits[:, scored])
    votes, vote_truth, vote_cluster, mixed = clip_votes(log_p, truth, sample.clip[scored], cluster)
    return Site(
        info=info,
        sample=sample,
        truth=truth,
        cluster=cluster,
        frames=_level(log_p, truth, cluster, weights),
        clips=_level(votes, vote_truth, vote_cluster, weights),
        mixed_clips=mixed,
    )


def _level(scores: Floats, truth: Ints, cluster: Ints, weights: Weights) -> Level:
    classes, clusters = scores.shape[-1], weights.shape[1]
    confusion = np.stack([clustered_confusion(truth, run.argmax(-1), cluster, clusters, classes) for run in scores])
    return Level(
        confusion=confusion,
        weights=weights,
        point=sensitivity(confusion.sum(1)),
        replicates=np.stack([replicate(weights, run, sensitivity) for run in confusion]),
    )
