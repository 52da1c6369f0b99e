"""Invented people: names, numbers and dates that belong to nobody, so that de-identification has something to find."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass

import numpy as np

_SURNAMES = (
    "ABLEWOOD", "BRAMBLECROFT", "CASTERLINE", "DUNMARSH", "EVERSLEIGH", "FENWRIGHT", "GOLDTHORN", "HOLLOWBECK",
    "INGLEMORE", "JASPERFIELD", "KESTRELWAY", "LARKHOLME", "MERRIWICK", "NORBURNE", "OAKENSHIRE", "PEBBLESTON",
    "QUILLFORD", "ROSEMERE", "STARLINGTON", "THISTLEDOWN", "UMBERLEY", "VALEBROOK", "WINTERBOURN", "YARROWDALE",
)  # fmt: skip
_GIVEN = (
    "ALDA", "BRUNO", "CELIA", "DORIAN", "ELOWEN", "FELIX", "GRETA", "HUGO", "IMOGEN", "JORIS", "KAIA", "LEVIN",
    "MIRELA", "NILS", "OTTILIE", "PERCY", "RAMONA", "SILAS", "TILDA", "URBAN", "VERENA", "WILLEM",
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """An invented person.

    Attributes:
        name: DICOM person name.
        number: Record number.
        born: Date of birth.
        sex: `F` or `M`.
    """

    name: str
    number: str
    born: datetime.date
    sex: str


def draw_identity(hospital: str, index: int, rng: np.random.Generator) -> Identity:
    """Invent a person; every fifth says by name that it is synthetic."""
    name = f"{_SURNAMES[rng.integers(len(_SURNAMES))]}^{_GIVEN[rng.integers(len(_GIVEN))]}"
    if index % 5 == 0:
        name = f"SYNTHETIC^PATIENT {index:04d}"
    born = datetime.date(1932, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 26000)))
    number = f"{hospital[:2].upper()}{int(rng.integers(10**6, 10**7))}"
    return Identity(name, number, born, "FM"[int(rng.integers(2))])


def draw_date(rng: np.random.Generator) -> datetime.datetime:
    """Invent the time of a study, in working hours of the years 2018 to 2023."""
    day = datetime.datetime(2018, 1, 2, 8, 0) + datetime.timedelta(days=int(rng.integers(0, 2100)))
    return day + datetime.timedelta(seconds=int(rng.integers(0, 9 * 3600)))


def make_uid(seed: int, *names: str | int) -> str:
    """Return a UID under 2.25 that follows from the seed and the names (PS3.5 B.2)."""
    text = "\x1f".join(("heart2heart.simulate", str(seed), *(str(name) for name in names)))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def age_string(born: datetime.date, day: datetime.date) -> str:
    """Return a DICOM age such as `064Y`."""
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return f"{years:03d}Y"
