"""Records of the audit log: one line of JSON each, in a chain of hashes.

Each record holds its own hash and that of the record before, so a change, a removal or a new order shows. With a key,
it also holds an HMAC of its hash. A record names no patient: paths are keyed hashes, or names beside the log.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from heart2heart.config import Config
from heart2heart.schema.enums import AuditAction, AuditPhase
from heart2heart.utils import sha256_json

AUDIT_SCHEMA_VERSION = 1
MAX_LINE_BYTES = 2**15
"""Longest record, bytes."""
MAX_LOG_BYTES = 2**30
"""Largest log, bytes: some two million records."""
MAX_OBJECTS = 20
"""Objects that a record names; the others are counted."""

Text = Annotated[str, Field(max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Mac = Callable[[str], str]
"""Returns the HMAC of a text, 64 hexadecimal digits."""


class AuditObject(Config):
    """A file, a folder or a service that an operation read or wrote."""

    role: Literal["input", "output"]
    """Whether the operation read or wrote it."""
    path: Sha256
    """Keyed hash of the absolute path or address."""
    name: Text | None = None
    """Path below the folder of the log, of an output; null: it lies elsewhere."""


class AuditRecord(Config):
    """One event of an operation."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    number: int = Field(ge=0)
    """Position in the chain, from 0."""
    time: Text
    """UTC, ISO 8601."""
    action: AuditAction
    """What was done."""
    phase: AuditPhase
    """Whether the operation began or ended."""
    operation: Text
    """Random name that joins the beginning and the end of an operation."""
    user: Text
    """Account of the operating system."""
    host: Text
    """Name of the machine."""
    process: int
    """Number of the process."""
    program: Text
    """Name and version of the program."""
    site: Text | None = None
    """Hospital, where the operation names one."""
    error: Text | None = None
    """Kind of the error that ended the operation; null: success, or it has only begun."""
    objects: tuple[AuditObject, ...] = Field(default=(), max_length=MAX_OBJECTS)
    """What was read and written."""
    more_objects: int = Field(0, ge=0)
    """Number of further objects."""
    counts: dict[Text, int] = Field(default_factory=dict, max_length=64)
    """Numbers of the result, such as files by status."""
    salt: Sha256 | None = None
    """In the first record of a log without key: the key of the hashes of paths."""
    keyed: bool = False
    """In the first record: whether every record of the log carries an HMAC."""
    torn_sha256: Sha256 | None = None
    """Hash of the incomplete lines before this record, which a crash left; null: there are none."""
    previous: str
    """Hash of the record before; empty in the first."""

    def digest(self) -> str:
        """Return the hash of the record."""
        return sha256_json(self.model_dump(mode="json"))

    def line(self, mac: Mac | None) -> bytes:
        """Return the record with its hash and HMAC as a line of JSON."""
        digest = self.digest()
        content = self.model_dump(mode="json") | {"sha256": digest} | ({} if mac is None else {"mac": mac(digest)})
        return (json.dumps(content, sort_keys=True, allow_nan=False) + "\n").encode()


def parse_line(line: bytes) -> tuple[AuditRecord, str, str | None] | None:
    """Return the record of a line, its stated hash and its stated HMAC; None if the line is no record.

    Args:
        line: One line, whole or torn.
    """
    try:
        content: Any = json.loads(line)
        stated, mac = str(content.pop("sha256")), content.pop("mac", None)
        return AuditRecord.parse(content, where="audit log"), stated, None if mac is None else str(mac)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def has_mac(digest: str, stated: str | None, mac: Mac) -> bool:
    """Return whether a record with hash `digest` states the HMAC that the key gives."""
    return hmac.compare_digest((stated or "").encode(), mac(digest).encode())
