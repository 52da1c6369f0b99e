"""The result of a search: findings, what could not be read, and a verdict of one word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heart2heart.errors import Heart2HeartError


class Verdict(StrEnum):
    """Verdict of a search for identities."""

    CLEAN = "clean"
    """No identity was found, and everything was read."""
    FOUND = "found"
    """At least one identity was found."""
    INCOMPLETE = "incomplete"
    """No identity was found, but something was not read or not searched for."""


class IdentityFoundError(Heart2HeartError, ValueError):
    """An output still identifies a patient."""

    exit_code = 3


class IncompleteVerificationError(Heart2HeartError, ValueError):
    """No identity was found, but something was not read or not searched for."""

    exit_code = 4


@dataclass(frozen=True)
class IdentityFinding:
    """One kind of identity at one location, without the identity itself.

    Attributes:
        file: The output file; if its name is itself a finding, its number in the order of the search.
        location: Where in the file.
        kind: Kind of identity.
        count: Number of occurrences.
    """

    file: str
    location: str
    kind: str
    count: int


@dataclass(frozen=True)
class UnreadPart:
    """One content that was not read.

    Attributes:
        file: The file, named as in a finding.
        location: Where in the file.
        reason: Why it was not read.
    """

    file: str
    location: str
    reason: str


@dataclass(frozen=True)
class VerificationResult:
    """The searched files, the findings, and what was not read.

    Attributes:
        files: Number of files.
        size: Their bytes.
        findings: Empty when nothing was found.
        unread: Contents of the outputs that were not read.
        checks_made: Checks that were made.
        checks_skipped: Checks that were not made, and why; each makes the verdict incomplete.
        pictures: Distinct pictures that were read with tesseract.
    """

    files: int
    size: int
    findings: tuple[IdentityFinding, ...]
    unread: tuple[UnreadPart, ...]
    checks_made: tuple[str, ...]
    checks_skipped: tuple[str, ...]
    pictures: int = 0

    @property
    def verdict(self) -> Verdict:
        """The verdict; `clean` only if everything was read and searched for."""
        if self.findings:
            return Verdict.FOUND
        return Verdict.INCOMPLETE if self.unread or self.checks_skipped else Verdict.CLEAN
