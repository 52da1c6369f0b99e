"""The secret key of a hospital, and the pseudonyms, UIDs and shifted dates derived from it by HMAC-SHA256.

Without the key, nobody can test a name or number against a pseudonym.

PS3.15 table E.1-1 requires replaced identifiers (actions D, U, Z). The date shift is its option "Retain Longitudinal
Temporal Information With Modified Dates" (CID 7050 code 113107). Ages above 89 are capped (90 stands for 90 and over).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydicom import Dataset

from heart2heart.dicom.header_values import text
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.schema.status import ClipFlag
from heart2heart.utils import sha256_file, write_exclusive

RelinkedKind = Literal["patient", "uid", "file", "check"]
"""Names that a rotation changes: of patients, of studies, series and instances, of files in the ledger, of the key."""

_BYTES = 32
MAX_ROTATIONS = 30
"""How often a key can be rotated."""


@dataclass(frozen=True)
class Key:
    """The secret key of a hospital, 32 random bytes from which the pseudonyms are derived.

    A rotated key has further secrets: what the first one gives is hashed again under each of them, so that one patient
    stays one patient; see docs/decisions/0013-key-rotation.md.

    Attributes:
        secret: The bytes; neither `repr` nor an error shows them.
        later: The secrets of later rotations, the newest last.
    """

    secret: bytes = field(repr=False)
    later: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for secret in (self.secret, *self.later):
            if len(secret) != _BYTES:
                raise ConfigError(f"a key has {_BYTES} bytes, this one {len(secret)}")

    @classmethod
    def open(cls, path: Path, *, outside: Path | None = None) -> Key:
        """Read the key file, or make it on first use with mode 0600.

        Processes that make the same key file at the same time hold the same key.

        Args:
            path: The key file: 64 hexadecimal digits, and a line more for each rotation.
            outside: A store. A key inside it is refused, because it would be copied with the data that it protects.

        Raises:
            ConfigError: the key lies inside `outside`, others may read it, or the file is not a key.
        """
        if outside is not None and path.resolve().is_relative_to(outside.resolve()):
            remedy = "Name a file outside the store, kept where only you can read it"
            raise ConfigError("the key lies inside the store that it protects", where=path, remedy=remedy)
        if not path.exists():
            write_exclusive(path, secrets.token_hex(_BYTES) + "\n", mode=0o600)
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Key:
        """Read a key file that must exist; see `open`."""
        try:
            with path.open(encoding="ascii") as handle:
                mode = os.fstat(handle.fileno()).st_mode
                text = handle.read((_BYTES * 2 + 2) * (MAX_ROTATIONS + 1) + 16).strip()
        except FileNotFoundError as error:
            raise MissingInputError("no key file here", where=path) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("this key file cannot be read", where=path) from error
        if stat.S_IMODE(mode) & 0o077:
            remedy = f"Run: chmod 600 {path}"
            raise ConfigError("the key file can be read or changed by others", where=path, remedy=remedy)
        try:
            first, *later = (bytes.fromhex(line) for line in text.split() or [""])
            return cls(first, tuple(later))
        except ValueError as error:
            remedy = "It holds 64 hexadecimal digits a line; restore it from your copy"
            raise ConfigError("this is not a key file", where=path, remedy=remedy) from error

    def digest(self, *parts: str) -> bytes:
        """Return HMAC-SHA256 of `parts`, separated so that ("ab", "c") and ("a", "bc") differ."""
        message = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts))
        return hmac.digest(self.secret, message, hashlib.sha256)

    def rotated(self) -> Key:
        """Return this key with a new random secret.

        Raises:
            ConfigError: it was rotated too often.
        """
        if len(self.later) >= MAX_ROTATIONS:
            raise ConfigError(f"a key can be rotated {MAX_ROTATIONS} times", remedy="Ingest again with a new key")
        return Key(self.secret, (*self.later, secrets.token_bytes(_BYTES)))

    def text(self) -> str:
        """Return the content of the key file."""
        return "".join(f"{secret.hex()}\n" for secret in (self.secret, *self.later))

    def relink(self, kind: RelinkedKind, name: str) -> list[str]:
        """Return a name at each age of the key: `name`, and what each later secret makes of the one before.

        Args:
            kind: Kind of the name, which decides the form of the others.
            name: What the first secret gave.
        """
        names = [name]
        for secret in self.later:
            names.append(relink_once(secret, kind, names[-1]))
        return names


def relink_once(secret: bytes, kind: RelinkedKind, name: str) -> str:
    """Return the name that one later secret makes of a name, in the form of its kind."""
    digest = Key(secret).digest(f"relink {kind}", name)
    if kind == "uid":
        return _uuid_uid(digest)
    return {"patient": f"p{digest.hex()[:20]}", "file": digest.hex(), "check": digest.hex()[:32]}[kind]


def _uuid_uid(digest: bytes) -> str:
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


_MAX_SHIFT_DAYS = 3652  # days, ten years
_MAX_AGE = 90


@dataclass(frozen=True)
class Pseudonyms:
    """The pseudonyms of one clip's patient, study and series, without identity. Without a key every text is empty.

    Attributes:
        patient: Same for all clips of one patient of one site.
        study: Pseudonym of the study UID.
        series: Pseudonym of the series UID, or None if the file has none.
        instance: Pseudonym of the SOP instance UID, or None if the file has none.
        date: Study date, shifted by the patient's own number of days.
        age: Years, at most 90.
        sex: `F`, `M`, `O` or None.
        flags: `no_patient_id` when the study replaces the missing patient identifier.
    """

    patient: str = ""
    study: str = ""
    series: str | None = None
    instance: str | None = None
    date: date | None = None
    age: int | None = None
    sex: str | None = None
    flags: tuple[ClipFlag, ...] = ()


class Pseudonymizer:
    """Derives every pseudonym of one key.

    Args:
        key: The secret.
    """

    def __init__(self, key: Key) -> None:
        self.key = key

    @property
    def unrotated(self) -> Pseudonymizer:
        """The pseudonymizer of the first secret alone, for names that go into other names."""
        return Pseudonymizer(Key(self.key.secret))

    def patient(self, site: str, patient_id: str) -> str:
        """Return the pseudonym of one patient of one site; case and surrounding blanks do not matter."""
        first = "p" + self.key.digest("patient", site, patient_id.strip().upper()).hex()[:20]
        return self.key.relink("patient", first)[-1]

    def uid(self, uid: str) -> str:
        """Return the pseudonym of `uid`: 2.25 and a UUID (PS3.5 annex B.2) made from the keyed hash."""
        return self.key.relink("uid", _uuid_uid(self.key.digest("uid", uid.strip().rstrip("\0"))))[-1]

    def content(self, source: bytes | Path) -> str:
        """Return the keyed hash of a file's bytes, 64 hexadecimal digits. Files with the same hash are one clip."""
        return self.content_of_hash(
            sha256_file(source) if isinstance(source, Path) else hashlib.sha256(source).hexdigest()
        )

    def content_of_hash(self, sha256: str) -> str:
        """Return the keyed hash of a file whose bytes have a SHA-256, 64 hexadecimal digits; see `content`."""
        return hmac.digest(self.key.secret, b"content" + bytes.fromhex(sha256), hashlib.sha256).hex()

    def clip(self, content: str) -> str:
        """Return the clip's pseudonym for the `content` hash."""
        return content[:24]

    def shift(self, patient: str) -> timedelta:
        """Return the shift of a patient's dates, 1 to 3652 days into the past for each age of the key.

        Args:
            patient: Pseudonym under the first secret, the one of `unrotated`.
        """
        secrets_and_names = zip((self.key.secret, *self.key.later), self.key.relink("patient", patient), strict=True)
        return -timedelta(days=sum(shift_days(secret, name) for secret, name in secrets_and_names))


def shift_days(secret: bytes, patient: str) -> int:
    """Return the days, 1 to 3652, by which one secret moves the dates of a patient into the past.

    Args:
        secret: A secret of a key.
        patient: The pseudonym that this secret gave.
    """
    return 1 + int.from_bytes(Key(secret).digest("shift", patient)[:8], "big") % _MAX_SHIFT_DAYS


def pseudonymize(header: Dataset, pseudonymizer: Pseudonymizer | None, *, site: str, content: str) -> Pseudonyms:
    """Replace identity by pseudonyms.

    A file without a patient identifier gets one patient per study (without a study: per content), so that it never
    joins two people. It is flagged.

    Args:
        header: The file's dataset as read.
        pseudonymizer: None for an inspection without a key: all pseudonyms are empty, and the date is dropped.
        site: Name of the hospital; patient identifiers are only unique within one.
        content: The `Pseudonymizer.content` of the file; empty without a key.
    """
    born, studied = parse_date(header, "PatientBirthDate"), _first_date(header)
    age = _age(header, born, studied)
    sex = text(header, "PatientSex").upper()
    known = sex if sex in ("F", "M", "O") else None
    if pseudonymizer is None:
        return Pseudonyms(age=age, sex=known)
    uids = {name: text(header, f"{name}InstanceUID") for name in ("Study", "Series")}
    study = pseudonymizer.uid(uids["Study"] or f"content {content}")
    patient_id = text(header, "PatientID").strip()
    first = pseudonymizer.unrotated
    person = patient_id or f"study {first.uid(uids['Study'] or f'content {content}')}"
    instance = text(header, "SOPInstanceUID")
    return Pseudonyms(
        patient=pseudonymizer.patient(site, person),
        study=study,
        series=pseudonymizer.uid(uids["Series"]) if uids["Series"] else None,
        instance=pseudonymizer.uid(instance) if instance else None,
        date=_shifted(studied, pseudonymizer.shift(first.patient(site, person))),
        age=age,
        sex=known,
        flags=() if patient_id else (ClipFlag.NO_PATIENT_ID,),
    )


def parse_date(header: Dataset, name: str) -> date | None:
    """Return the date in a tag, written `YYYYMMDD` or with separators; None where there is none."""
    match = re.match(r"(\d{4})\D?(\d{2})\D?(\d{2})", text(header, name))
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def _first_date(header: Dataset) -> date | None:
    names = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
    return next((day for day in (parse_date(header, name) for name in names) if day is not None), None)


def _shifted(day: date | None, shift: timedelta) -> date | None:
    try:
        return None if day is None else day + shift
    except OverflowError:
        return None


def _age(header: Dataset, born: date | None, studied: date | None) -> int | None:
    """Return years by PatientAge, else by the birth date; months, weeks and days are 0 years."""
    stated = re.fullmatch(r"(\d{1,3})([YMWD])", text(header, "PatientAge").upper())
    years: int | None = None
    if stated is not None:
        number = int(stated[1])
        years = {"Y": number, "M": number // 12, "W": number // 52, "D": number // 365}[stated[2]]
    elif born is not None and studied is not None and born <= studied:
        years = studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))
    return None if years is None else min(years, _MAX_AGE)
