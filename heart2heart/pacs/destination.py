"""Where result objects go: an archive that takes them by STOW-RS or C-STORE, with a new attempt after a longer wait.

An archive is never told to replace anything. Where it already holds an instance of the same UID, nothing is sent, or
its own answer that it has one counts as success.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, MissingInputError, RemoteError

MAX_WAIT = 300.0
"""Longest wait between two attempts, seconds."""
FORMS = "Give https://host/dicom-web for STOW-RS, or dicom://AETITLE@host:port for C-STORE"


class SendOutcome(StrEnum):
    """What became of one instance at its destination."""

    STORED = "stored"
    """The archive took it."""
    PRESENT = "present"
    """The archive held an instance of this UID before; it stays as it is."""


class DestinationSettings(Config):
    """An archive that takes result objects."""

    address: str = Field(max_length=500)
    """`https://host/dicom-web` (STOW-RS), or `dicom://AETITLE@host:port` (C-STORE; `dicoms:` with TLS)."""
    calling_aet: str = Field("HEART2HEART", pattern=r"^[ -\[\]-~]{1,16}$")
    """AE title by which we call, for C-STORE."""
    credentials: Path | None = None
    """YAML file (mode 0600) with user and password, or token, for STOW-RS; null: the environment."""
    ca: Path | None = None
    """Authority that signed the certificate of the archive (PEM); null: those of the system."""
    tls_cert: Path | None = None
    """Our certificate for `dicoms:` (PEM); null: none."""
    tls_key: Path | None = None
    """Key of our certificate (PEM, without a password)."""
    allow_plaintext: bool = False
    """Permit an unencrypted connection to another machine."""
    attempts: int = Field(5, ge=1, le=100)
    """Attempts at one instance before the archive counts as unreachable."""
    first_wait: float = Field(1.0, ge=0, le=MAX_WAIT)
    """Seconds before the second attempt; each further wait is twice as long, at most five minutes."""
    timeout: float = Field(60.0, gt=0, le=3600)
    """Seconds to wait for a connection, and between two messages."""

    @field_validator("address")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https", "dicom", "dicoms"):
            raise ValueError(FORMS)
        return value


@dataclass(frozen=True)
class StoredFile:
    """A result file, and the identifiers that are named when it is sent.

    Attributes:
        path: The file.
        sop_class: SOP Class UID.
        study: Study Instance UID.
        series: Series Instance UID.
        uid: SOP Instance UID.
        syntax: Transfer syntax UID.
    """

    path: Path
    sop_class: str
    study: str = field(repr=False)
    series: str = field(repr=False)
    uid: str = field(repr=False)
    syntax: str

    @classmethod
    def read(cls, path: Path) -> StoredFile:
        """Read the identifiers of a DICOM file with file meta information.

        Raises:
            MissingInputError: no such file, or another kind of file.
        """
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError

        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID"])
            meta = header.file_meta
            return cls(
                path,
                str(meta.MediaStorageSOPClassUID),
                str(header.StudyInstanceUID),
                str(header.SeriesInstanceUID),
                str(meta.MediaStorageSOPInstanceUID),
                str(meta.TransferSyntaxUID),
            )
        except (OSError, InvalidDicomError, AttributeError, ValueError) as error:
            what = f"this result cannot be read ({type(error).__name__})"
            raise MissingInputError(what, where=path) from None


class UnreachableError(RemoteError):
    """The archive does not answer, or has no room at present; a later attempt may succeed."""


class Destination(ABC):
    """An open connection to an archive; get it from `open_destination`.

    Args:
        settings: The archive.
        sleep: Waits for some seconds.
    """

    def __init__(self, settings: DestinationSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self.settings, self._sleep = settings, sleep

    def send(self, path: Path) -> SendOutcome:
        """Send one file, as it is.

        Args:
            path: DICOM file with file meta information.

        Raises:
            UnreachableError: the archive did not take it after all attempts; send it again later.
            RemoteError: the archive refuses it, or us.
            MissingInputError: no such file.
        """
        file = StoredFile.read(path)
        wait = self.settings.first_wait
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return self.send_once(file)
            except UnreachableError:
                if attempt == self.settings.attempts:
                    raise
                self._sleep(wait)
                wait = min(2 * wait, MAX_WAIT)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @abstractmethod
    def send_once(self, file: StoredFile) -> SendOutcome:
        """Send one file in one attempt.

        Raises:
            UnreachableError: a later attempt may succeed.
            RemoteError: no attempt will.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""


def parse_dicom_address(address: str) -> tuple[str, str, int]:
    """Return AE title, host and port of `dicom://AETITLE@host:port`.

    Raises:
        ConfigError: another form.

    Examples:
        >>> parse_dicom_address("dicom://PACS@10.0.0.5:104")
        ('PACS', '10.0.0.5', 104)
    """
    try:
        parts = urlsplit(address)
        title, host, port = parts.username, parts.hostname, parts.port
    except ValueError:
        title = host = port = None
    plain = title is not None and re.fullmatch(r"[ -\[\]-~]{1,16}", title) is not None
    if not plain or not host or not port or parts.password is not None or parts.path.strip("/"):
        raise ConfigError("this is not the address of an archive", remedy=FORMS)
    return str(title), host, port
