"""The queue of the service: one SQLite file; and what it records of each clip, without identity.

Table `clips` has one row for each file that arrived, named by keyed hash. `answers` has one line of JSON for each clip
and model. `reports` has one row for each report; a clip is in at most one.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from heart2heart.config import Config

SERVICE_SCHEMA_VERSION = 1
"""Version of the layout; SQLite's `user_version`."""

TABLES = """
CREATE TABLE clips (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, received REAL NOT NULL, answered REAL, content TEXT,
    study TEXT, patient TEXT, status TEXT, view TEXT, measures TEXT, report INTEGER
) STRICT;
CREATE INDEX clips_by_state ON clips (state, received);
CREATE INDEX clips_by_study ON clips (study);
CREATE INDEX clips_by_report ON clips (report);
CREATE TABLE answers (
    clip TEXT NOT NULL, model TEXT NOT NULL, active INTEGER NOT NULL, answered REAL NOT NULL, view TEXT,
    line TEXT NOT NULL, PRIMARY KEY (clip, model)
) STRICT;
CREATE TABLE reports (
    number INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, study TEXT NOT NULL, made REAL NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL
) STRICT;
CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
"""SQL that makes the tables. Times are seconds since 1970."""


class ClipState(StrEnum):
    """Where a clip is: column `state` of `clips`."""

    WAITING = "waiting"
    """Its file is on the disk, without an answer."""
    ANSWERED = "answered"
    """It has its answers; its file stays for the report."""
    DONE = "done"
    """Nothing is left to do; its file is removed."""


class ReportState(StrEnum):
    """Where a report is: column `state` of `reports`."""

    DUE = "due"
    """It waits for its next attempt."""
    STORED = "stored"
    """The archive has it."""
    REFUSED = "refused"
    """The archive refuses it; the next start of the service tries again."""


class ClipMeasures(Config):
    """What monitoring compares of one clip, without identity."""

    gray: tuple[float, ...] = Field(min_length=16, max_length=16)
    """Share of pixels in each of 16 equal ranges of gray."""
    sector: float = Field(ge=0, le=1)
    """Share of pixels that are not black in any frame."""
    frames: int = Field(ge=1)
    """Number of frames."""
    manufacturer: str = Field("unknown", max_length=60)
    """Manufacturer of the scanner by a closed vocabulary."""
    confidence: float | None = Field(None, ge=0, le=1)
    """Largest probability of the active model; null: no answer."""
    entropy: float | None = Field(None, ge=0, le=1)
    """Entropy of its probabilities over that of equal ones; null: no answer."""
    predicted: str | None = Field(None, max_length=100)
    """Its most probable view; null: no answer."""
    quality: float | None = Field(None, ge=0, le=1)
    """Quality of the frames; null: not computed."""

    def values(self) -> dict[str, float]:
        """Return the numbers by name; the histogram of gray by its mean, from 0 to 1, and its darkest part.

        Examples:
            >>> ClipMeasures(gray=(0.5, *[0.0] * 14, 0.5), sector=0.4, frames=2).values()["gray mean"]
            0.5
        """
        mean = sum(share * (level + 0.5) / 16 for level, share in enumerate(self.gray))
        known = {"gray mean": mean, "gray black": self.gray[0], "sector": self.sector, "frames": float(self.frames)}
        return known if self.confidence is None else known | {"confidence": self.confidence}


class ServiceReference(Config):
    """The inputs and the confidence of a validation, with which the service compares what comes in."""

    kind: str = Field("heart2heart service reference", pattern="^heart2heart service reference$")
    """Marks the file."""
    schema_version: int = Field(2, ge=1, le=2)
    """Version of the layout; version 1 has no statistics by patient."""
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hash of the model's weights."""
    clips: int = Field(ge=20)
    """Number of clips."""
    deciles: dict[str, tuple[float, ...]] = Field(max_length=100)
    """Measure -> its nine deciles over the clips."""
    shares: dict[str, tuple[float, ...]] = Field(max_length=100)
    """Measure -> the share of clips in each of the ten ranges between the deciles."""
    manufacturers: dict[str, int] = Field(max_length=1000)
    """Manufacturer -> its clips."""
    classes: tuple[str, ...] = Field((), max_length=1000)
    """Views of the model."""
    patients: int = Field(0, ge=0)
    """Number of patients."""
    statistics: dict[str, tuple[float, ...]] = Field(default_factory=dict, max_length=1000)
    """Statistic of the drift test -> its value for each patient, by one clip of it, sorted."""
