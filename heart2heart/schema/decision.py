"""What `decision.json` holds, as types: whether a model may be used, by hospital, and why."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from heart2heart.config import Config
from heart2heart.schema.criteria import CriteriaClaim
from heart2heart.schema.metrics_files import read_versioned
from heart2heart.schema.site_metrics import Estimate

DECISION_SCHEMA_VERSION = 1


class DecisionKind(StrEnum):
    """The four decisions."""

    USE = "use"
    """Every criterion is shown."""
    ADAPT = "use_after_adaptation_or_recalibration"
    """A criterion is missed, but an adapted model meets all, or the ranking shows that recalibration can mend it."""
    LABEL = "label_more_first"
    """Neither shown nor missed: more labeled patients decide."""
    REFUSE = "do_not_use"
    """A criterion is shown to be missed."""


class CriterionKind(StrEnum):
    """What a criterion is about."""

    BALANCED_ACCURACY = "balanced_accuracy"
    """A minimum."""
    SENSITIVITY = "sensitivity"
    """A minimum, of one class."""
    LOSS = "loss"
    """A maximum: balanced accuracy at the source minus there."""
    CALIBRATION = "calibration"
    """A maximum, either way: mean confidence minus the share of correct predictions."""
    UNKNOWN_CLASSES = "unknown_classes_auroc"
    """A minimum: AUROC of the largest probability, known against other classes."""
    PATIENTS = "patients"
    """A minimum number of patients."""
    RAREST_CLASS = "patients_of_rarest_class"
    """A minimum number of patients of the rarest class."""


COUNTS = (CriterionKind.PATIENTS, CriterionKind.RAREST_CLASS)
"""Criteria that are numbers of patients: they are met or not yet met, never missed."""


class CriterionResult(StrEnum):
    """What is shown about a criterion."""

    MET = "met"
    """The whole interval meets it."""
    MISSED = "missed"
    """The whole interval misses it."""
    NOT_SHOWN = "not_shown"
    """The interval includes the limit, there is no interval, or there are too few patients."""


class JudgedCriterion(Config):
    """One criterion at one hospital."""

    kind: CriterionKind
    """What it is about."""
    class_name: str | None = None
    """The class of a sensitivity; null for other criteria."""
    limit: float
    """The limit: a fraction of 1, or a number of patients."""
    estimate: Estimate | None = None
    """The statistic with the interval that judges it; null for a number of patients."""
    count: int | None = None
    """The number of patients; null for a statistic."""
    result: CriterionResult
    """What is shown."""
    patients_needed: int | None = None
    """Patients of the hospital, in all, that would probably decide it; null: it is decided, or more than
    `Criteria.most_patients` are needed."""
    by_assumption: bool = False
    """`patients_needed` rests on the source or on assumed values, because the hospital has no estimate."""


class Ranking(Config):
    """Whether the ranking of one class shows that another threshold would reach the minimum."""

    class_name: str
    """The class."""
    auroc: float | None
    """AUROC of the class against the rest; the lowest of several seeds."""
    low: float | None
    """Lower end of its 95 % interval, the lowest of several seeds."""
    needed: float
    """AUROC at which a threshold reaches the minimum for the class and for the rest, if scores are normal."""

    @property
    def sufficient(self) -> bool:
        """Whether the whole interval reaches it."""
        return self.low is not None and self.low >= self.needed


class HospitalDecision(Config):
    """The decision about one hospital."""

    site: str
    """The hospital."""
    decision: DecisionKind
    """The decision."""
    reason: str
    """Why, in one sentence with the numbers."""
    patients: int
    """Labeled patients that it rests on."""
    more_patients: int | None
    """More labeled patients that would probably decide it; 0: it is decided; null: more than
    `Criteria.most_patients` in all."""
    adapted_method: str | None = None
    """The adapted model that meets every criterion; null: there is none."""
    criteria: tuple[JudgedCriterion, ...]
    """Every criterion."""
    rankings: tuple[Ranking, ...] = ()
    """The rankings that were looked at because a criterion is missed."""


class DecisionRecord(Config):
    """The decisions about a model."""

    schema_version: int = DECISION_SCHEMA_VERSION
    """Version of this layout."""
    method: str
    """Name of the model."""
    model_sha256: str | None
    """Hash of the model that was validated; null: an evaluation of runs, see `configs_sha256`."""
    configs_sha256: dict[str, str]
    """By run of the model: hash of its configuration."""
    predictions_sha256: str
    """Hash of the predictions."""
    split_sha256: str
    """Hash of the split; empty: not at hand."""
    predicted: str
    """When the predictions were made, UTC, ISO 8601."""
    code_version: str
    """Version of heart2heart."""
    synthetic: bool
    """At least one hospital is simulated."""
    unit: str
    """What is counted and resampled, such as `patient`."""
    task: str
    """Noun of what the classes are."""
    claim: CriteriaClaim
    """The criteria, with their hash, and whether they came before the result."""
    loss_limit: float | None
    """The largest loss in force, as a fraction of 1; null: no criterion."""
    each: float
    """Nominal coverage of each interval."""
    intervals: int
    """Number of intervals that hold together."""
    hospitals: tuple[HospitalDecision, ...]
    """The decisions."""
    notes: tuple[str, ...]
    """What a reader must know beside them."""


def read_decision(path: Path) -> DecisionRecord:
    """Read a `decision.json`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: of another schema version, or damaged.
    """
    return read_versioned(
        path, DecisionRecord, version=DECISION_SCHEMA_VERSION, what="decision", verb="report --accept"
    )
