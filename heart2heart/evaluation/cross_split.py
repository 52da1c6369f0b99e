"""Evaluates methods over several splits of the same data: folds, draws of labels, or each hospital held out in turn.

One patient may be a test patient in several splits. All splits of a hospital therefore use the same resampled
patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.aggregation import Aggregation, EvaluationContext, aggregate
from heart2heart.evaluation.checks import check_predictions
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import mean_over_views, seed_spread
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
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.fold_metrics import FoldComparison, FoldDifference, FoldMethod, FoldMetrics, FoldSite
from heart2heart.schema.metrics import SeedSpread
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
        predictions: One a split, each with the runs of the same methods.
        replicates: Bootstrap replicates, at least 100.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        progress: Told of each finished hospital.

    Raises:
        EvaluationError: predictions that cannot be scored, of the same split twice, or of different classes,
            geometries or units; no method that all splits have.
    """
    if replicates < 100:
        raise EvaluationError(f"{replicates} bootstrap replicates are too few", remedy="Use 10000, or at least 100")
    splits = check_splits(predictions)
    first = predictions[0].provenance
    setting = EvaluationContext(first.classes, (), first.split.unit, seed, replicates, bca)
    by_split = [{m.label: m for m in group_runs(each.provenance.runs)} for each in predictions]
    labels = [label for label in by_split[0] if all(label in methods for methods in by_split)]
    bases = extended([by_split[0][label] for label in labels])
    if not labels:
        raise EvaluationError("no method was run on every split", remedy="Name evaluations of the same methods")
    hospitals = sites_over_splits(predictions, list(splits), setting, progress or NoProgress())
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


def comparison_pairs(methods: Sequence[FoldMethod]) -> list[tuple[str, str]]:
    """Return who is compared with whom, each pair once: reference, then candidate.

    Every later method with the first; each with the method that it extends (`VAT + Fix-A-Step` with `VAT`); and the two
    with the highest means over the held-out hospitals, where such a mean exists.
    """
    labels = [method.method for method in methods]
    extends = {method.method: method.extends for method in methods}
    found = [(labels[0], label) for label in labels[1:]]
    found += [(base, label) for label in labels for base in labels if base == extends.get(label)]
    means = {method.method: method.held_out.value for method in methods if method.held_out.value is not None}
    if len(means) > 1:
        best, second = sorted(means, key=lambda label: -means[label])[:2]
        if (best, second) not in found:
            found.append((second, best))
    return list(dict.fromkeys(found))


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
                seeds=_spread_within_splits(points),
            )
        )
    values = [float(np.mean([each.mean() for each in points])) for points, _ in measured]
    return FoldMethod(
        method=label,
        runs=runs,
        sites=tuple(sites),
        held_out=_held_out_mean(hospitals, values, [draws for _, draws in measured]),
    )


def _spread_within_splits(points: Sequence[Floats]) -> SeedSpread:
    """Describe the spread over seeds within a split, pooled over the splits."""
    apart = np.concatenate([values - values.mean() for values in points])
    freedom = len(apart) - len(points)
    deviation = float(np.sqrt((apart**2).sum() / freedom)) if freedom else None
    return SeedSpread(n=len(apart), standard_deviation=deviation, low=float(apart.min()), high=float(apart.max()))


def _held_out_mean(
    hospitals: Sequence[SiteOverSplits], values: Sequence[float], draws: Sequence[Resamples]
) -> Estimate:
    chosen = [place for place, hospital in enumerate(hospitals) if hospital.held_out]
    if not chosen:
        return not_estimable("no hospital is held out")
    mine = [hospitals[place] for place in chosen]
    blocked = next(
        (f"{hospital.site}: {hospital.why_not_estimable}" for hospital in mine if hospital.why_not_estimable), None
    )
    return make_estimate(
        float(np.mean([values[place] for place in chosen])),
        combine_resamples([draws[place] for place in chosen], [1 / len(chosen)] * len(chosen), paired=False),
        n=sum(hospital.n for hospital in mine),
        clusters=sum(hospital.clusters for hospital in mine),
        why_not_estimable=blocked,
    )


def _compare(
    labels: tuple[str, str],
    hospitals: Sequence[SiteOverSplits],
    measured: tuple[Sequence[tuple[list[Floats], Resamples]], Sequence[tuple[list[Floats], Resamples]]],
    seeds: tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]],
) -> FoldComparison:
    rows, values, all_draws = [], [], []
    for hospital, (theirs, their_draws), (ours, our_draws) in zip(hospitals, *measured, strict=True):
        draws = combine_resamples([our_draws, their_draws], [1, -1], paired=True)
        value = float(np.mean([a.mean() - b.mean() for a, b in zip(ours, theirs, strict=True)]))
        pairs = [
            float(a[seeds[1][part.split].index(seed)] - b[place])
            for part, a, b in zip(hospital.parts, ours, theirs, strict=True)
            for place, seed in enumerate(seeds[0][part.split])
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
        values.append(value)
        all_draws.append(draws)
    tested = [place for place, row in enumerate(rows) if row.p is not None]
    for place, adjusted in zip(tested, holm([rows[place].p or 0.0 for place in tested]), strict=True):
        rows[place] = rows[place].model_copy(update={"p_holm": adjusted})
    held_out = _held_out_mean(hospitals, values, all_draws)
    return FoldComparison(reference=labels[0], candidate=labels[1], sites=tuple(rows), held_out=held_out)
