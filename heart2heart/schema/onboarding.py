"""What `onboarding.json` holds, as types: the steps from a new hospital's archive to the decision about a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from heart2heart.config import Config
from heart2heart.errors import ConfigError, StoreError
from heart2heart.utils import read_json

ONBOARDING_SCHEMA_VERSION = 1


class StepName(StrEnum):
    """The steps, in their order."""

    INGEST = "ingest"
    """DICOM files become frames without identity."""
    HEALTH = "health"
    """The store is checked: damage, identities, modes, readable files."""
    ADAPT = "adapt"
    """The model gets statistics of unlabeled frames of patients who are never scored."""
    PLAN = "plan"
    """The number of patients that a validation needs."""
    QUEUE = "queue"
    """Random patients are drawn, and their clips are listed for labeling."""
    LABEL = "label"
    """The labels are read and checked."""
    VALIDATE = "validate"
    """The frozen model is scored on the labeled patients."""
    DECIDE = "decide"
    """The criteria decide whether the model may be used."""


class StepState(StrEnum):
    """What became of a step."""

    DONE = "done"
    """It is finished."""
    NOT_POSSIBLE = "not_possible"
    """It cannot be done with this model or hospital; the next steps do without it."""
    WAITING = "waiting"
    """A person must do something first."""
    FAILED = "failed"
    """It ended with an error."""


class StepFact(Config):
    """One number or fact of a step, for readers."""

    name: str
    """What it is."""
    value: str
    """Its value, with the unit."""


class StepRecord(Config):
    """One step."""

    name: StepName
    """Which step."""
    state: StepState
    """What became of it."""
    summary: str
    """What was done, in one or two sentences."""
    facts: tuple[StepFact, ...] = ()
    """Its numbers."""
    missing: tuple[str, ...] = ()
    """What is missing or limits the result, one sentence each."""
    next_commands: tuple[str, ...] = ()
    """What a person does next: commands, with OUT for the folder."""
    files: tuple[str, ...] = ()
    """Files to read, as paths in the folder."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """By input: its hash. A step is done again when one of them changes."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """By file or folder in the folder: its hash. A step is done again when one of them is gone or changed."""
    finished: str = ""
    """When it ended, UTC, ISO 8601."""
    seconds: float = 0.0
    """Time that it took."""


class OnboardingRecord(Config):
    """The way of one model at one new hospital."""

    schema_version: int = ONBOARDING_SCHEMA_VERSION
    """Version of this layout."""
    site: str
    """The hospital."""
    model: str
    """Name of the model."""
    code_version: str
    """Version of heart2heart."""
    synthetic: bool = False
    """The clips are simulated."""
    first_validated: str | None = None
    """When the first validation of this folder began, UTC, ISO 8601; null: none."""
    validations: int = 0
    """Number of validations in this folder. Every further one is another look at the same patients."""
    steps: tuple[StepRecord, ...] = ()
    """The steps so far, in order."""

    def find(self, name: StepName) -> StepRecord | None:
        """Return the record of a step, or None."""
        return next((step for step in self.steps if step.name == name), None)

    def with_step(self, step: StepRecord) -> OnboardingRecord:
        """Return a copy with this record of a step in the place of an older one."""
        names = list(StepName)
        steps = [each for each in self.steps if each.name != step.name] + [step]
        return self.model_copy(update={"steps": tuple(sorted(steps, key=lambda each: names.index(each.name)))})

    def without_step(self, name: StepName) -> OnboardingRecord:
        """Return a copy without the record of a step."""
        return self.model_copy(update={"steps": tuple(step for step in self.steps if step.name != name)})


def read_onboarding(path: Path) -> OnboardingRecord:
    """Read an `onboarding.json`.

    Raises:
        MissingInputError: no such file.
        StoreError: of another schema version, or damaged.
    """
    content = read_json(path, what="record of an onboarding")
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != ONBOARDING_SCHEMA_VERSION:
        remedy = f"This version reads schema {ONBOARDING_SCHEMA_VERSION}; begin in another folder"
        raise StoreError("this record of an onboarding has another schema version", where=path, remedy=remedy)
    try:
        return OnboardingRecord.parse(content, where=path, stored=True)
    except ConfigError as error:
        raise StoreError(error.what, where=path, remedy="Restore it from a copy, or begin in another folder") from error
