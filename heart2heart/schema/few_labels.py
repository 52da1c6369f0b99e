"""What few labels say of a hospital: estimates without labels, audits, and conformal sets, as files of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from heart2heart.config import Config
from heart2heart.utils import write_json

FEW_LABELS_SCHEMA_VERSION = 1


class MeasuredError(Config):
    """How far an estimator was from the truth where the truth is known."""

    hospitals: tuple[str, ...]
    """Names of the hospitals with labels; empty: simulated hospitals."""
    mean: float
    """Mean absolute error."""
    largest: float
    """Largest absolute error."""
    optimism: float
    """Mean of estimate less truth; above 0: it promises too much."""
    trials: int
    """Number of hospitals, real or simulated."""


class LabelFreeEstimate(Config):
    """One estimate of the accuracy of one hospital without labels: an alarm, not an accuracy."""

    site: str
    """The hospital."""
    estimator: str
    """`average_confidence`, `atc` or `agreement`."""
    value: float | None = None
    """Estimated accuracy; null: not estimable."""
    reference: float
    """Accuracy at the reference, measured with labels."""
    error: MeasuredError | None = None
    """The estimator's measured error."""
    alarm: bool = False
    """The estimate lies below the reference by more than the tolerance."""
    reason: str | None = None
    """Why there is no estimate."""


class LabelFreeReport(Config):
    """The estimates of every hospital of one file of predictions."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    kind: Literal["label_free"] = "label_free"
    """Kind of the file."""
    method: str
    """The method."""
    accuracy: float
    """Accuracy at the reference."""
    reference_cases: int
    """Labeled clips of the reference."""
    calibration_error: float
    """Expected calibration error of the largest probability at the reference, after temperature scaling."""
    tolerance: float
    """Fall below the reference that raises the alarm, as a share."""
    patients_known: bool
    """Whether the predictions name patients; the estimates do not need them."""
    estimates: tuple[LabelFreeEstimate, ...]
    """Every hospital and estimator."""


class PoweredEstimate(Config):
    """One prediction-powered estimate of a hospital."""

    name: str
    """`accuracy`, `balanced_accuracy`, `sensitivity:CLASS` or `share:CLASS`."""
    value: float | None = None
    """The estimate, a share; null: not estimable."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    audited: float | None = None
    """The value of the audited clips alone."""
    audited_low: float | None = None
    """Lower end of its interval."""
    audited_high: float | None = None
    """Upper end of its interval."""
    weight: float | None = None
    """Weight of the predictions, 0 to 1; null for a mean of several estimates."""
    patients: int = 0
    """Audited patients that it rests on."""
    reason: str | None = None
    """Why it is not estimable."""


class AuditReport(Config):
    """The estimates of one hospital from an audit."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    kind: Literal["audit"] = "audit"
    """Kind of the file."""
    site: str
    """The hospital."""
    method: str
    """The method."""
    draw: str
    """Strategy that drew the sample: `audit` or `audit_by_class`."""
    clips: int
    """All clips of the hospital with predictions."""
    patients: int
    """Their patients."""
    audited_clips: int
    """Drawn clips with a label."""
    audited_patients: int
    """Their patients."""
    unread: int
    """Drawn clips without a label; the estimates take them for missing at random."""
    outside: int
    """Audited clips whose label is no class of the model; they are not scored."""
    confidence: float
    """Nominal coverage of the intervals."""
    estimates: tuple[PoweredEstimate, ...]
    """The estimates."""


class Coverage(Config):
    """Measured coverage of conformal sets at one hospital."""

    site: str
    """The hospital."""
    calibrated_on: str
    """Where the threshold comes from: hospitals, or `E, 20 patients`."""
    patients: int
    """Patients that were measured."""
    coverage: float | None = None
    """Share of sets that hold the true class, as a mean over patients; null: not measured."""
    low: float | None = None
    """Lower end of its interval; with draws, of the range of 95 % of them."""
    high: float | None = None
    """Upper end."""
    size: float | None = None
    """Mean number of classes in a set."""
    draws: int = 0
    """Random choices of the calibration patients; 0: none was drawn."""
    reason: str | None = None
    """Why there is no measurement."""


class ConformalReport(Config):
    """A calibrated rule for sets, and its measured coverage."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    kind: Literal["conformal"] = "conformal"
    """Kind of the file."""
    method: str
    """The method."""
    score: str
    """`aps` or `lac`."""
    alpha: float
    """Accepted share of sets without the true class."""
    threshold: float | None
    """Largest score of a class in a set; null: every class is in it."""
    calibrated_on: str
    """Hospitals of the calibration patients."""
    patients: int
    """Calibration patients."""
    seed: int
    """Seed of the random part of APS and of the draws."""
    coverage: tuple[Coverage, ...]
    """Coverage by hospital: with this threshold, then recalibrated on patients of the hospital."""


def write_few_labels(report: LabelFreeReport | AuditReport | ConformalReport, path: Path) -> None:
    """Write a report as JSON under a temporary name, then rename."""
    write_json(path, report.model_dump(mode="json"))
