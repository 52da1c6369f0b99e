"""One synthetic patient: anatomy and function of the heart, and an invented identity that belongs to nobody."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass

import numpy as np

from heart2heart.synthetic.config import Variation


@dataclass(frozen=True)
class SyntheticPatient:
    """Anatomy and function of one synthetic patient; lengths are factors of an average adult's, or cm.

    Attributes:
        size: Size of the heart, 1 for average.
        dilation: Width of the left ventricle beyond `size`.
        wall: Thickness of the left ventricular wall, cm.
        right: Size of the right heart.
        atrium: Size of the left atrium.
        ejection: Ejection fraction, 0 to 1.
        heart_rate: Beats per minute.
        tilt: Usual rotation of the heart in the plane, degrees.
        chest: Thickness of the chest wall, cm.
        quality: Acoustic window: 0 poor, 1 excellent.
        fibrosis: Extra echo of valves and annulus, dB.
        regurgitation: Strength of a mitral regurgitation jet, 0 for none.
        roughness: Irregularity of the contours.
        length: Length of the heart along its axis, 1 for average; below 1 is a round heart.
        aside: Usual distance of the heart to the right of the probe, cm.
        rotation: Usual rotation of the plane, as `ProbePlane.rotation`, for a severity of 1.
        irregular: Standard deviation of the logarithm of the RR interval; 0 for a regular rhythm.
        haze: Clutter beyond the machine's, dB.
        reverberation: Strength of the chest wall's repetitions, 0 for none.
        dropout: Expected number of segments that the window loses.
        ribs: Shadows: centre (-1 to 1 across the sector), width in the same unit, loss in dB.
    """

    size: float = 1.0
    dilation: float = 1.0
    wall: float = 0.95
    right: float = 1.0
    atrium: float = 1.0
    ejection: float = 0.6
    heart_rate: float = 70.0
    tilt: float = 0.0
    chest: float = 1.6
    quality: float = 0.75
    fibrosis: float = 0.0
    regurgitation: float = 0.0
    roughness: float = 1.0
    length: float = 1.0
    aside: float = 0.0
    rotation: float = 0.0
    irregular: float = 0.0
    haze: float = 0.0
    reverberation: float = 0.0
    dropout: float = 0.0
    ribs: tuple[tuple[float, float, float], ...] = ()


def clipped_normal(rng: np.random.Generator, mean: float, deviation: float, low: float, high: float) -> float:
    """Draw from a normal distribution, values beyond `low` and `high` moved to them."""
    return min(max(float(rng.normal(mean, deviation)), low), high)


def draw_patient(rng: np.random.Generator, variation: Variation | None = None) -> SyntheticPatient:
    """Draw one patient of a mixed echo laboratory: about a fifth with a weak ventricle, a sixth with a thick one.

    Args:
        rng: Source of randomness.
        variation: How much patients vary; None for the defaults.
    """
    severity = variation or Variation()
    spread, window = severity.anatomy, severity.windows
    weak = rng.random() < 0.22
    thick = rng.random() < 0.16
    overload = rng.random() < 0.15
    quality = float(rng.beta(3.6, 1.7))
    poor = (1.0 - quality) * window
    ribs = tuple(
        (float(rng.choice((-1.0, 1.0)) * rng.uniform(0.35, 1.0)), float(rng.uniform(0.08, 0.22)), poor * side)
        for side in rng.uniform(6.0, 22.0, int(rng.poisson(0.5 * window)))
    )
    return SyntheticPatient(
        size=clipped_normal(rng, 1.0, 0.06 * spread, 0.8, 1.22),
        dilation=float(rng.uniform(1.1, 1.4) if weak else clipped_normal(rng, 1.0, 0.07 * spread, 0.8, 1.25)),
        wall=float(rng.uniform(1.2, 1.75) if thick else clipped_normal(rng, 0.95, 0.1 * spread, 0.65, 1.25)),
        right=clipped_normal(rng, 1.3 if overload else 1.0, 0.11 * spread, 0.7, 1.5),
        atrium=clipped_normal(rng, 1.2 if weak else 1.0, 0.11 * spread, 0.7, 1.5),
        ejection=float(rng.uniform(0.15, 0.42) if weak else clipped_normal(rng, 0.6, 0.06, 0.45, 0.74)),
        heart_rate=clipped_normal(rng, 72.0, 13.0, 45.0, 120.0),
        tilt=float(rng.normal(0.0, 2.5 + 2.5 * spread)),
        chest=clipped_normal(rng, 1.65, 0.35 + 0.08 * spread, 0.8, 2.9),
        quality=quality,
        fibrosis=float(rng.exponential(2.0)),
        regurgitation=float(rng.uniform(0.4, 1.0) if rng.random() < 0.25 else 0.0),
        roughness=float(rng.uniform(0.6, 1.8)),
        length=clipped_normal(rng, 0.93 if weak else 1.0, 0.06 * spread, 0.75, 1.22),
        aside=float(rng.normal(0.0, 0.35 * spread)),
        rotation=float(rng.normal(0.0, 0.06)),
        irregular=float(rng.uniform(0.12, 0.3) if rng.random() < severity.arrhythmia else 0.0),
        haze=float(rng.normal(0.8, 1.4) * window * (1.4 - quality)),
        reverberation=float(rng.exponential(0.3) * window * (1.2 - quality)),
        dropout=1.2 * poor,
        ribs=ribs,
    )


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
class InventedIdentity:
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


def draw_identity(hospital: str, index: int, rng: np.random.Generator) -> InventedIdentity:
    """Invent a person; every fifth says by name that it is synthetic."""
    name = f"{_SURNAMES[rng.integers(len(_SURNAMES))]}^{_GIVEN[rng.integers(len(_GIVEN))]}"
    if index % 5 == 0:
        name = f"SYNTHETIC^PATIENT {index:04d}"
    born = datetime.date(1932, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 26000)))
    number = f"{hospital[:2].upper()}{int(rng.integers(10**6, 10**7))}"
    return InventedIdentity(name, number, born, "FM"[int(rng.integers(2))])


def draw_study_time(rng: np.random.Generator) -> datetime.datetime:
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
