"""Counts that may leave a hospital: one JSON file a hospital with suppressed sufficient statistics, and no rows.

`heart2heart validate --release counts` writes it, `heart2heart pool` reads it. docs/decisions/0011-release-of-counts.md
gives each statistic, why it is safe, and what is lost.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.margin import RegisteredMargin
from heart2heart.schema.site_metrics import ReliabilityBin
from heart2heart.schema.validation import TrainingData
from heart2heart.utils import read_json, sha256_json, write_json

COUNTS_SCHEMA_VERSION = 1

SMALLEST_CELL = 5
"""Patients of the smallest cell that is shown; a cell of no patient is shown too."""

MAX_FILE_BYTES = 16 * 2**20
"""Largest file of counts that is read."""
MAX_CLASSES = 200
MAX_RUNS = 64

_REMEDY = "Ask the hospital for the file as `heart2heart validate --release counts` wrote it"


class Hidden(StrEnum):
    """Why a cell is hidden."""

    FEW_PATIENTS = "few_patients"
    """One to four patients have such rows."""
    ONE_PATIENT = "one_patient"
    """One patient has more than half of the rows."""
    FEW_WRONG = "few_wrong"
    """One to four patients have a row that the model got wrong."""
    FEW_RIGHT = "few_right"
    """One to four patients have a row that the model got right."""
    CLASS_HIDDEN = "class_hidden"
    """The class itself is hidden."""


class ClassCounts(Config):
    """The rows of one true class, frames or clips."""

    patients: int | None = Field(ge=0)
    """Patients with such rows; null: hidden."""
    rows: int | None = Field(ge=0)
    """Rows; null: hidden."""
    spread: float | None = Field(ge=0)
    """Squared sum of the rows a patient over the sum of their squares: the number of patients if all had equally many
    rows; null: hidden or no row."""
    hidden: Hidden | None = None
    """Why the class is hidden."""


class OutcomeCounts(Config):
    """What one run made of one true class."""

    correct: int | None = Field(ge=0)
    """Rows that it got right; null: hidden."""
    error: float | None = Field(ge=0)
    """Standard error of their share from the variance between patients, six digits; null: hidden, or fewer than two
    patients."""
    hidden: Hidden | None = None
    """Why the outcome is hidden."""
    at_least: float | None = Field(default=None, ge=0, le=1)
    """Of an outcome with few wrong patients: the share of right rows if the five patients with the most rows had none
    right, rounded down to two digits. It follows from the rows alone."""


class RunCounts(Config):
    """One run at one level."""

    outcomes: tuple[OutcomeCounts, ...]
    """By true class, in the order of `HospitalCounts.classes`."""
    confusion: tuple[tuple[int | None, ...], ...] = ()
    """Rows by true and predicted class; null: hidden. Empty at the level of clips."""
    reliability: tuple[ReliabilityBin, ...] = ()
    """Reliability diagram; each bin has five patients or more. Empty at the level of clips, and where anything of this
    run is hidden."""
    nll: float | None = None
    """Mean negative log-likelihood, nats, four digits; null where `reliability` is empty."""
    brier: float | None = None
    """Mean Brier score, likewise."""


class LevelCounts(Config):
    """The statistics of frames, or of clips by a vote."""

    patients: int | None = Field(ge=0)
    """Patients with a row; null where a class is hidden."""
    rows: int | None = Field(ge=0)
    """Rows; null where a class is hidden."""
    classes: tuple[ClassCounts, ...]
    """In the order of `HospitalCounts.classes`."""
    runs: tuple[RunCounts, ...]
    """In the order of `HospitalCounts.runs`."""
    correlation: tuple[tuple[float | None, ...], ...]
    """Correlation over patients of the errors of all outcomes, run by run and class by class, six digits; null: hidden,
    or only one to four patients have rows of both classes, or tell the two runs apart."""
    degrees: float | None
    """Degrees of freedom of a difference of two runs over the shown classes; null without one."""


class RunName(Config):
    """One run: what a reader calls it, and which model it is."""

    run: str = Field(max_length=200)
    """Name of the run."""
    method: str = Field(max_length=400)
    """Label of its method."""
    seed: int
    """Seed of its training."""
    model_sha256: str | None
    """Hash of the model; null: a table of predictions, whose model has no hash."""


class CheckResult(Config):
    """One check of the certificate without its detail, which counts patients."""

    name: str
    """Name of the check."""
    status: CheckStatus
    """Its result."""


class HospitalCounts(Config):
    """Everything that leaves one hospital."""

    schema_version: int = COUNTS_SCHEMA_VERSION
    """Version of this layout."""
    code_version: str
    """Version of heart2heart."""
    created: str
    """When the predictions were made, UTC, ISO 8601."""
    first_look: str
    """When test frames were first predicted, UTC, ISO 8601."""
    site: str = Field(min_length=1, max_length=200)
    """The hospital."""
    held_out: bool
    """No frame of it was trained on."""
    synthetic: bool
    """Its data are simulated."""
    task: str = Field(max_length=40)
    """Noun of what the classes are."""
    unit: str
    """Kind of cluster: what a patient is here."""
    classes: tuple[str, ...] = Field(min_length=2, max_length=MAX_CLASSES)
    """Names of the classes."""
    runs: tuple[RunName, ...] = Field(min_length=1, max_length=MAX_RUNS)
    """The scored runs."""
    training_data: TrainingData | None
    """What of the training data was compared; null: an evaluation of the run's own split."""
    training_data_note: str | None
    """The same in one sentence."""
    checks: tuple[CheckResult, ...]
    """The checks of the certificate."""
    certificate_sha256: str
    """Hash of the certificate, which stays at the hospital."""
    manifest_sha256: str | None
    """Hash of the training split; null: not at hand."""
    margin: RegisteredMargin | None
    """Largest acceptable loss, registered before; null: none."""
    smallest_cell: int = SMALLEST_CELL
    """Patients of the smallest cell that is shown."""
    frames: LevelCounts
    """By frame."""
    clips: LevelCounts
    """By clip."""

    @model_validator(mode="after")
    def _is_consistent(self) -> HospitalCounts:
        if self.smallest_cell != SMALLEST_CELL:
            raise ValueError(f"cells under {self.smallest_cell} patients are hidden, not under {SMALLEST_CELL}")
        for level in (self.frames, self.clips):
            check_level(level, len(self.classes), len(self.runs))
        return self


def check_level(level: LevelCounts, classes: int, runs: int) -> None:
    """Raise ValueError if the counts of a level contradict each other, or show a cell that must be hidden."""
    size = classes * runs
    if len(level.classes) != classes or len(level.runs) != runs:
        raise ValueError("the level has another number of classes or runs")
    if len(level.correlation) != size or any(len(row) != size for row in level.correlation):
        raise ValueError("the correlation has another size")
    if any(value is not None and abs(value) > 1 for row in level.correlation for value in row):
        raise ValueError("a correlation is larger than 1")
    for counts in level.classes:
        if (counts.hidden is None) != (counts.rows is not None and counts.patients is not None):
            raise ValueError("a class is hidden without a reason, or shown with one")
        if counts.patients is not None and 0 < counts.patients < SMALLEST_CELL:
            raise ValueError("a class of few patients is shown")
        if (counts.patients or 0) > (counts.rows or 0):
            raise ValueError("a class has more patients than rows")
    if any(counts.hidden for counts in level.classes) and (level.rows is not None or level.patients is not None):
        raise ValueError("a total is shown from which a hidden class follows")
    for run in level.runs:
        _check_run(run, level.classes)


def _check_run(run: RunCounts, classes: tuple[ClassCounts, ...]) -> None:
    if len(run.outcomes) != len(classes) or (run.confusion and len(run.confusion) != len(classes)):
        raise ValueError("a run has another number of classes")
    for counts, outcome in zip(classes, run.outcomes, strict=True):
        if (outcome.hidden is None) != (outcome.correct is not None):
            raise ValueError("an outcome is hidden without a reason, or shown with one")
        if outcome.correct is not None and (counts.rows is None or outcome.correct > counts.rows):
            raise ValueError("more rows are right than there are")
    for index, row in enumerate(run.confusion):
        rows, correct = classes[index].rows, run.outcomes[index].correct
        if len(row) != len(classes) or any(cell is not None and cell < 0 for cell in row) or row[index] != correct:
            raise ValueError("the confusion matrix does not fit its outcomes")
        shown = sum(cell for cell in row if cell is not None)
        hidden = sum(cell is None for cell in row)
        if rows is not None and (shown > rows or (not hidden and shown != rows) or hidden == 1):
            raise ValueError("the confusion matrix does not fit its rows, or a hidden cell follows from it")


def counts_sha256(counts: HospitalCounts) -> str:
    """Return the hash that a file of counts carries."""
    return sha256_json(counts.model_dump(mode="json"))


def write_counts(counts: HospitalCounts, path: Path) -> None:
    """Write a file of counts with its hash, whole or not at all."""
    write_json(path, counts.model_dump(mode="json") | {"sha256": counts_sha256(counts)})


def read_counts(path: Path) -> HospitalCounts:
    """Read a file of counts.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: too large, another schema version, changed after it was written, or counts that contradict.
    """
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise EvaluationError(f"this file is larger than {MAX_FILE_BYTES} bytes", where=path, remedy=_REMEDY)
    return parse_counts(read_json(path, what="file of counts"), where=path)


def parse_counts(content: Any, *, where: Path | str) -> HospitalCounts:
    """Return the counts of a JSON document.

    Args:
        content: The document.
        where: What a message calls it.

    Raises:
        EvaluationError: another schema version, changed after it was written, or counts that contradict.
    """
    if not isinstance(content, dict) or "smallest_cell" not in content:
        raise EvaluationError("this is no file of counts", where=where, remedy=_REMEDY)
    if content.get("schema_version") != COUNTS_SCHEMA_VERSION:
        what = "these counts have another schema version"
        raise EvaluationError(what, where=where, remedy=f"This version reads version {COUNTS_SCHEMA_VERSION}")
    plain = {key: value for key, value in content.items() if key != "sha256"}
    if _hash_or_none(plain) != content.get("sha256"):
        raise EvaluationError("these counts were changed after they were written", where=where, remedy=_REMEDY)
    try:
        return HospitalCounts.parse(plain, where=where, stored=True)
    except ConfigError as error:
        raise EvaluationError(f"these counts contradict: {error.what}", where=where, remedy=_REMEDY) from error


def _hash_or_none(content: dict[str, Any]) -> str | None:
    try:
        return sha256_json(content)
    except (ValueError, RecursionError):  # NaN, or nested without end
        return None
