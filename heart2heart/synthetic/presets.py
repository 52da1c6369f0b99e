"""Four synthetic hospitals for the demo: one source with few labels and a large uncurated pool, three held out."""

from __future__ import annotations

from heart2heart.errors import ConfigError
from heart2heart.synthetic.config import CaseMix, HospitalConfig, MachineConfig, NonClipFiles, Overlays


def four_hospitals(scale: float = 1.0) -> tuple[HospitalConfig, ...]:
    """Return hospitals A (source: few labeled patients, large uncurated pool), B, C and D (all patients labeled).

    Args:
        scale: Factor of the numbers of patients; 1 gives about 650 recordings in all.

    Raises:
        ConfigError: `scale` is not above 0.
    """
    if not scale > 0:
        raise ConfigError(f"the scale of the simulation must be above 0, not {scale}")
    held_out = max(1, round(16 * scale))
    return (
        _hospital_a(max(2, round(48 * scale)), max(1, round(15 * scale))),
        _hospital_b(held_out),
        _hospital_c(held_out),
        _hospital_d(held_out),
    )


def _hospital_a(patients: int, labeled: int) -> HospitalConfig:
    return HospitalConfig(
        name="A", patients=patients, labeled_patients=labeled,
        manufacturer="Northwind Imaging (synthetic)", model="NW-7", station="ECHO1", transducer="S4-2",
        machine=MachineConfig(rows=400, columns=560, sector_degrees=80, top=34, bottom=38),
        frame_rate=26.0, frames=(15, 18), syntax="jpeg", suffix=".dcm", vocabulary="tmed2",
        overlays=Overlays(banner="top", ticks="right", ecg_tint=(210, 210, 210)),
        mix=CaseMix(a3c=0.35, a5c=0.25, subcostal=0.35, colour=0.14, m_mode=0.05, spectral=0.07),
        strays=NonClipFiles(text_files=2, captures=2, reports=1, truncated=2, copies=2),
    )  # fmt: skip


def _hospital_b(patients: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=360, columns=480, sector_degrees=90, top=14, bottom=12, face=0.03, depth_factor=1.08, megahertz=1.9,
        beam_width_degrees=2.6, pulse_mm=1.25, gain_db=2.0, dynamic_range_db=65, gamma=1.15, persistence=0.4,
        noise_db=-76, clutter_db=-28, centre=0.52,
    )  # fmt: skip
    return HospitalConfig(
        name="B", patients=patients, labeled_patients=patients,
        manufacturer="", private_creator="HALCYON SONICS PRIVATE", model="Halcyon 3", station="BEDSIDE2",
        transducer="P21x", machine=machine, frame_rate=25.0, syntax="rle",
        frames=(14, 17), suffix="", vocabulary="clinical", colour_as_own_region=False,
        overlays=Overlays(banner="left", ticks="right", gray_bar=False, ecg=False, tint=(200, 200, 200)),
        mix=CaseMix(a3c=0.2, a5c=0.1, subcostal=0.4, colour=0.10, m_mode=0.02, spectral=0.04),
    )  # fmt: skip


def _hospital_c(patients: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=300, columns=400, sector_degrees=72, top=26, bottom=36, face=0.08, depth_factor=0.94, megahertz=2.6,
        beam_width_degrees=1.7, pulse_mm=0.8, gain_db=-2.0, dynamic_range_db=52, gamma=1.25, persistence=0.1,
        noise_db=-76, clutter_db=-33, focus=0.6, centre=0.48,
    )  # fmt: skip
    return HospitalConfig(
        name="C", patients=patients, labeled_patients=patients, manufacturer="Tarnmoor Medical (synthetic)",
        model="TM Vista", station="LAB-C", transducer="X5-1", machine=machine, frame_rate=32.0, syntax="native",
        vocabulary="heart2heart", frame_time_vector=True, ecg_region=True, view_code=0.3,
        overlays=Overlays(banner="top", ticks="edge", tint=(225, 225, 225), ecg_tint=(225, 225, 225)),
        mix=CaseMix(plax=1.2, a3c=0.4, a5c=0.3, subcostal=0.2, colour=0.12, m_mode=0.05, spectral=0.07),
    )  # fmt: skip


def _hospital_d(patients: int) -> HospitalConfig:
    machine = MachineConfig(
        rows=320, columns=440, sector_degrees=84, top=16, bottom=44, face=0.05, depth_factor=1.15, megahertz=2.2,
        beam_width_degrees=2.3, pulse_mm=1.1, gain_db=1.0, dynamic_range_db=62, gamma=1.2, persistence=0.25,
        noise_db=-74, clutter_db=-26, tgc_db=-4.0,
    )  # fmt: skip
    return HospitalConfig(
        name="D", patients=patients, labeled_patients=patients, manufacturer="Corvid Ultrasound (synthetic)",
        model="Corvid Q", station="WARD 4", transducer="M5S", machine=machine, frame_rate=27.0, syntax="palette",
        frames=(14, 18), vocabulary="echocv",
        overlays=Overlays(banner="bottom", ticks="right", tint=(230, 200, 90), ecg_tint=(90, 220, 110)),
        mix=CaseMix(a2c=0.8, a3c=0.3, a5c=0.2, subcostal=0.4, colour=0.12, m_mode=0.04, spectral=0.05),
    )  # fmt: skip
