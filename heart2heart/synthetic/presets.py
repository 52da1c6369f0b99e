"""Synthetic hospitals: four for the demo, and four fresh ones that no recipe was tuned on.

Each has labeled patients and a larger uncurated pool: patients without labels, other views, Doppler, off-axis planes
and pictures without a heart. Machines differ as real ones do (`docs/results/hospital-shift.md`): much within one
hospital, less between two of them.
"""

from __future__ import annotations

import numpy as np

from heart2heart.errors import ConfigError
from heart2heart.synthetic.config import CaseMix, HospitalConfig, MachineConfig, NonClipFiles, Overlays
from heart2heart.utils import random_stream

FRESH_SEED = 20261127
"""Seed of the procedure that drew the fresh hospitals."""

_POOL = 3
"""Patients without labels for each labeled one at a held-out hospital."""

_SOURCE_POOL = 6
"""The same at the source."""

_MIX = CaseMix(a3c=0.5, a5c=0.5, subcostal=0.5, other=0.5, colour=0.14, m_mode=0.05, spectral=0.07)


def four_hospitals(scale: float = 1.0) -> tuple[HospitalConfig, ...]:
    """Return hospitals A (the source of labels), B, C and D (held out), each with an uncurated pool.

    Args:
        scale: Factor of the numbers of patients; 1 gives about 1,100 recordings in all.

    Raises:
        ConfigError: `scale` is not above 0.
    """
    labeled, held_out = _patients(scale)
    return (
        _hospital_a((1 + _SOURCE_POOL) * labeled, labeled),
        _hospital_b((1 + _POOL) * held_out, held_out),
        _hospital_c((1 + _POOL) * held_out, held_out),
        _hospital_d((1 + _POOL) * held_out, held_out),
    )


def fresh_hospitals(scale: float = 1.0, seed: int = FRESH_SEED) -> tuple[HospitalConfig, ...]:
    """Return hospitals E, F, G and H, whose machines were drawn by a seeded procedure from the range of real ones.

    They are kept for a final test: nothing is tuned or trained on them.

    Args:
        scale: Factor of the numbers of patients, as in `four_hospitals`.
        seed: Seed of the draw; another one gives four other hospitals of the same names.

    Raises:
        ConfigError: `scale` is not above 0.
    """
    _, held_out = _patients(scale)
    rng = random_stream(seed, "simulate", "fresh hospitals")
    looks = [rng.permutation(4) for _ in range(4)]
    return tuple(
        _draw_hospital(name, [int(order[index]) for order in looks], held_out, rng) for index, name in enumerate("EFGH")
    )


def _patients(scale: float) -> tuple[int, int]:
    """Labeled patients of the source and of a held-out hospital."""
    if not scale > 0:
        raise ConfigError(f"the scale of the simulation must be above 0, not {scale}")
    return max(1, round(15 * scale)), max(1, round(12 * scale))


def _hospital_a(patients: int, labeled: int) -> HospitalConfig:
    machine = MachineConfig(rows=360, columns=500, sector_degrees=80, top=30, bottom=34, noise_db=-72)
    return HospitalConfig(
        name="A", patients=patients, labeled_patients=labeled,
        manufacturer="Northwind Imaging (synthetic)", model="NW-7", station="ECHO1", transducer="S4-2",
        machine=machine, frame_rate=26.0, frames=(9, 12), clips=(4, 6), syntax="jpeg", suffix=".dcm",
        vocabulary="tmed2",
        overlays=Overlays(banner="top", ticks="right", ecg_tint=(210, 210, 210)), mix=_MIX,
        strays=NonClipFiles(text_files=2, captures=2, reports=1, truncated=2, copies=2),
    )  # fmt: skip


def _hospital_b(patients: int, labeled: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=330, columns=440, sector_degrees=88, top=14, bottom=12, face=0.03, depth_factor=1.06, megahertz=1.9,
        beam_width_degrees=2.5, pulse_mm=1.35, gain_db=-0.5, dynamic_range_db=62, gamma=1.2, persistence=0.4,
        noise_db=-74, clutter_db=-28, centre=0.52,
    )  # fmt: skip
    return HospitalConfig(
        name="B", patients=patients, labeled_patients=labeled,
        manufacturer="", private_creator="HALCYON SONICS PRIVATE", model="Halcyon 3", station="BEDSIDE2",
        transducer="P21x", machine=machine, frame_rate=25.0, syntax="rle",
        frames=(9, 12), clips=(4, 6), suffix="", vocabulary="clinical", colour_as_own_region=False,
        overlays=Overlays(banner="left", ticks="right", gray_bar=False, ecg=False, tint=(200, 200, 200)),
        mix=_MIX.model_copy(update={"subcostal": 0.7, "other": 0.7, "colour": 0.10}),
    )  # fmt: skip


def _hospital_c(patients: int, labeled: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=300, columns=400, sector_degrees=74, top=26, bottom=36, face=0.08, depth_factor=0.95, megahertz=2.5,
        beam_width_degrees=1.8, pulse_mm=0.75, gain_db=0.0, dynamic_range_db=56, gamma=1.2, persistence=0.1,
        noise_db=-72, clutter_db=-32, focus=0.6, centre=0.48,
    )  # fmt: skip
    return HospitalConfig(
        name="C", patients=patients, labeled_patients=labeled, manufacturer="Tarnmoor Medical (synthetic)",
        model="TM Vista", station="LAB-C", transducer="X5-1", machine=machine, frame_rate=32.0, syntax="native",
        frames=(9, 12), clips=(4, 6), vocabulary="heart2heart", frame_time_vector=True, ecg_region=True, view_code=0.3,
        overlays=Overlays(banner="top", ticks="edge", tint=(225, 225, 225), ecg_tint=(225, 225, 225)),
        mix=_MIX.model_copy(update={"plax": 1.3, "a5c": 0.6, "subcostal": 0.3}),
    )  # fmt: skip


def _hospital_d(patients: int, labeled: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=310, columns=430, sector_degrees=84, top=16, bottom=44, face=0.05, depth_factor=1.08, megahertz=2.2,
        beam_width_degrees=2.2, pulse_mm=1.1, gain_db=0.5, dynamic_range_db=60, gamma=1.25, persistence=0.25,
        noise_db=-73, clutter_db=-28, tgc_db=-2.0,
    )  # fmt: skip
    return HospitalConfig(
        name="D", patients=patients, labeled_patients=labeled, manufacturer="Corvid Ultrasound (synthetic)",
        model="Corvid Q", station="WARD 4", transducer="M5S", machine=machine, frame_rate=27.0, syntax="palette",
        frames=(9, 12), clips=(4, 6), vocabulary="echocv",
        overlays=Overlays(banner="bottom", ticks="right", tint=(230, 200, 90), ecg_tint=(90, 220, 110)),
        mix=_MIX.model_copy(update={"a2c": 0.8, "a3c": 0.6, "spectral": 0.05}),
    )  # fmt: skip


_MAKERS = (
    ("Kestrel Medical (synthetic)", "K-Scan 4"), ("Brightwater Sonics (synthetic)", "BW 900"),
    ("", "Handheld One"), ("Ostrava Imaging (synthetic)", "OI Cardio"),
)  # fmt: skip
_SYNTAXES = ("jpeg", "rle", "native", "palette")
_VOCABULARIES = ("tmed2", "clinical", "heart2heart", "echocv")
_BANNERS = ("top", "left", "bottom", "none")


def _draw_hospital(name: str, looks: list[int], labeled: int, rng: np.random.Generator) -> HospitalConfig:
    """Draw one hospital; `looks` chooses maker, syntax, vocabulary and banner, all else is uniform in its range."""

    def uniform(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)), 3)

    rows = int(rng.integers(290, 380))
    machine = MachineConfig(
        rows=rows, columns=round(rows * uniform(1.25, 1.45)), sector_degrees=uniform(70, 92),
        top=int(rng.integers(12, 34)), bottom=int(rng.integers(14, 44)), centre=uniform(0.47, 0.53),
        face=uniform(0.02, 0.09), depth_factor=uniform(0.93, 1.1), megahertz=uniform(1.8, 2.7),
        beam_width_degrees=uniform(1.7, 2.8), pulse_mm=uniform(0.7, 1.45), focus=uniform(0.4, 0.65),
        gain_db=uniform(-1.5, 2.5), dynamic_range_db=uniform(55, 66), gamma=uniform(1.05, 1.35),
        persistence=uniform(0.1, 0.45), noise_db=uniform(-75, -70), clutter_db=uniform(-33, -26),
        tgc_db=uniform(-4, 2),
    )  # fmt: skip
    maker, model = _MAKERS[looks[0]]
    banner = _BANNERS[looks[3]]
    return HospitalConfig.parse(
        {
            "name": name, "patients": (1 + _POOL) * labeled, "labeled_patients": labeled, "manufacturer": maker,
            "private_creator": "" if maker else "HANDHELD ONE PRIVATE", "model": model, "station": f"ECHO-{name}",
            "transducer": f"P{int(rng.integers(2, 6))}-1", "machine": machine.model_dump(),
            "frame_rate": uniform(22, 36), "frames": (9, 12), "clips": (4, 6), "syntax": _SYNTAXES[looks[1]],
            "suffix": ".dcm" if rng.random() < 0.6 else "", "vocabulary": _VOCABULARIES[looks[2]],
            "ecg_region": bool(rng.random() < 0.3), "view_code": uniform(0.0, 0.3),
            "overlays": {"banner": banner, "ticks": "edge" if rng.random() < 0.4 else "right",
                         "ecg": bool(rng.random() < 0.7), "gray_bar": bool(rng.random() < 0.7)},
            "mix": _MIX.model_dump() | {"subcostal": uniform(0.2, 0.8), "other": uniform(0.3, 0.9),
                                        "a3c": uniform(0.3, 0.7), "a5c": uniform(0.3, 0.7)},
        },
        where=f"fresh hospital {name}",
    )  # fmt: skip
