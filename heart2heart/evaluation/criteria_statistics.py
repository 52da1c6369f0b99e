"""The statistics that criteria are about, as contrasts over patients: of one model at one hospital."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heart2heart.errors import UnknownNameError
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.comparison import NO_SCORED_FRAME, gap_contrast
from heart2heart.evaluation.confidence import open_set_scores
from heart2heart.evaluation.contrasts import (
    Contrast,
    combine_contrasts,
    shares_by_cluster,
)
from heart2heart.evaluation.intervals import (
    Resamples,
    cluster_weights,
    combine_resamples,
)
from heart2heart.evaluation.patients_to_decide import Projection, project_contrast
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.ranking import auroc, resample_ranking
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.samples import SiteSample, read_samples
from heart2heart.evaluation.scored_sites import ScoredHospital
from heart2heart.evaluation.sites import EvaluationContext, ScoredSite, arrange
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import CriterionKind
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions


@dataclass(frozen=True)
class Question:
    """One criterion that is a statistic.

    Attributes:
        kind: What it is about.
        class_name: The class of a sensitivity; None for other criteria.
        limit: The limit, as a fraction of 1.
    """

    kind: CriterionKind
    class_name: str | None
    limit: float


def questions_of(criteria: Criteria, classes: Sequence[str], loss: float | None) -> tuple[Question, ...]:
    """Return the criteria that are statistics, in order.

    Args:
        criteria: The criteria.
        classes: Classes of the model.
        loss: The largest loss in force, as a fraction of 1.

    Raises:
        UnknownNameError: a class that the model does not have.

    Examples:
        >>> criteria = Criteria(question="Use?", written_by="AB", sensitivity={"A4C": 80}, loss=5)
        >>> [str(question.kind) for question in questions_of(criteria, ["A4C", "A2C"], 0.05)]
        ['sensitivity', 'loss']
    """
    questions = []
    if criteria.balanced_accuracy is not None:
        questions.append(Question(CriterionKind.BALANCED_ACCURACY, None, criteria.balanced_accuracy / 100))
    if isinstance(criteria.sensitivity, dict):
        for name, limit in criteria.sensitivity.items():
            if name not in classes:
                raise UnknownNameError.among("class", name, list(classes))
            questions.append(Question(CriterionKind.SENSITIVITY, name, limit / 100))
    elif criteria.sensitivity is not None:
        questions += [Question(CriterionKind.SENSITIVITY, name, criteria.sensitivity / 100) for name in classes]
    if loss is not None:
        questions.append(Question(CriterionKind.LOSS, None, loss))
    if criteria.calibration is not None:
        questions.append(Question(CriterionKind.CALIBRATION, None, criteria.calibration / 100))
    if criteria.unknown_classes_auroc is not None:
        questions.append(Question(CriterionKind.UNKNOWN_CLASSES, None, criteria.unknown_classes_auroc / 100))
    return tuple(questions)


@dataclass(frozen=True)
class Term:
    """A contrast of one question, before its confidence is known."""

    contrast: Contrast | None
    reason: str | None
    n: int = 0
    clusters: int = 0
    rarest: int | None = None
    offset: float = 0.0


class CriteriaTerms(ABC):
    """The statistics of criteria, of rows or of released counts.

    Attributes:
        context: Classes and kind of cluster.
    """

    context: EvaluationContext

    @abstractmethod
    def site(self, method: RunGroup, name: str) -> ScoredHospital | None:
        """Return a hospital as one model scored it; None without a scored frame."""

    @abstractmethod
    def sources(self, method: RunGroup) -> Sequence[ScoredHospital]:
        """Return the hospitals that trained the model."""

    @abstractmethod
    def overconfidence(self, method: RunGroup, name: str) -> Term:
        """Return the mean confidence less the accuracy, plus 1."""

    @abstractmethod
    def ranking_of_unknown(self, method: RunGroup, name: str) -> tuple[float, Resamples] | str:
        """Return the AUROC of known against other classes, the mean over the runs, with its resamples; or why not."""

    @abstractmethod
    def size(self, name: str) -> tuple[int, int]:
        """Return the frames of a hospital, of other classes too, and their clusters."""

    def term(self, question: Question, method: RunGroup, name: str) -> Term:
        """Return the contrast of one question at one hospital; not for unknown classes."""
        site = self.site(method, name)
        if site is None:
            return Term(None, NO_SCORED_FRAME)
        if question.kind is CriterionKind.CALIBRATION:
            return self.overconfidence(method, name)
        if question.kind is CriterionKind.LOSS:
            return self._loss(method, site)
        labels, counts = list(site.present), {"n": site.rows, "clusters": site.clusters}
        if question.kind is CriterionKind.SENSITIVITY:
            assert question.class_name is not None
            labels = [self.context.classes.index(question.class_name)]
            held = int(site.frames.view_clusters[labels[0]])
            if not held:
                reason = site.frames.why_hidden(labels)
                return Term(None, reason or f"no {self.context.unit} with {question.class_name}")
            counts = {"n": int(site.frames.view_counts[labels[0]]), "clusters": held}
        reason = self.context.why_not_estimable(site.frames, labels)
        if not labels:
            return Term(None, reason, **counts)
        rarest = site.frames.rarest(labels)
        return Term(site.frames.mean_sensitivity(method.runs, labels), reason, **counts, rarest=rarest)

    def _loss(self, method: RunGroup, site: ScoredHospital) -> Term:
        sources = self.sources(method)
        shared, contrast = gap_contrast(method, sources, site)
        every = [*sources, site]
        counts = {"n": site.rows, "clusters": site.clusters}
        if contrast is None:
            return Term(None, "no class in common with the source", **counts)
        reasons = (self.context.why_not_estimable(each.frames, shared) for each in every)
        rarest = min(each.frames.rarest(shared) for each in every)
        return Term(contrast, next((reason for reason in reasons if reason), None), **counts, rarest=rarest)

    def pilot(self, questions: Sequence[Question], method: RunGroup, each: float) -> dict[Question, Projection]:
        """Return the projections at the first source, as if a hospital had such patients and such an accuracy."""
        projections: dict[Question, Projection] = {}
        sources = self.sources(method)
        if not sources:
            return projections
        name = sources[0].name
        for question in questions:
            is_loss = question.kind is CriterionKind.LOSS
            term = self.term(
                Question(CriterionKind.BALANCED_ACCURACY, None, 0.0) if is_loss else question, method, name
            )
            if term.contrast is None or term.reason is not None:
                continue
            alike = _renamed(term.contrast, "pilot")
            contrast = combine_contrasts([term.contrast, alike], [1.0, -1.0]) if is_loss else alike
            projections[question] = project_contrast(contrast, "pilot", each, offset=term.offset)
        return projections


class CriteriaSamples(CriteriaTerms):
    """The samples of every hospital, from which the statistics of criteria are computed."""

    def __init__(self, predictions: Predictions, metrics: Metrics) -> None:
        provenance = predictions.provenance
        samples, _ = read_samples(predictions)
        self.samples: dict[str, SiteSample] = {sample.site: sample for sample in samples}
        self.sites: dict[str, ScoredSite | None] = {
            info.site: arrange(info, sample, replicates=1, seed=metrics.seed)
            for info, sample in zip(provenance.sites, samples, strict=True)
        }
        self.context = EvaluationContext(
            provenance.classes, (), provenance.split.unit, metrics.seed, metrics.replicates
        )

    def site(self, method: RunGroup, name: str) -> ScoredSite | None:
        """Return a hospital; its frames are those of every model."""
        return self.sites[name]

    def sources(self, method: RunGroup) -> list[ScoredSite]:
        """Return the hospitals that trained the model and have scored frames."""
        return [site for site in self.sites.values() if site is not None and not site.info.held_out]

    def size(self, name: str) -> tuple[int, int]:
        """Return the frames of a hospital, of other classes too, and their clusters."""
        sample = self.samples[name]
        return len(sample.truth), len(np.unique(sample.cluster))

    def overconfidence(self, method: RunGroup, name: str) -> Term:
        """Return the mean confidence less the accuracy, plus 1."""
        site = self.sites[name]
        assert site is not None
        counts = {"n": len(site.truth), "clusters": site.clusters}
        reason = None if site.clusters > 1 else f"only one {self.context.unit}; an interval needs two"
        return Term(_overconfidence(site, method.runs), reason, **counts, offset=-1.0)

    def ranking_of_unknown(self, method: RunGroup, name: str) -> tuple[float, Resamples] | str:
        """Return the AUROC of known against other classes, the mean over the runs, with its resamples; or why not."""
        sample = self.samples[name]
        inside = sample.scored.astype(np.int64)
        if not inside.any() or inside.all():
            return f"no case {'of another class' if inside.any() else 'of a known class'} at this hospital"
        names, cluster = np.unique(sample.cluster, return_inverse=True)
        if min(len(np.unique(cluster[inside == side])) for side in (0, 1)) < 2:
            return f"one of the two groups comes from only one {self.context.unit}; an interval needs two"
        weights = cluster_weights(len(names), self.context.replicates, self.context.seed, name, "open set")
        results = [
            resample_ranking(
                open_set_scores(sample.logits[run])["max_probability"], inside, cluster, weights, {"auroc": auroc}
            )["auroc"]
            for run in method.runs
        ]
        shares = [1 / len(results)] * len(results)
        draws = combine_resamples([draws for _, draws in results], shares, paired=True)
        return float(np.mean([value for value, _ in results])), draws


def _renamed(contrast: Contrast, sample: str) -> Contrast:
    return Contrast(tuple((replace(shares, sample=sample), weights) for shares, weights in contrast.parts))


def _overconfidence(site: ScoredSite, runs: Sequence[int]) -> Contrast:
    """Return twice the mean of (1 + confidence - correct) / 2, which is a share; less 1 it is the overconfidence."""
    rows: Floats = np.zeros(len(site.truth))
    for run in runs:
        log_p = log_probabilities(site.sample.logits[run, site.sample.scored])
        rows += (np.exp(log_p.max(1)) - (log_p.argmax(1) == site.truth)) / len(runs)
    sums: Floats = np.bincount(site.cluster, weights=(1 + rows) / 2).astype(np.float64)
    return twice_mean(sums, np.bincount(site.cluster).astype(np.float64), site.info.site)


def twice_mean(sums: Floats, counts: Floats, sample: str) -> Contrast:
    """Return twice the mean of rows that are numbers between 0 and 1, so the effective number may exceed their number.

    Args:
        sums: Sum of the rows of each cluster `(clusters,)`.
        counts: Number of rows of each cluster `(clusters,)`.
        sample: Name of the sample.

    Examples:
        >>> contrast = twice_mean(np.array([1.0, 0.9, 1.1]), np.array([2.0, 2.0, 2.0]), "north")
        >>> contrast.value, [round(limit, 2) for limit in contrast.interval(0.95)]
        (1.0, [0.76, 1.24])
    """
    shares = shares_by_cluster(sums[:, None], counts[:, None], sample)
    variance = (shares.influence**2).sum(0)
    if variance[0] > 0:
        shares = replace(shares, effective=shares.value * (1 - shares.value) / variance)
    return Contrast(((shares, np.array([2.0])),))
