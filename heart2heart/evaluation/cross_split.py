"""Evaluates methods over several splits of the same data: folds, draws of labels, or each hospital held out in turn.

One patient may be a test patient in several splits. All splits of a hospital therefore use the same resampled
patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import comparison_pairs, seed_spread, spread_within_splits
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, contrast_estimate
from heart2heart.evaluation.evaluate import check_predictions, margin_claim
from heart2heart.evaluation.intervals import CONFIDENCE, FEW_CLUSTERS, holm, not_estimable
from heart2heart.evaluation.run_groups import extended, group_runs
from heart2heart.evaluation.simultaneous import Family, make_family
from heart2heart.evaluation.sites import EvaluationContext
from heart2heart.evaluation.sites_over_splits import SiteOverSplits, sites_over_splits
from heart2heart.evaluation.task_words import TaskWords, with_task_words
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.margin import MarginClaim, RegisteredMargin
from heart2heart.schema.metrics import Simultaneous
from heart2heart.schema.metrics_files import FoldComparison, FoldDifference, FoldMethod, FoldMetrics, FoldSite
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import Estimate


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


def evaluate_folds(
    predictions: Sequence[Predictions],
    *,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    margin: RegisteredMargin | None = None,
    progress: Progress | None = None,
) -> FoldMetrics:
    """Summarise and compare methods over several splits.

    Args:
        predictions: One item per split, each with runs of the same methods.
        replicates: Bootstrap replicates, at least 100.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        margin: Largest acceptable loss of a method against another; None takes that of the predictions, if they have
            one.
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
    by_label = {label: MeasuredMethod(label, measured[label], seeds[label]) for label in labels}
    methods = tuple(
        _summarise_method(label, sum(len(m[label].runs) for m in by_split), hospitals, measured[label]).model_copy(
            update={"extends": bases.get(label), "addition": by_split[0][label].facts.addition}
        )
        for label in labels
    )
    pairs = [(by_label[one], by_label[two]) for one, two in comparison_pairs(methods)]
    family = _family(pairs, hospitals)
    claim = _margin_over_splits(predictions, margin)
    context = replace(context, family=family, margin=claim)
    words = TaskWords.of(first)
    metrics = FoldMetrics(
        splits=splits,
        synthetic=any(info.synthetic for each in predictions for info in each.provenance.sites),
        classes=first.classes,
        task=words.task,
        cases=words.cases,
        unit=first.split.unit,
        confidence=CONFIDENCE,
        replicates=replicates,
        seed=seed,
        few_clusters_below=FEW_CLUSTERS,
        methods=methods,
        simultaneous=Simultaneous(tests=family.tests, each=family.each),
        margin=claim,
        comparisons=tuple(_compare(one, two, hospitals, context) for one, two in pairs),
        left_out=tuple(sorted({label for methods in by_split for label in methods} - set(labels))),
    )
    return with_task_words(metrics, words)


def _margin_over_splits(predictions: Sequence[Predictions], margin: RegisteredMargin | None) -> MarginClaim | None:
    """Return the margin of all predictions, with the earliest look at test frames.

    Raises:
        EvaluationError: two predictions record different margins, or another one than is given.
    """
    chosen = margin or next((each.provenance.margin for each in predictions if each.provenance.margin), None)
    claims = [margin_claim(each.provenance, chosen) for each in predictions]
    return min((claim for claim in claims if claim), key=lambda claim: claim.first_look, default=None)


def _summarise_method(
    label: str, runs: int, hospitals: Sequence[SiteOverSplits], measured: Sequence[tuple[list[Floats], Contrast]]
) -> FoldMethod:
    sites = []
    for hospital, (points, accuracy) in zip(hospitals, measured, strict=True):
        means = [float(values.mean()) for values in points]
        sites.append(
            FoldSite(
                site=hospital.site,
                held_out=hospital.held_out,
                balanced_accuracy=hospital.estimate(accuracy),
                by_fold=dict(zip((part.split for part in hospital.parts), means, strict=True)),
                folds=seed_spread(means),
                seeds=spread_within_splits(points),
            )
        )
    return FoldMethod(
        method=label,
        runs=runs,
        sites=tuple(sites),
        held_out=_held_out_mean(hospitals, [accuracy for _, accuracy in measured]),
    )


def _held_out_mean(
    hospitals: Sequence[SiteOverSplits], contrasts: Sequence[Contrast], confidence: float = CONFIDENCE
) -> Estimate:
    indices = [index for index, hospital in enumerate(hospitals) if hospital.held_out]
    if not indices:
        return not_estimable("no hospital is held out")
    held_out = [hospitals[index] for index in indices]
    reason = next(
        (f"{hospital.site}: {hospital.why_not_estimable}" for hospital in held_out if hospital.why_not_estimable), None
    )
    return contrast_estimate(
        _mean_of(hospitals, contrasts),
        n=sum(hospital.n for hospital in held_out),
        clusters=sum(hospital.clusters for hospital in held_out),
        rarest=min(hospital.rarest for hospital in held_out),
        why_not_estimable=reason,
        confidence=confidence,
    )


def _mean_of(hospitals: Sequence[SiteOverSplits], contrasts: Sequence[Contrast]) -> Contrast:
    """Return the unweighted mean over the held-out hospitals."""
    held_out = [contrast for hospital, contrast in zip(hospitals, contrasts, strict=True) if hospital.held_out]
    return combine_contrasts(held_out, [1 / len(held_out)] * len(held_out))


@dataclass(frozen=True)
class MeasuredMethod:
    """One method over all splits: per hospital its values by split and run with their mean, and its seeds by split."""

    label: str
    sites: Sequence[tuple[list[Floats], Contrast]]
    seeds: dict[str, tuple[int, ...]]


def _differences(reference: MeasuredMethod, candidate: MeasuredMethod) -> list[Contrast]:
    return [
        combine_contrasts([after, before], [1.0, -1.0])
        for (_, before), (_, after) in zip(reference.sites, candidate.sites, strict=True)
    ]


def _family(pairs: Sequence[tuple[MeasuredMethod, MeasuredMethod]], hospitals: Sequence[SiteOverSplits]) -> Family:
    """Return all differences by hospital, and those of the means over the held-out hospitals, as one family."""
    claims = []
    for reference, candidate in pairs:
        differences = _differences(reference, candidate)
        claims += [
            difference
            for hospital, difference in zip(hospitals, differences, strict=True)
            if hospital.why_not_estimable is None
        ]
        held_out = [hospital for hospital in hospitals if hospital.held_out]
        if held_out and all(hospital.why_not_estimable is None for hospital in held_out):
            claims.append(_mean_of(hospitals, differences))
    return make_family(claims)


def _compare(
    reference: MeasuredMethod,
    candidate: MeasuredMethod,
    hospitals: Sequence[SiteOverSplits],
    context: EvaluationContext,
) -> FoldComparison:
    family = context.family
    rows = []
    differences = _differences(reference, candidate)
    for hospital, difference, (reference_values, _), (candidate_values, _) in zip(
        hospitals, differences, reference.sites, candidate.sites, strict=True
    ):
        pairs = [
            float(a[candidate.seeds[part.split].index(seed)] - b[index])
            for part, a, b in zip(hospital.parts, candidate_values, reference_values, strict=True)
            for index, seed in enumerate(reference.seeds[part.split])
            if seed in candidate.seeds[part.split]
        ]
        p = None if hospital.why_not_estimable else difference.p_value()
        simultaneous = hospital.estimate(difference, family.each)
        rows.append(
            FoldDifference(
                site=hospital.site,
                held_out=hospital.held_out,
                difference=hospital.estimate(difference),
                simultaneous=simultaneous,
                margin=context.judge_loss(simultaneous, sign=-1.0),
                p=p,
                p_holm=None,
                p_joint=None if p is None else family.adjust(p),
                pairs=seed_spread(pairs),
            )
        )
    tested = [index for index, row in enumerate(rows) if row.p is not None]
    for index, adjusted in zip(tested, holm([rows[index].p or 0.0 for index in tested]), strict=True):
        rows[index] = rows[index].model_copy(update={"p_holm": adjusted})
    return FoldComparison(
        reference=reference.label,
        candidate=candidate.label,
        sites=tuple(rows),
        held_out=_held_out_mean(hospitals, differences),
        simultaneous=_held_out_mean(hospitals, differences, family.each),
    )
