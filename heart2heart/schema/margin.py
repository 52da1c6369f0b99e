"""A margin that is registered before an evaluation: the file that holds it, and what metrics say of it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError, ExistsError
from heart2heart.utils import read_json, sha256_json, write_json

MARGIN_SCHEMA_VERSION = 1

_REMEDY = "Register the margin again with `heart2heart plan --register`; a registered file is never edited"


def _with_time_zone(registered: str) -> str:
    if datetime.fromisoformat(registered).tzinfo is None:
        raise ValueError("the time of registration has no time zone")
    return registered


RegistrationTime = Annotated[str, AfterValidator(_with_time_zone)]
"""Time of a registration, ISO 8601 with a time zone."""


class MarginVerdict(StrEnum):
    """What an interval of a loss shows about a margin."""

    CARRIES_OVER = "carries_over"
    """The loss is smaller than the margin."""
    NOT_SHOWN = "not_shown"
    """The interval includes the margin."""
    LOSES_MORE = "loses_more"
    """The loss is larger than the margin."""


class RegisteredMargin(Config):
    """The largest acceptable loss of balanced accuracy, fixed before the results are known."""

    schema_version: int = MARGIN_SCHEMA_VERSION
    """Version of this layout."""
    margin: float
    """Percentage points of balanced accuracy, above 0 and below 100."""
    question: str
    """The question that the evaluation answers, in words."""
    registered_by: str
    """Who registered it."""
    registered: RegistrationTime
    """When, UTC, ISO 8601."""

    @field_validator("margin")
    @classmethod
    def _is_possible(cls, margin: float) -> float:
        if not 0 < margin < 100:
            raise ValueError(f"a margin of {margin:g} points is not between 0 and 100")
        return margin

    def registered_after(self, time: str) -> bool:
        """Return whether the margin was registered at or after a time, given as UTC in ISO 8601.

        A time that cannot be read counts as earlier: the margin is then not proven to come first.
        """
        return look_came_first(time, self.registered)


def look_came_first(look: str, registered: str) -> bool:
    """Return whether a first look came at or before a registration; both are UTC in ISO 8601.

    A look whose time cannot be read counts as earlier: the registration is then not proven to come first.

    Examples:
        >>> look_came_first("2026-02-01", "2026-01-01T00:00:00Z"), look_came_first("", "2026-01-01T00:00:00Z")
        (False, True)
    """
    try:
        time = datetime.fromisoformat(look)
    except ValueError:
        return True
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return datetime.fromisoformat(registered) >= time


class MarginClaim(Config):
    """The registered margin that an evaluation judges by."""

    margin: RegisteredMargin
    """The registration."""
    sha256: str
    """Hash of the registration."""
    first_look: str
    """When test frames were first predicted, UTC, ISO 8601."""
    after_look: bool
    """The margin was registered after that: its verdicts confirm nothing."""

    @property
    def fraction(self) -> float:
        """The margin as a fraction of 1."""
        return self.margin.margin / 100


def judge_margin(low: float, high: float, fraction: float) -> MarginVerdict:
    """Judge the interval of a loss by a margin, both as fractions of 1.

    Examples:
        >>> [str(judge_margin(low, high, 0.05)) for low, high in ((-0.01, 0.04), (0.01, 0.08), (0.06, 0.2))]
        ['carries_over', 'not_shown', 'loses_more']
    """
    if high < fraction:
        return MarginVerdict.CARRIES_OVER
    return MarginVerdict.LOSES_MORE if low > fraction else MarginVerdict.NOT_SHOWN


def register_margin(path: Path, *, margin: float, question: str, registered_by: str) -> RegisteredMargin:
    """Write a margin with the time of now and its hash; an existing file stays as it is.

    Raises:
        ConfigError: a margin that is not between 0 and 100 points, or an empty question or name.
        ExistsError: the file exists.
    """
    if path.exists():
        raise ExistsError("a margin is already registered here", where=path, remedy="Name another file")
    for name, text in (("question", question), ("by", registered_by)):
        if not text.strip():
            raise ConfigError("a registered margin needs a text here", where=name, remedy=f"Give --{name}")
    if not (math.isfinite(margin) and 0 < margin < 100):
        raise ConfigError(f"a margin of {margin:g} points is impossible", remedy="Give more than 0 and less than 100")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    registration = RegisteredMargin(margin=margin, question=question, registered_by=registered_by, registered=now)
    write_json(path, registration.model_dump(mode="json") | {"sha256": registration.digest()})
    return registration


def read_margin(path: Path) -> RegisteredMargin:
    """Read a registered margin.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: the content does not fit its hash, or is no registered margin.
    """
    content: Any = read_json(path, what="registered margin")
    if not isinstance(content, dict) or content.get("schema_version") != MARGIN_SCHEMA_VERSION:
        raise EvaluationError("this is no registered margin", where=path, remedy=_REMEDY)
    stated = content.pop("sha256", None)
    if stated != sha256_json(content):
        raise EvaluationError("this margin was changed after it was registered", where=path, remedy=_REMEDY)
    try:
        return RegisteredMargin.parse(content, where=path)
    except ConfigError as error:
        raise EvaluationError(error.what, where=path, remedy=_REMEDY) from error
