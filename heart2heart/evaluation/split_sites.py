"""Hospitals over several splits: each is measured in all its splits on the same resampled patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.aggregation import Aggregation, EvaluationContext, aggregate
from heart2heart.evaluation.checks import check_predictions
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import mean_over_views
from heart2heart.evaluation.intervals import Resamples, cluster_weights, combine_resamples, make_estimate
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.samples import SiteSample, read_samples
from heart2heart.progress import Progress
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import Estimate


@dataclass(frozen=True)
class SiteInSplit:
    """One hospital in one split."""

    split: str
    aggregation: Aggregation
    present: list[int]


@dataclass(frozen=True)
class SiteOverSplits:
    """One hospital in all splits where it is held out, or in all where it is not."""

    site: str
    held_out: bool
    parts: tuple[SiteInSplit, ...]
    n: int
    clusters: int
    why_not_estimable: str | None

    def measure(self, methods: dict[str, RunGroup]) -> tuple[list[Floats], Resamples]:
        """Return by split the value of each run, and the draws of the mean over splits of the mean over runs."""
        found = [mean_over_views(part.aggregation, methods[part.split].runs, part.present) for part in self.parts]
        share = [1 / len(found)] * len(found)
        return [points for points, _ in found], combine_resamples([draws for _, draws in found], share, paired=True)

    def estimate(self, value: float, draws: Resamples) -> Estimate:
        """Build the estimate of a statistic over the splits."""
        return make_estimate(value, draws, n=self.n, clusters=self.clusters, why_not_estimable=self.why_not_estimable)


def check_splits(predictions: Sequence[Predictions]) -> dict[str, str]:
    """Return hash by name of the splits, or say why they cannot be taken together."""
    splits: dict[str, str] = {}
    for each in predictions:
        check_predictions(each)
        about = each.provenance
        for name in ("classes", "geometry"):
            if getattr(about, name) != getattr(predictions[0].provenance, name):
                raise EvaluationError(f"predictions of different {name} cannot be taken together")
        if about.split.unit != predictions[0].provenance.split.unit:
            raise EvaluationError("predictions of splits by different units cannot be taken together")
        if about.split.sha256 in splits.values():
            what = "two predictions are of the same split"
            raise EvaluationError(what, where=about.split.name, remedy="Evaluate runs of one split together")
        name = about.split.name
        splits[name if name not in splits else f"{name} ({about.split.sha256[:8]})"] = about.split.sha256
    return splits


def sites_over_splits(
    predictions: Sequence[Predictions], names: Sequence[str], setting: EvaluationContext, progress: Progress
) -> list[SiteOverSplits]:
    """Evaluate each hospital over all splits that test it: source hospitals first, each group by name.

    Args:
        predictions: The predictions of each split.
        names: The name of each split, in the same order.
        setting: Classes, resamples and the other settings that all hospitals share.
        progress: Receives the percentage done.
    """
    groups: dict[tuple[str, bool], list[tuple[str, SiteSample]]] = {}
    for name, each in zip(names, predictions, strict=True):
        samples, _ = read_samples(each)
        for info, sample in zip(each.provenance.sites, samples, strict=True):
            if sample.scored.any():
                groups.setdefault((info.site, info.held_out), []).append((name, sample))
    found = []
    # Where each hospital is left out in turn, all sources stand first, then all that are held out.
    ordered = sorted(groups.items(), key=lambda group: (group[0][1], group[0][0]))
    for done, ((site, held_out), members) in enumerate(ordered, start=1):
        owners = [sample.unit_names[sample.cluster[sample.scored]] for _, sample in members]
        union = np.unique(np.concatenate(owners))
        weights = cluster_weights(len(union), setting.replicates, setting.seed, site, "folds")
        parts = []
        for (name, sample), owner in zip(members, owners, strict=True):
            scored = sample.scored
            cluster = np.searchsorted(union, owner)
            level = aggregate(sample.logits[:, scored], sample.truth[scored], cluster, weights, bca=setting.bca)
            parts.append(SiteInSplit(name, level, [int(label) for label in np.flatnonzero(level.view_counts)]))
        reasons = (setting.why_not_estimable(part.aggregation, part.present) for part in parts)
        blocked = next((reason for reason in reasons if reason), None)
        n = sum(len(owner) for owner in owners)
        found.append(SiteOverSplits(site, held_out, tuple(parts), n, len(union), blocked))
        progress.update(done, site)
    return found
