"""Evaluates methods over several splits of the same data: folds, draws of labels, or each hospital held out in turn.

One patient may be a test patient in several splits. All splits of a hospital therefore use the same resampled
patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import comparison_pairs, mean_over_views, seed_spread, spread_within_splits
from heart2heart.evaluation.evaluate import check_predictions
from heart2heart.evaluation.intervals import (
    CONFIDENCE,
    FEW_CLUSTERS,
    Resamples,
    bootstrap_p,
    cluster_weights,
    combine_resamples,
    holm,
    make_estimate,
    not_estimable,
)
from heart2heart.evaluation.run_groups import RunGroup, extended, group_runs
from heart2heart.evaluation.samples import SiteSample, read_samples
from heart2heart.evaluation.sites import Aggregation, EvaluationContext, aggregate
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.metrics_files import FoldComparison, FoldDifference, FoldMethod, FoldMetrics, FoldSite
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

    def measure(self, methods: dict[str, RunGroup]) -> tuple[list[Floats], Resamples]:
        """Return the value of each run by split, and the resampled mean over splits of the mean over runs."""
        split_results = [
            mean_over_views(part.aggregation, methods[part.split].runs, part.present) for part in self.parts
        ]
        weights = [1 / len(split_results)] * len(split_results)
        return [points for points, _ in split_results], combine_resamples(
            [draws for _, draws in split_results], weights, paired=True
        )

    def estimate(self, value: float, draws: Resamples) -> Estimate:
        """Build the estimate of a statistic over the splits."""
        return make_estimate(value, draws, n=self.n, clusters=self.clusters, why_not_estimable=self.why_not_estimable)


def check_splits(predictions: Sequence[Predictions]) -> dict[str, str]:
    """Return the hash of each split by name.

    Raises:
        EvaluationError: The predictions cannot be combined.
    """
    splits: dict[str, str] = {}
    for each in predictions:
        check_predictions(each)
        provenance = each.provenance
        for name in ("classes", "geometry"):
            if getattr(provenance, name) != getattr(predictions[0].provenance, name):
                raise EvaluationError(f"predictions of different {name} cannot be combined")
        if provenance.split.unit != predictions[0].provenance.split.unit:
            raise EvaluationError("predictions of splits by different units cannot be combined")
        if provenance.split.sha256 in splits.values():
            what = "two prediction files are of the same split"
            raise EvaluationError(what, where=provenance.split.name, remedy="Evaluate runs of one split together")
        name = provenance.split.name
        splits[name if name not in splits else f"{name} ({provenance.split.sha256[:8]})"] = provenance.split.sha256
    return splits


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
            level = aggregate(sample.logits[:, scored], sample.truth[scored], cluster, weights, bca=context.bca)
            parts.append(SiteInSplit(name, level, [int(label) for label in np.flatnonzero(level.view_counts)]))
        reasons = (context.why_not_estimable(part.aggregation, part.present) for part in parts)
        reason = next(filter(None, reasons), None)
        n = sum(len(units) for units in frame_units)
        sites.append(SiteOverSplits(site, held_out, tuple(parts), n, len(union), reason))
        progress.update(done, site)
    return sites


def evaluate_folds(
    predictions: Sequence[Predictions],
    *,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    progress: Progress | None = None,
) -> FoldMetrics:
    """Summarise and compare methods over several splits.

    Args:
        predictions: One item per split, each with runs of the same methods.
        replicates: Bootstrap replicates, at least 100.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        progress: Notified after each hospital.

    Raises:
        EvaluationError: Predictions cannot be scored, two are of the same split, or their classes, geometries or units
            differ; or no method was run on every split.

    Examples:
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> folds = evaluate_folds([predictions], replicates=100)
        >>> [(site.site, site.held_out) for site in folds.methods[0].sites]
        [('A', False), ('B', True)]
    """
    if replicates < 100:
        raise EvaluationError(f"{replicates} bootstrap replicates are too few", remedy="Use 10000, or at least 100")
    splits = check_splits(predictions)
    first = predictions[0].provenance
    context = EvaluationContext(first.classes, (), first.split.unit, seed, replicates, bca)
    by_split = [{m.label: m for m in group_runs(each.provenance.runs)} for each in predictions]
    labels = [label for label in by_split[0] if all(label in methods for methods in by_split)]
    bases = extended([by_split[0][label] for label in labels])
    if not labels:
        raise EvaluationError("no method was run on every split", remedy="Name evaluations of the same methods")
    hospitals = sites_over_splits(predictions, list(splits), context, progress or NoProgress())
    measured = {
        label: [site.measure({name: m[label] for name, m in zip(splits, by_split, strict=True)}) for site in hospitals]
        for label in labels
    }
    seeds = {label: {name: m[label].seeds for name, m in zip(splits, by_split, strict=True)} for label in labels}
    methods = tuple(
        _summarise_method(label, sum(len(m[label].runs) for m in by_split), hospitals, measured[label]).model_copy(
            update={"extends": bases.get(label), "addition": by_split[0][label].facts.addition}
        )
        for label in labels
    )
    return FoldMetrics(
        splits=splits,
        synthetic=any(info.synthetic for each in predictions for info in each.provenance.sites),
        classes=first.classes,
        unit=first.split.unit,
        confidence=CONFIDENCE,
        replicates=replicates,
        seed=seed,
        few_clusters_below=FEW_CLUSTERS,
        methods=methods,
        comparisons=tuple(
            _compare((one, two), hospitals, (measured[one], measured[two]), (seeds[one], seeds[two]))
            for one, two in comparison_pairs(methods)
        ),
        left_out=tuple(sorted({label for methods in by_split for label in methods} - set(labels))),
    )


def _summarise_method(
    label: str, runs: int, hospitals: Sequence[SiteOverSplits], measured: Sequence[tuple[list[Floats], Resamples]]
) -> FoldMethod:
    sites = []
    for hospital, (points, draws) in zip(hospitals, measured, strict=True):
        means = [float(values.mean()) for values in points]
        sites.append(
            FoldSite(
                site=hospital.site,
                held_out=hospital.held_out,
                balanced_accuracy=hospital.estimate(float(np.mean(means)), draws),
                by_fold=dict(zip((part.split for part in hospital.parts), means, strict=True)),
                folds=seed_spread(means),
                seeds=spread_within_splits(points),
            )
        )
    values = [float(np.mean([each.mean() for each in points])) for points, _ in measured]
    return FoldMethod(
        method=label,
        runs=runs,
        sites=tuple(sites),
        held_out=_held_out_mean(hospitals, values, [draws for _, draws in measured]),
    )


def _held_out_mean(
    hospitals: Sequence[SiteOverSplits], values: Sequence[float], draws: Sequence[Resamples]
) -> Estimate:
    indices = [index for index, hospital in enumerate(hospitals) if hospital.held_out]
    if not indices:
        return not_estimable("no hospital is held out")
    held_out = [hospitals[index] for index in indices]
    reason = next(
        (f"{hospital.site}: {hospital.why_not_estimable}" for hospital in held_out if hospital.why_not_estimable), None
    )
    return make_estimate(
        float(np.mean([values[index] for index in indices])),
        combine_resamples([draws[index] for index in indices], [1 / len(indices)] * len(indices), paired=False),
        n=sum(hospital.n for hospital in held_out),
        clusters=sum(hospital.clusters for hospital in held_out),
        why_not_estimable=reason,
    )


def _compare(
    labels: tuple[str, str],
    hospitals: Sequence[SiteOverSplits],
    measured: tuple[Sequence[tuple[list[Floats], Resamples]], Sequence[tuple[list[Floats], Resamples]]],
    seeds: tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]],
) -> FoldComparison:
    rows, differences, draws_by_site = [], [], []
    for hospital, (reference_values, reference_draws), (candidate_values, candidate_draws) in zip(
        hospitals, *measured, strict=True
    ):
        draws = combine_resamples([candidate_draws, reference_draws], [1, -1], paired=True)
        value = float(np.mean([a.mean() - b.mean() for a, b in zip(candidate_values, reference_values, strict=True)]))
        pairs = [
            float(a[seeds[1][part.split].index(seed)] - b[index])
            for part, a, b in zip(hospital.parts, candidate_values, reference_values, strict=True)
            for index, seed in enumerate(seeds[0][part.split])
            if seed in seeds[1][part.split]
        ]
        rows.append(
            FoldDifference(
                site=hospital.site,
                held_out=hospital.held_out,
                difference=hospital.estimate(value, draws),
                p=None if hospital.why_not_estimable else bootstrap_p(draws.replicates),
                p_holm=None,
                pairs=seed_spread(pairs),
            )
        )
        differences.append(value)
        draws_by_site.append(draws)
    tested = [index for index, row in enumerate(rows) if row.p is not None]
    for index, adjusted in zip(tested, holm([rows[index].p or 0.0 for index in tested]), strict=True):
        rows[index] = rows[index].model_copy(update={"p_holm": adjusted})
    held_out = _held_out_mean(hospitals, differences, draws_by_site)
    return FoldComparison(reference=labels[0], candidate=labels[1], sites=tuple(rows), held_out=held_out)
