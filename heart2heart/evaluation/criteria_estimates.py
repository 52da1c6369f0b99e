"""The statistics that criteria judge, each with an interval that holds together with all others of the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.contrasts import (
    contrast_estimate,
)
from heart2heart.evaluation.criteria_statistics import CriteriaTerms, Question, Term
from heart2heart.evaluation.intervals import (
    CONFIDENCE,
    Resamples,
    make_estimate,
    not_estimable,
)
from heart2heart.evaluation.patients_to_decide import Projection, project_contrast, project_estimate
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.simultaneous import Family, make_family
from heart2heart.schema.criteria import IntervalKind
from heart2heart.schema.decision import CriterionKind
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import random_stream


@dataclass(frozen=True)
class Measured:
    """One statistic of one model at one hospital.

    Attributes:
        question: The criterion.
        estimate: The statistic with its interval.
        projection: Its interval by number of patients; None without one.
    """

    question: Question
    estimate: Estimate
    projection: Projection | None


@dataclass(frozen=True)
class CriteriaEstimates:
    """Every statistic of a decision.

    Attributes:
        measured: By method and hospital, in the order of the questions.
        pilot: By method, the projections at the first source, for hospitals without an estimate.
        pilot_patients: Patients of that source; 0 without one.
        each: Nominal coverage of each interval.
        intervals: Number of intervals.
    """

    measured: Mapping[tuple[str, str], tuple[Measured, ...]]
    pilot: Mapping[str, Mapping[Question, Projection]]
    pilot_patients: int
    each: float
    intervals: int


def estimate_criteria(
    samples: CriteriaTerms,
    questions: Sequence[Question],
    methods: Sequence[RunGroup],
    sites: Sequence[str],
    kind: IntervalKind,
) -> CriteriaEstimates:
    """Compute every statistic of a decision with its interval.

    Simultaneous intervals follow `make_family`: each contrast keeps its small-sample interval, at a confidence at which
    all hold together. The AUROC of unknown classes has a bootstrap interval at the same confidence.

    Args:
        samples: The samples, of rows or of counts.
        questions: The criteria.
        methods: The model, and adapted models.
        sites: The hospitals.
        kind: Simultaneous or separate intervals.

    Raises:
        EvaluationError: a loss is to be judged, and there is no source.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.evaluation.criteria_statistics import CriteriaSamples
        >>> from heart2heart.evaluation.run_groups import group_runs
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> samples = CriteriaSamples(predictions, evaluate_predictions(predictions, replicates=100))
        >>> question = Question(CriterionKind.BALANCED_ACCURACY, None, 0.8)
        >>> methods = group_runs(predictions.provenance.runs)[:1]
        >>> estimates = estimate_criteria(samples, [question], methods, ["B"], IntervalKind.SEPARATE)
        >>> estimates.each, [site for _, site in estimates.measured]
        (0.95, ['B'])
    """
    sources = samples.sources(methods[0])
    if any(question.kind is CriterionKind.LOSS for question in questions) and not sources:
        what = "a loss against the source cannot be judged: these predictions have no scored frame of a source"
        raise EvaluationError(what, where="loss", remedy="Leave `loss` out of the criteria")
    contrasts = [question for question in questions if question.kind is not CriterionKind.UNKNOWN_CLASSES]
    terms = {
        (method.label, name, question): samples.term(question, method, name)
        for method in methods
        for name in sites
        for question in contrasts
    }
    rankings = {
        (method.label, name, question): samples.ranking_of_unknown(method, name)
        for method in methods
        for name in sites
        for question in questions
        if question not in contrasts
    }
    joint = [term.contrast for term in terms.values() if term.contrast and term.reason is None]
    ranked = sum(not isinstance(ranking, str) for ranking in rankings.values())
    family = add_independent(make_family(joint), ranked)
    each = family.each if kind is IntervalKind.SIMULTANEOUS else CONFIDENCE

    def measured(method: RunGroup, name: str, question: Question) -> Measured:
        key = (method.label, name, question)
        if key in rankings:
            return _ranked(question, rankings[key], samples.size(name), each)
        return _measured(question, terms[key], name, each)

    return CriteriaEstimates(
        measured={
            (method.label, name): tuple(measured(method, name, question) for question in questions)
            for method in methods
            for name in sites
        },
        pilot={method.label: samples.pilot(contrasts, method, each) for method in methods},
        pilot_patients=sources[0].clusters if sources else 0,
        each=each,
        intervals=family.tests,
    )


def add_independent(family: Family, tests: int) -> Family:
    """Return a family with further statistics, as if they were independent: intervals are then not too narrow.

    Args:
        family: The family.
        tests: Number of further statistics.

    Examples:
        >>> round(add_independent(make_family([]), 2).each, 2)
        0.97
    """
    if not tests:
        return family
    draws = max(len(family.maxima), 100_000)
    normal = np.abs(random_stream(0, "independent", tests).standard_normal((draws, tests))).max(1)
    maxima = np.maximum(normal, family.maxima) if family.tests else normal
    return replace(family, maxima=np.sort(maxima), tests=family.tests + tests)


def _measured(question: Question, term: Term, site: str, each: float) -> Measured:
    if term.contrast is None:
        return Measured(question, not_estimable(term.reason or "", n=term.n, clusters=term.clusters), None)
    estimate = contrast_estimate(
        term.contrast,
        n=term.n,
        clusters=term.clusters,
        rarest=term.rarest,
        why_not_estimable=term.reason,
        confidence=each,
    )
    if term.offset:
        moved = {end: getattr(estimate, end) for end in ("value", "low", "high")}
        estimate = estimate.model_copy(
            update={end: None if value is None else value + term.offset for end, value in moved.items()}
        )
    if term.reason is not None:
        return Measured(question, estimate, None)
    return Measured(question, estimate, project_contrast(term.contrast, site, each, offset=term.offset))


def _ranked(question: Question, ranking: tuple[float, Resamples] | str, size: tuple[int, int], each: float) -> Measured:
    rows, clusters = size
    if isinstance(ranking, str):
        return Measured(question, not_estimable(ranking, n=rows, clusters=clusters), None)
    value, draws = ranking
    estimate = make_estimate(value, draws, n=rows, clusters=clusters, confidence=each)
    return Measured(question, estimate, project_estimate(estimate, each))
