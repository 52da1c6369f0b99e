"""Criteria for the use of a model at a hospital: the file that holds them, its registration and its template."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError
from heart2heart.schema.margin import RegistrationTime, look_came_first
from heart2heart.utils import sha256_json, write_text

CRITERIA_SCHEMA_VERSION = 1

MAX_BYTES = 2**18
"""Largest file of criteria, bytes."""
MAX_TEXT = 2000
"""Longest text, characters."""

REGISTERED = "registered"
"""Value of `Criteria.loss` that takes the registered margin of the evaluation."""


class IntervalKind(StrEnum):
    """Which intervals show a criterion."""

    SIMULTANEOUS = "simultaneous"
    """All intervals of all hospitals and criteria hold together with 95 %."""
    SEPARATE = "separate"
    """Each interval holds on its own with 95 %."""


class CriteriaRegistration(Config):
    """When criteria were registered, and their hash."""

    registered: RegistrationTime
    """When, UTC, ISO 8601."""
    sha256: str
    """Hash of the criteria without this part."""


class Criteria(Config):
    """What a model must reach at a hospital before it may be used there. Shares are percent, losses points."""

    schema_version: int = CRITERIA_SCHEMA_VERSION
    """Version of this layout."""
    question: str = Field(max_length=MAX_TEXT)
    """The question that the decision answers, in words."""
    written_by: str = Field(max_length=MAX_TEXT)
    """Who wrote the criteria."""
    method: str | None = None
    """Name of the model as the report has it; null takes the last one, or, if that was adapted, the one it was
    adapted from."""
    hospitals: tuple[str, ...] = ()
    """Hospitals to decide on; empty takes every hospital without a part in training."""
    balanced_accuracy: float | None = None
    """Minimum of the balanced accuracy, percent."""
    sensitivity: float | dict[str, float] | None = None
    """Minimum of the sensitivity, percent: one number for every class of the model, or a number by class."""
    loss: float | Literal["registered"] | None = None
    """Largest loss of balanced accuracy against the source, points; `registered` takes the margin of the evaluation."""
    calibration: float | None = None
    """Largest difference of the mean confidence from the share of correct predictions, points, either way."""
    unknown_classes_auroc: float | None = None
    """Minimum AUROC, percent, with which the largest probability tells known classes from others."""
    patients: int | None = Field(None, ge=1)
    """Minimum number of labeled patients."""
    patients_of_rarest_class: int | None = Field(None, ge=1)
    """Minimum number of labeled patients of the rarest class that the hospital has."""
    interval: IntervalKind = IntervalKind.SIMULTANEOUS
    """Which intervals show a criterion: `simultaneous` or `separate`."""
    power: float = 80.0
    """Probability, percent, with which the stated number of patients decides."""
    most_patients: int = Field(2000, ge=2, le=1_000_000)
    """Largest number of patients that is considered; beyond it the decision says "more than"."""
    registration: CriteriaRegistration | None = None
    """Time and hash, written by `heart2heart report --register-criteria`; null: not registered."""

    @field_validator("question", "written_by")
    @classmethod
    def _is_a_text(cls, text: str) -> str:
        text = " ".join(text.split())
        if not text:
            raise ValueError("write a text here")
        if not text.isprintable():
            raise ValueError("this text has characters that cannot be printed")
        return text

    @field_validator(
        "balanced_accuracy", "sensitivity", "loss", "calibration", "unknown_classes_auroc", "power", mode="after"
    )
    @classmethod
    def _is_possible(cls, limit: float | dict[str, float] | str | None) -> float | dict[str, float] | str | None:
        numbers = limit.values() if isinstance(limit, dict) else [limit]
        for number in numbers:
            if isinstance(number, float) and not 0 < number < 100:
                raise ValueError(f"{number:g} is not between 0 and 100, so no model can meet it, or every model does")
        return limit

    @model_validator(mode="after")
    def _fit_together(self) -> Criteria:
        if not any((self.balanced_accuracy, self.sensitivity, self.loss, self.calibration, self.unknown_classes_auroc)):
            raise ValueError("no criterion is set; set balanced_accuracy, sensitivity, loss or another one")
        if (self.patients_of_rarest_class or 0) > (self.patients or self.most_patients):
            raise ValueError(
                f"patients_of_rarest_class ({self.patients_of_rarest_class}) is larger than the number of all patients "
                f"({self.patients or self.most_patients}): these contradict each other"
            )
        if (self.patients or 0) > self.most_patients:
            raise ValueError(
                f"patients ({self.patients}) is larger than most_patients ({self.most_patients}): these contradict "
                "each other"
            )
        return self

    def content_sha256(self) -> str:
        """Return the hash of the criteria, without their registration."""
        return sha256_json(self.model_dump(mode="json", exclude={"registration"}))


class CriteriaClaim(Config):
    """The criteria that a decision used, and whether they came before the result."""

    criteria: Criteria
    """The criteria."""
    sha256: str
    """Hash of the criteria, without their registration."""
    margin_sha256: str | None = None
    """Hash of the registered margin that `loss` took; null: it took none."""
    first_look: str
    """When test frames were first predicted, UTC, ISO 8601."""
    after_look: bool
    """The criteria were registered after that, or not at all: the decision confirms nothing."""

    def note(self) -> str:
        """Say in one or two sentences whether the criteria came before the result."""
        registration, look = self.criteria.registration, self.first_look[:10]
        if registration is None:
            return (
                "The criteria were not registered, so nothing shows that they were written before the result. Criteria "
                "that are chosen after the result confirm nothing."
            )
        day = registration.registered[:10]
        if self.after_look:
            return (
                f"The criteria were written after the result: they were registered on {day}, and the model was first "
                f"tested on {look or 'an unknown date'}. Criteria that are chosen after the result confirm nothing."
            )
        return f"The criteria were registered on {day}, before the model was first tested ({look})."


def claim_criteria(criteria: Criteria, first_look: str, margin_sha256: str | None = None) -> CriteriaClaim:
    """Compare the registration of criteria with the first prediction of test frames.

    Args:
        criteria: The criteria.
        first_look: When test frames were first predicted, UTC, ISO 8601.
        margin_sha256: Hash of the registered margin that `loss` takes.

    Examples:
        >>> criteria = Criteria(question="Use?", written_by="AB", balanced_accuracy=80)
        >>> claim_criteria(criteria, "2026-01-01T00:00:00Z").after_look  # it was not registered
        True
    """
    registration = criteria.registration
    return CriteriaClaim(
        criteria=criteria,
        sha256=criteria.content_sha256(),
        margin_sha256=margin_sha256,
        first_look=first_look,
        after_look=registration is None or look_came_first(first_look, registration.registered),
    )


def read_criteria(path: Path) -> Criteria:
    """Read criteria from YAML.

    Raises:
        MissingInputError: no such file.
        ConfigError: not YAML, too large, an unknown key, an impossible limit, or criteria that contradict each other.
        EvaluationError: another schema version, or criteria that were changed after they were registered.
    """
    if not path.is_file():
        remedy = "Write them with: heart2heart report --criteria-template criteria.yaml"
        raise MissingInputError("no criteria here", where=path, remedy=remedy)
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"criteria are larger than {MAX_BYTES} bytes", where=path, remedy="Name the right file")
    try:
        criteria = Criteria.load(path)
    except ConfigError as error:
        raise ConfigError(error.what, where=path, remedy="docs/how-to/decide.md explains every key") from error
    if criteria.schema_version != CRITERIA_SCHEMA_VERSION:
        remedy = f"This version reads schema {CRITERIA_SCHEMA_VERSION}; write a new template"
        raise EvaluationError("these criteria have another schema version", where=path, remedy=remedy)
    if criteria.registration and criteria.registration.sha256 != criteria.content_sha256():
        remedy = "Restore the registered file, or remove `registration` and register the new criteria"
        raise EvaluationError("these criteria were changed after they were registered", where=path, remedy=remedy)
    return criteria


def register_criteria(path: Path) -> Criteria:
    """Append the time of now and the hash of the criteria to their file; the rest of the file stays as it is.

    Raises:
        MissingInputError: no such file.
        ConfigError: these are no possible criteria.
        ExistsError: the criteria are registered already.
    """
    criteria = read_criteria(path)
    if criteria.registration:
        remedy = "Write other criteria into another file"
        raise ExistsError("these criteria are already registered", where=path, remedy=remedy)
    registration = CriteriaRegistration(
        registered=datetime.now(UTC).isoformat(timespec="seconds"), sha256=criteria.content_sha256()
    )
    text = path.read_text(encoding="utf-8").rstrip("\n")
    lines = [f"  {name}: '{value}'" for name, value in registration.model_dump().items()]
    write_text(path, "\n".join([text, "registration:", *lines, ""]))
    return read_criteria(path)


_TEMPLATE = """\
# Criteria for the use of a model at a hospital. Shares are percent, losses are percentage points.
# Write them before the model is tested, then register them: heart2heart report --register-criteria FILE
# Remove a line, or leave its value empty, to leave a criterion out.
schema_version: 1
question: "May the model be used at this hospital?"  # the question that the decision answers
written_by: ""  # who wrote the criteria; required
method:  # name of the model in the report; empty: the last one, without its adaptation
hospitals: []  # names of hospitals; empty: every hospital without a part in training
balanced_accuracy: 85  # minimum
sensitivity: 75  # minimum for every class; or by class, such as {A4C: 80, PLAX: 70}
loss:  # largest loss against the source, such as 5; or: registered (the margin of the evaluation)
calibration: 10  # largest difference of the mean confidence from the share of correct predictions
unknown_classes_auroc:  # minimum AUROC that tells known classes from others
patients: 30  # minimum number of labeled patients
patients_of_rarest_class: 10  # minimum number of labeled patients of the rarest class
interval: simultaneous  # or: separate
power: 80  # probability with which the stated number of patients decides
most_patients: 2000  # beyond this number the decision says "more than"
"""


def criteria_template() -> str:
    """Return criteria to fill in, as YAML with a comment on each key."""
    return _TEMPLATE
