"""Decides about every hospital of an evaluation by criteria: the content of `decision.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.errors import EvaluationError, UnknownNameError
from heart2heart.evaluation.criteria_estimates import CriteriaEstimates, estimate_criteria
from heart2heart.evaluation.criteria_statistics import CriteriaSamples, CriteriaTerms, questions_of
from heart2heart.evaluation.decision import choose_decision, needed_auroc
from heart2heart.evaluation.decision_sentences import describe_reason
from heart2heart.evaluation.labels_to_decide import PatientCounts, judge_counts, judge_measured, more_patients
from heart2heart.evaluation.run_groups import RunGroup, group_runs
from heart2heart.schema.criteria import REGISTERED, Criteria, claim_criteria
from heart2heart.schema.decision import (
    CriterionKind,
    CriterionResult,
    DecisionKind,
    DecisionRecord,
    HospitalDecision,
    JudgedCriterion,
    Ranking,
)
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.validation import TrainingData


def make_decision(predictions: Predictions, metrics: Metrics, criteria: Criteria) -> DecisionRecord:
    """Decide about every hospital.

    Args:
        predictions: Predictions with their provenance.
        metrics: `evaluate_predictions(predictions)`.
        criteria: The criteria.

    Raises:
        UnknownNameError: a class, a hospital or a model that the predictions do not have.
        EvaluationError: a criterion about a source hospital, a loss without a source, or a loss that contradicts the
            registered margin.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> criteria = Criteria(question="Use?", written_by="AB", balanced_accuracy=80)
        >>> [decision.site for decision in make_decision(predictions, metrics, criteria).hospitals]
        ['B']
    """
    provenance = predictions.provenance
    groups = group_runs(provenance.runs)
    method = choose_method(groups, criteria.method)
    adapted = [group for group in groups if group.facts.adaptation and group is not method]
    runs = {run.run: run for run in provenance.runs}
    notes = []
    if provenance.validation is None and any(check.status == "warn" for check in provenance.split.checks):
        notes.append("The leakage certificate contains warnings; the report lists them.")
    origin = Origin(
        model_sha256=provenance.validation.model_sha256 if provenance.validation else None,
        configs_sha256={name: runs[name].config_sha256 for name in method.names},
        predicted=provenance.created,
        first_look=min(filter(None, (provenance.split.first_test_access, provenance.created)), default=""),
        code_version=provenance.code_version,
        notes=tuple(notes),
    )
    return decide_by_terms(CriteriaSamples(predictions, metrics), metrics, criteria, [method, *adapted], origin)


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a decision come from.

    Attributes:
        model_sha256: Hash of the model that was validated, or None.
        configs_sha256: By run of the model, the hash of its configuration, where it is known.
        predicted: When the predictions were made, UTC, ISO 8601.
        first_look: When test frames were first predicted; empty if it is not known.
        code_version: Version of heart2heart.
        notes: What a reader must know of them.
    """

    model_sha256: str | None
    configs_sha256: dict[str, str]
    predicted: str
    first_look: str
    code_version: str
    notes: tuple[str, ...]


def decide_by_terms(
    terms: CriteriaTerms, metrics: Metrics, criteria: Criteria, models: Sequence[RunGroup], origin: Origin
) -> DecisionRecord:
    """Decide about every hospital from the statistics of its criteria.

    Args:
        terms: The statistics, of rows or of counts.
        metrics: The scores of the same hospitals.
        criteria: The criteria.
        models: The model, then adapted models.
        origin: Where the numbers come from.

    Raises:
        UnknownNameError: a class or a hospital that the metrics do not have.
        EvaluationError: see `make_decision`.
    """
    method, *adapted = models
    names = _choose_hospitals(metrics, criteria.hospitals)
    loss = _loss_limit(criteria, metrics)
    estimates = estimate_criteria(
        terms, questions_of(criteria, metrics.classes, loss), models, names, criteria.interval
    )
    margin_sha256 = metrics.margin.sha256 if criteria.loss == REGISTERED and metrics.margin else None
    claim = claim_criteria(criteria, origin.first_look, margin_sha256)
    return DecisionRecord(
        method=method.label,
        model_sha256=origin.model_sha256,
        configs_sha256=origin.configs_sha256,
        predictions_sha256=metrics.predictions_sha256,
        split_sha256=metrics.split_sha256,
        predicted=origin.predicted,
        code_version=origin.code_version,
        synthetic=metrics.synthetic,
        unit=metrics.unit,
        task=metrics.task,
        claim=claim,
        loss_limit=loss,
        each=estimates.each,
        intervals=estimates.intervals,
        hospitals=tuple(_decide_hospital(name, method, adapted, estimates, criteria, metrics) for name in names),
        notes=tuple(_notes(metrics, claim.note(), criteria, origin.notes)),
    )


def choose_method(groups: Sequence[RunGroup], name: str | None) -> RunGroup:
    """Return the model of a name; None takes the last that is not adapted.

    Raises:
        UnknownNameError: no such model.
    """
    if name is None:
        last = groups[-1]
        plain = [group for group in groups if not group.facts.adaptation]
        same = [group for group in plain if group.facts == last.facts.model_copy(update={"adaptation": None})]
        return (same or plain or [last])[-1]
    for group in groups:
        if group.label == name:
            return group
    raise UnknownNameError.among("model", name, [group.label for group in groups])


def _choose_hospitals(metrics: Metrics, names: Sequence[str]) -> list[str]:
    held_out = [site.site for site in metrics.sites if site.held_out]
    for name in names:
        if name not in {site.site for site in metrics.sites}:
            raise UnknownNameError.among("hospital", name, held_out)
        if name not in held_out:
            what = "this hospital is a source of the training: a decision is about hospitals without a part in it"
            raise EvaluationError(what, where=name, remedy="Remove it from `hospitals`")
    if not held_out:
        what = "these predictions have no hospital without a part in training, so there is nothing to decide"
        raise EvaluationError(what, remedy="Validate the model at another hospital with `heart2heart validate`")
    return list(names) or held_out


def _loss_limit(criteria: Criteria, metrics: Metrics) -> float | None:
    if criteria.loss is None:
        return None
    if criteria.loss == REGISTERED:
        if metrics.margin is None:
            remedy = "Give --margin, or write the largest loss as a number"
            raise EvaluationError("`loss` takes a registered margin, and there is none", where="loss", remedy=remedy)
        return metrics.margin.fraction
    limit = float(criteria.loss)
    if metrics.margin is not None and metrics.margin.margin.margin != limit:
        what = f"a largest loss of {limit:g} points contradicts the registered margin of "
        what += f"{metrics.margin.margin.margin:g} points"
        raise EvaluationError(what, where="loss", remedy="Write `loss: registered`, or leave the margin out")
    return limit / 100


def _decide_hospital(
    name: str,
    method: RunGroup,
    adapted: Sequence[RunGroup],
    estimates: CriteriaEstimates,
    criteria: Criteria,
    metrics: Metrics,
) -> HospitalDecision:
    summary = next(site for site in metrics.sites if site.site == name)
    counts = PatientCounts(summary.clusters, min(summary.view_clusters.values(), default=0))

    def judged_by(label: str) -> list[JudgedCriterion]:
        measured = [
            judge_measured(each, label, estimates, criteria, counts) for each in estimates.measured[label, name]
        ]
        return [*measured, *judge_counts(criteria, counts)]

    judged = judged_by(method.label)
    meeting = (
        group.label
        for group in adapted
        if all(criterion.result is CriterionResult.MET for criterion in judged_by(group.label))
    )
    adapted_method = next(meeting, None)
    rankings = _rankings(name, method, judged, metrics)
    decision = choose_decision(judged, rankings, adapted=adapted_method is not None)
    if decision is not DecisionKind.ADAPT:
        adapted_method = None
    return HospitalDecision(
        site=name,
        decision=decision,
        reason=describe_reason(decision, judged, rankings, adapted_method, metrics.unit),
        patients=counts.all,
        more_patients=more_patients(
            decision,
            judged,
            rankings,
            adapted=adapted_method is not None,
            counts=counts,
            limits=criteria,
            each=estimates.each,
        ),
        adapted_method=adapted_method,
        criteria=tuple(judged),
        rankings=tuple(rankings),
    )


def _rankings(name: str, method: RunGroup, judged: Sequence[JudgedCriterion], metrics: Metrics) -> list[Ranking]:
    """Return the rankings of the classes that missed accuracies concern: one class, or every class of the hospital."""
    index = [site.site for site in metrics.sites].index(name)
    runs = [run.sites[index] for run in metrics.runs if run.run in method.names]
    minimum: dict[str, float] = {}
    for criterion in judged:
        if criterion.result is not CriterionResult.MISSED:
            continue
        if criterion.kind is CriterionKind.SENSITIVITY and criterion.class_name is not None:
            classes, limit = [criterion.class_name], criterion.limit
        elif criterion.kind in (CriterionKind.BALANCED_ACCURACY, CriterionKind.LOSS):
            classes, limit = list(metrics.sites[index].views), criterion.limit
            if criterion.kind is CriterionKind.LOSS:
                limit = _accuracy_without_loss(name, method, criterion, metrics)
        else:
            continue
        for each in classes:
            minimum[each] = max(minimum.get(each, 0.0), limit)
    rankings = []
    for class_name, limit in minimum.items():
        estimates = [run.auroc[class_name] for run in runs]
        values = [estimate.value for estimate in estimates if estimate.value is not None]
        lows = [estimate.low for estimate in estimates if estimate.low is not None]
        known = bool(runs) and len(values) == len(lows) == len(runs)
        rankings.append(
            Ranking(
                class_name=class_name,
                auroc=min(values) if known else None,
                low=min(lows) if known else None,
                needed=needed_auroc(min(max(limit, 1e-6), 1 - 1e-6)),
            )
        )
    return rankings


def _accuracy_without_loss(name: str, method: RunGroup, criterion: JudgedCriterion, metrics: Metrics) -> float:
    """Return the balanced accuracy at which the loss just meets its limit: that of the source, less the limit."""
    summary = next(each for each in metrics.methods if each.method == method.label)
    here = next(site.balanced_accuracy.value for site in summary.sites if site.site == name) or 0.0
    loss = criterion.estimate.value if criterion.estimate else None
    return here + (loss or 0.0) - criterion.limit


def _notes(metrics: Metrics, first: str, criteria: Criteria, more: Sequence[str]) -> list[str]:
    notes = [first]
    if metrics.synthetic:
        notes.append("SYNTHETIC DATA: at least one hospital is simulated. This decides nothing about real patients.")
    if criteria.loss == REGISTERED and metrics.margin and metrics.margin.after_look:
        notes.append("The margin was registered after the model was first tested: it confirms nothing.")
    if metrics.training_data in (TrainingData.NOT_SEEN, TrainingData.NAMES_COMPARED) and metrics.training_data_note:
        notes.append(metrics.training_data_note)
    notes += more
    notes.append(
        "The decision holds for the hospitals named here, for this model, and for patients like those tested. It is no "
        "approval of a medical device."
    )
    return notes
