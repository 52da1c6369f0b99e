"""Synthetic hospitals that write true ultrasound DICOM, so that demo and tests need no patient.

The names below are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heart2heart.simulate.config import HospitalConfig
    from heart2heart.simulate.hospital import SimulationSummary, simulate_hospital
    from heart2heart.simulate.presets import four_hospitals

__all__ = ["HospitalConfig", "SimulationSummary", "four_hospitals", "simulate_hospital"]

_HOMES = {
    "HospitalConfig": "config",
    "SimulationSummary": "hospital",
    "four_hospitals": "presets",
    "simulate_hospital": "hospital",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
