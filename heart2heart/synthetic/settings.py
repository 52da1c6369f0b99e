"""Settings of one clip: the scanner that the study used, and what the operator changed on it."""

from __future__ import annotations

import numpy as np

from heart2heart.synthetic.config import HospitalConfig, MachineConfig
from heart2heart.synthetic.patient import clipped_normal
from heart2heart.utils import random_stream

_SECTOR_WIDTHS = (1.0, 0.84)
"""Sector widths that an operator chooses, as factors of the scanner's."""


def scanner(hospital: HospitalConfig, index: int) -> MachineConfig:
    """Return one scanner of a hospital.

    Args:
        hospital: The hospital; its `machine` is scanner 0.
        index: Number of the scanner; the same number gives the same scanner for every seed.
    """
    machine = hospital.machine
    if index == 0:
        return machine
    rng = random_stream(0, "simulate", hospital.name, "scanner", index)
    free = machine.rows // 16
    return machine.model_copy(
        update={
            "sector_degrees": min(max(machine.sector_degrees + float(rng.normal(0.0, 5.0)), 58.0), 98.0),
            "top": machine.top + int(rng.integers(0, free)),
            "bottom": machine.bottom + int(rng.integers(0, free)),
            "centre": clipped_normal(rng, machine.centre, 0.012, 0.45, 0.55),
            "face": clipped_normal(rng, machine.face, 0.015, 0.01, 0.12),
            "gain_db": machine.gain_db + float(rng.normal(0.0, 1.5)),
            "dynamic_range_db": clipped_normal(rng, machine.dynamic_range_db, 4.0, 40.0, 84.0),
            "gamma": clipped_normal(rng, machine.gamma, 0.08, 0.8, 1.8),
            "beam_width_degrees": machine.beam_width_degrees * float(np.exp(rng.normal(0.0, 0.12))),
            "pulse_mm": machine.pulse_mm * float(np.exp(rng.normal(0.0, 0.15))),
        }
    )


def operate(machine: MachineConfig, severity: float, rng: np.random.Generator) -> MachineConfig:
    """Return a scanner as an operator set it for one clip.

    Args:
        machine: The scanner.
        severity: Spread of the settings; 0 returns the scanner's presets.
        rng: Source of randomness.
    """
    width = _SECTOR_WIDTHS[int(rng.random() < 0.3)]
    frequency = float(np.exp(rng.normal(0.0, 0.08 * severity)))
    spread = {
        "gain_db": machine.gain_db + float(rng.normal(0.0, 2.0 * severity)),
        "tgc_db": min(max(machine.tgc_db + float(rng.normal(0.0, 2.5 * severity)), -18.0), 14.0),
        "dynamic_range_db": clipped_normal(rng, machine.dynamic_range_db, 3.5 * severity, 38.0, 86.0),
        "gamma": clipped_normal(rng, machine.gamma, 0.09 * severity, 0.7, 1.9),
        "focus": clipped_normal(rng, machine.focus, 0.08 * severity, 0.25, 0.9),
        "megahertz": min(max(machine.megahertz * frequency, 1.2), 4.0),
        "beam_width_degrees": min(
            max(machine.beam_width_degrees / frequency * float(np.exp(rng.normal(0.0, 0.1 * severity))), 0.8), 5.0
        ),
        "pulse_mm": min(max(machine.pulse_mm / frequency * float(np.exp(rng.normal(0.0, 0.1 * severity))), 0.45), 2.2),
        "depth_factor": min(max(machine.depth_factor * float(np.exp(rng.normal(0.0, 0.08 * severity))), 0.72), 1.45),
        "slider_db": 1.8 * severity,
    }
    if severity > 0 and width != 1.0:
        spread["sector_degrees"] = max(machine.sector_degrees * width, 45.0)
    return machine.model_copy(update=spread)
