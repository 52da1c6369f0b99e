"""One hospital in all splits that test it: its confusion matrices by split, over the same clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import mean_over_views
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, contrast_estimate
from heart2heart.evaluation.intervals import CONFIDENCE, cluster_weights
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.samples import SiteSample, read_samples
from heart2heart.evaluation.sites import Aggregation, EvaluationContext, aggregate
from heart2heart.progress import Progress
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import Estimate


@dataclass(frozen=True)
class SiteInSplit:
    """One hospital in one split: its confusion matrices and the classes with at least one frame."""

    split: str
    aggregation: Aggregation
    present: list[int]


@dataclass(frozen=True)
class SiteOverSplits:
    """One hospital in all splits that hold it out, or in all splits that do not."""

    site: str
    held_out: bool
    parts: tuple[SiteInSplit, ...]
    n: int
    clusters: int
    why_not_estimable: str | None

    def measure(self, methods: dict[str, RunGroup]) -> tuple[list[Floats], Contrast]:
        """Return the value of each run by split, and the mean over splits of the mean over runs."""
        split_results = [
            mean_over_views(part.aggregation, methods[part.split].runs, part.present) for part in self.parts
        ]
        weights = [1 / len(split_results)] * len(split_results)
        return [points for points, _ in split_results], combine_contrasts(
            [accuracy for _, accuracy in split_results], weights
        )

    def estimate(self, contrast: Contrast, confidence: float = CONFIDENCE) -> Estimate:
        """Build the estimate of a statistic over the splits."""
        return contrast_estimate(
            contrast,
            n=self.n,
            clusters=self.clusters,
            rarest=self.rarest,
            why_not_estimable=self.why_not_estimable,
            confidence=confidence,
        )

    @property
    def rarest(self) -> int:
        """Number of clusters of the rarest class, in the split where it is rarest."""
        return min(part.aggregation.rarest(part.present) for part in self.parts)


def sites_over_splits(
    predictions: Sequence[Predictions], names: Sequence[str], context: EvaluationContext, progress: Progress
) -> list[SiteOverSplits]:
    """Evaluate each hospital over all splits that test it: source hospitals first, each group by name.

    Args:
        predictions: The predictions of each split.
        names: The name of each split, in the same order.
        context: Classes, bootstrap and the other settings that all hospitals share.
        progress: Notified after each hospital.
    """
    groups: dict[tuple[str, bool], list[tuple[str, SiteSample]]] = {}
    for name, each in zip(names, predictions, strict=True):
        samples, _ = read_samples(each)
        for info, sample in zip(each.provenance.sites, samples, strict=True):
            if sample.scored.any():
                groups.setdefault((info.site, info.held_out), []).append((name, sample))
    sites = []
    # If each hospital is held out in turn, it occurs twice: the sources come first, then the held-out hospitals.
    ordered_groups = sorted(groups.items(), key=lambda group: (group[0][1], group[0][0]))
    for done, ((site, held_out), members) in enumerate(ordered_groups, start=1):
        frame_units = [sample.unit_names[sample.cluster[sample.scored]] for _, sample in members]
        union = np.unique(np.concatenate(frame_units))
        weights = cluster_weights(len(union), context.replicates, context.seed, site, "folds")
        parts = []
        for (name, sample), units in zip(members, frame_units, strict=True):
            scored = sample.scored
            cluster = np.searchsorted(union, units)
            name_of_sample = f"{site} {'held out' if held_out else 'source'}"
            level = aggregate(sample.logits[:, scored], sample.truth[scored], cluster, weights, name_of_sample)
            parts.append(SiteInSplit(name, level, [int(label) for label in np.flatnonzero(level.view_counts)]))
        reasons = (context.why_not_estimable(part.aggregation, part.present) for part in parts)
        reason = next(filter(None, reasons), None)
        n = sum(len(units) for units in frame_units)
        sites.append(SiteOverSplits(site, held_out, tuple(parts), n, len(union), reason))
        progress.update(done, site)
    return sites
