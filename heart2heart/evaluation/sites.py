"""One site prepared for the bootstrap; all runs use the same cluster weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.aggregation import Aggregation, aggregate, aggregate_groups
from heart2heart.evaluation.classification import Ints
from heart2heart.evaluation.intervals import cluster_weights
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.samples import SiteSample
from heart2heart.schema.metrics import SiteSummary
from heart2heart.schema.predictions import SiteInfo


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


def arrange(info: SiteInfo, sample: SiteSample, *, replicates: int, seed: int, bca: bool = False) -> ScoredSite | None:
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
        frames=aggregate(log_p, truth, cluster, weights, bca=bca),
        clips=aggregate(votes, vote_truth, vote_cluster, weights, bca=bca),
        studies=aggregate(studies, study_truth, study_cluster, weights, bca=bca),
        mixed_clips=mixed,
    )
