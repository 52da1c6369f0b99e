"""Checks predictions, and computes every metric from predictions alone: the content of `metrics.json`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.certificates import check_certificate
from heart2heart.evaluation.comparison import NO_SCORED_FRAME, claims_of, compare, summarise
from heart2heart.evaluation.confidence import ECE_BINS, frozen_threshold
from heart2heart.evaluation.fairness import subgroup_family
from heart2heart.evaluation.intervals import CONFIDENCE, FEW_CLUSTERS
from heart2heart.evaluation.label_shift import ShiftReference
from heart2heart.evaluation.probabilities import TEMPERATURES, fit_temperature, log_probabilities
from heart2heart.evaluation.run_groups import group_runs
from heart2heart.evaluation.samples import ValidationSample, digest, read_samples
from heart2heart.evaluation.scores import FittedOnValidation, empty_site, score_site
from heart2heart.evaluation.simultaneous import make_family
from heart2heart.evaluation.sites import KEPT_ON_VALIDATION, EvaluationContext, arrange, empty_summary
from heart2heart.evaluation.subgroups import factor_levels
from heart2heart.evaluation.task_words import TaskWords, with_task_words
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.enums import CheckStatus, PredictionRole
from heart2heart.schema.margin import MarginClaim, RegisteredMargin
from heart2heart.schema.metrics import Metrics, RunMetrics, Simultaneous
from heart2heart.schema.predictions import Predictions, Provenance
from heart2heart.schema.site_metrics import Temperature
from heart2heart.schema.validation import DEFAULT_TASK
from heart2heart.schema.views import VIEWS

_REMEDY_SPLIT = "Make and certify a split with `heart2heart split`, then train and evaluate with it"


def check_predictions(predictions: Predictions) -> None:
    """Raise an error if predictions cannot give valid metrics.

    Raises:
        EvaluationError: There is no certificate, it is not valid, or a check of it failed; there is no run;
            a site is both source and held out; a row names an unknown run, site, role or view; a logit is not finite;
            or no test frame has a true view that is scored.
    """
    _check_split(predictions)
    provenance, table = predictions.provenance, predictions.table
    if not provenance.runs:
        raise EvaluationError("these predictions contain no run", remedy="Evaluate at least one training run")
    known: dict[str, set[str | None]] = {
        "run": {run.run for run in provenance.runs},
        "site": {info.site for info in provenance.sites},
        "role": set(PredictionRole),
        "truth": {*(VIEWS if provenance.task == DEFAULT_TASK else ()), *provenance.classes, None},
    }
    for column, allowed in known.items():
        unknown = sorted(set(pc.unique(table[column]).to_pylist()) - allowed, key=str)
        if unknown:
            what = f"unknown {provenance.task} label" if column == "truth" else f"rows with an unknown {column}"
            allowed_words = ", ".join(sorted(word for word in allowed if word))
            raise EvaluationError(f"{what}: {', '.join(map(str, unknown))}", remedy=f"Known: {allowed_words}")
    if not np.isfinite(predictions.logits).all():
        raise EvaluationError("some logits are not finite", remedy="The training diverged; train again")
    classes = pa.array(provenance.classes, type=pa.string())
    check_certificate(predictions)
    scored = pc.and_(pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["truth"], value_set=classes))
    if not pc.any(scored).as_py():
        what = f"no test frame has a label of a scored view ({', '.join(provenance.classes)})"
        raise EvaluationError(what, remedy="Label test frames, or use a split with labeled test patients")


def _check_split(predictions: Predictions) -> None:
    split = predictions.provenance.split
    where = f"split {split.name}"
    if not split.certificate_sha256 or not split.checks:
        raise EvaluationError("this split has no leakage certificate", where=where, remedy=_REMEDY_SPLIT)
    failed = [check.name for check in split.checks if check.status is CheckStatus.FAIL]
    if failed:
        what = f"the leakage certificate has failed checks ({', '.join(failed)})"
        raise EvaluationError(what, where=where, remedy=_REMEDY_SPLIT)
    both = sorted(set(split.source_sites) & set(split.held_out_sites))
    if both:
        raise EvaluationError(
            f"sites are both source and held out: {', '.join(both)}", where=where, remedy=_REMEDY_SPLIT
        )
    for info in predictions.provenance.sites:
        if info.held_out != (info.site in split.held_out_sites):
            what = "the split and the predictions disagree on whether this site is held out"
            raise EvaluationError(what, where=f"site {info.site}", remedy="Evaluate the runs again with this split")


def evaluate_predictions(
    predictions: Predictions,
    *,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    margin: RegisteredMargin | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Score every run at every site.

    Args:
        predictions: Rows and provenance, as in `predictions.parquet`; nothing else is read.
        replicates: Bootstrap replicates, at least 100.
        seed: Seed of the bootstrap; the same seed and predictions give the same numbers.
        bca: Compute bias-corrected and accelerated intervals instead of percentile intervals.
        margin: Largest acceptable loss; None takes that of the predictions, if they have one.
        progress: Notified after each site; its total is `len(predictions.provenance.sites)`.

    Raises:
        EvaluationError: The predictions fail a check (see `checks`), or there are fewer than 100 replicates.

    Examples:
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> [site.site for site in metrics.sites], [method.method for method in metrics.methods]
        (['A', 'B'], ['labels only'])
    """
    if replicates < 100:
        raise EvaluationError(f"{replicates} bootstrap replicates are too few", remedy="Use 10000, or at least 100")
    progress = progress or NoProgress()
    check_predictions(predictions)
    provenance = predictions.provenance
    samples, validation = read_samples(predictions)
    sites = []
    for done, (info, sample) in enumerate(zip(provenance.sites, samples, strict=True), start=1):
        sites.append(arrange(info, sample, replicates=replicates, seed=seed))
        progress.update(done, info.site)
    scored = [site for site in sites if site is not None]
    common = tuple(label for label in scored[0].present if all(label in site.present for site in scored))
    context = EvaluationContext(provenance.classes, common, provenance.split.unit, seed, replicates, bca)
    levels = factor_levels(samples)
    methods = group_runs(provenance.runs)
    family = make_family(claims_of(methods, sites, context))
    claim = margin_claim(provenance, margin)
    context = replace(context, family=family, margin=claim)
    label_of = {index: method.label for method in methods for index in method.runs}
    subgroups = [subgroup_family(sites, index, levels) for index in range(len(provenance.runs))]
    fits = [_fit_on_validation(sample) for sample in validation]
    runs = tuple(
        RunMetrics(
            run=run.run,
            method=label_of[index],
            seed=run.seed,
            temperature=_temperature(fitted, len(sample.truth)),
            sites=tuple(
                empty_site(site_sample, index, context, NO_SCORED_FRAME)
                if site is None
                else score_site(site, index, replace(context, subgroups=subgroups[index]), fitted, levels)
                for site, site_sample in zip(sites, samples, strict=True)
            ),
            subgroups=Simultaneous(tests=subgroups[index].tests, each=subgroups[index].each),
        )
        for index, (run, fitted, sample) in enumerate(zip(provenance.runs, fits, validation, strict=True))
    )
    names = [info.site for info in provenance.sites]
    kind = "BCa" if bca else "percentile"
    metrics = Metrics(
        predictions_sha256=digest(predictions),
        split_sha256=provenance.split.sha256,
        synthetic=any(info.synthetic for info in provenance.sites),
        classes=provenance.classes,
        common_views=tuple(provenance.classes[label] for label in common),
        task=provenance.task,
        training_data=provenance.validation.training_data if provenance.validation else None,
        training_data_note=provenance.validation.sentence() if provenance.validation else None,
        unit=provenance.split.unit,
        confidence=CONFIDENCE,
        interval=(
            f"Wilson intervals by class over whole {provenance.split.unit}s, joined by MOVER; "
            f"{kind} bootstrap for other statistics"
        ),
        simultaneous=Simultaneous(tests=family.tests, each=family.each),
        margin=claim,
        kept_on_validation=KEPT_ON_VALIDATION,
        replicates=replicates,
        seed=seed,
        few_clusters_below=FEW_CLUSTERS,
        ece_bins=ECE_BINS,
        sites=tuple(
            site.summary(provenance.classes) if site is not None else empty_summary(info, sample, NO_SCORED_FRAME)
            for info, site, sample in zip(provenance.sites, sites, samples, strict=True)
        ),
        runs=runs,
        methods=tuple(summarise(method, names, sites, context) for method in methods),
        comparisons=tuple(compare(methods[0], other, names, sites, context) for other in methods[1:]),
    )
    return with_task_words(metrics, TaskWords.of(provenance))


def margin_claim(provenance: Provenance, margin: RegisteredMargin | None = None) -> MarginClaim | None:
    """Return the margin that predictions are judged by, and whether it was registered after the first look.

    Args:
        provenance: Provenance of the predictions.
        margin: A margin that is not recorded in it.

    Raises:
        EvaluationError: the predictions record another margin.
    """
    recorded = provenance.margin
    if margin and recorded and margin != recorded:
        what = f"these predictions were judged by a margin of {recorded.margin:g} points, not {margin.margin:g}"
        raise EvaluationError(what, remedy="Give the margin of the evaluation, or none; a second one is a new question")
    chosen = margin or recorded
    if chosen is None:
        return None
    look = min(filter(None, (provenance.split.first_test_access, provenance.created)), default="")
    return MarginClaim(margin=chosen, sha256=chosen.digest(), first_look=look, after_look=chosen.registered_after(look))


def _fit_on_validation(sample: ValidationSample) -> FittedOnValidation:
    if not len(sample.truth):
        return FittedOnValidation(None, None, None)
    temperature = fit_temperature(sample.logits, sample.truth)
    return FittedOnValidation(
        temperature=temperature,
        threshold=frozen_threshold(log_probabilities(sample.logits)),
        reference=ShiftReference.of(log_probabilities(sample.logits, temperature), sample.truth, sample.cluster),
    )


def _temperature(fitted: FittedOnValidation, n: int) -> Temperature:
    reason = None if n else "no source validation frame of a scored view"
    smallest, largest = TEMPERATURES
    if fitted.temperature is not None and not smallest * 1.01 < fitted.temperature < largest / 1.01:
        reason = "at the limit of the search range: the logits are uninformative, or all validation frames are correct"
    return Temperature(value=fitted.temperature, n=n, reason=reason)
