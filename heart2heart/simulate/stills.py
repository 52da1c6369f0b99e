"""M-mode and spectral stills: a small sector above, the trace of one line over time below."""

from __future__ import annotations

import numpy as np
from PIL import Image

from heart2heart.simulate.config import HospitalConfig
from heart2heart.simulate.exam import Bytes, Recording, annotate, plane_region, still_phase
from heart2heart.simulate.machine import MachineConfig
from heart2heart.simulate.overlay import Layer, sector_line
from heart2heart.simulate.patient import Patient
from heart2heart.simulate.regions import DataType, Region, SpatialFormat, Unit
from heart2heart.simulate.render import Acquisition, Floats, acquire, render
from heart2heart.simulate.sector import scan_map
from heart2heart.simulate.traces import m_mode, spectrum

_UPPER = 0.42  # share of the picture that the small sector takes

_FLOWS = {
    # view, driving curve, peak velocity in m/s, scale in m/s, mark under the gate, data type
    "mitral": ("A4C", "inflow", 0.85, 1.4, "mitral", DataType.PULSED_WAVE),
    "outflow": ("A5C", "outflow", -1.05, 1.8, "outflow", DataType.PULSED_WAVE),
    "leak": ("A4C", "regurgitation", -4.4, 6.0, "mitral", DataType.CONTINUOUS_WAVE),
}


def record_m_mode(
    patient: Patient, hospital: HospitalConfig, caption: tuple[str, ...], rng: np.random.Generator
) -> Recording:
    """Record an M-mode still through the left ventricle or the mitral valve, from the parasternal long axis."""
    small = _upper(hospital.machine)
    taken = acquire("PLAX", patient, small, rng)
    x, z = taken.scene.marks["mitral" if rng.random() < 0.5 else "LV"]
    angle = float(np.arctan2(x, z + taken.grid.face))
    box = _strip(hospital.machine)
    seconds = float(rng.uniform(2.5, 4.0))
    wide, tall = box[2] - box[0] + 1, box[3] - box[1] + 1
    trace = m_mode(taken, angle, seconds, wide, rng)
    fitted = np.asarray(Image.fromarray(trace).resize((wide, tall), Image.Resampling.BILINEAR))
    region = Region(
        SpatialFormat.M_MODE,
        DataType.TISSUE,
        box,
        (Unit.SECONDS, Unit.CM),
        (seconds / wide, taken.depth_cm / tall),
        (0, 0),
    )
    return _compose(taken, hospital, caption, angle, fitted, region, "m_mode", "PLAX", rng)


def record_spectral(
    patient: Patient, hospital: HospitalConfig, caption: tuple[str, ...], rng: np.random.Generator
) -> Recording:
    """Record a pulsed wave still of mitral inflow or outflow, or a continuous wave still of a mitral leak."""
    flows = ["mitral", "outflow", *(["leak"] if patient.regurgitation > 0 else [])]
    view, flow, peak, scale, mark, data = _FLOWS[flows[int(rng.integers(len(flows)))]]
    small = _upper(hospital.machine)
    taken = acquire(view, patient, small, rng)
    x, z = taken.scene.marks[mark]
    angle = float(np.arctan2(x, z + taken.grid.face))
    box = _strip(hospital.machine)
    seconds = float(rng.uniform(2.5, 4.0))
    wide, tall = box[2] - box[0] + 1, box[3] - box[1] + 1
    peak *= float(rng.uniform(0.85, 1.15))
    trace = spectrum(flow, peak, scale, patient.heart_rate, seconds, (tall, wide), rng)
    # Velocity falls with the row: the delta down is negative, and the base line is the reference.
    deltas = (seconds / wide, -200.0 * scale / tall)
    region = Region(SpatialFormat.SPECTRAL, data, box, (Unit.SECONDS, Unit.CM_PER_SECOND), deltas, (0, tall // 2))
    return _compose(taken, hospital, caption, angle, trace, region, "spectral", view, rng)


def _upper(machine: MachineConfig) -> MachineConfig:
    """The same machine with a small sector in the upper part of the same picture."""
    top = min(machine.top, machine.rows // 12)
    return machine.model_copy(update={"top": top, "bottom": round(machine.rows * (1.0 - _UPPER)), "persistence": 0.0})


def _strip(machine: MachineConfig) -> tuple[int, int, int, int]:
    top = round(machine.rows * (_UPPER + 0.05))
    return machine.columns // 12, top, machine.columns - machine.columns // 14, machine.rows - machine.rows // 14


def _compose(
    taken: Acquisition, hospital: HospitalConfig, caption: tuple[str, ...], angle: float, trace: Floats, region: Region,
    mode: str, view: str, rng: np.random.Generator,
) -> Recording:  # fmt: skip
    small = taken.machine
    sector = scan_map(small)
    frames: Bytes = render(taken, still_phase(rng), rng)
    x0, y0, x1, y1 = region.box
    frames[0, y0 : y1 + 1, x0 : x1 + 1] = trace.astype(np.uint8)
    layer = Layer(small.rows, small.columns)
    shown = hospital.model_copy(update={"machine": small})
    annotate(layer, shown, sector, taken.depth_cm, caption, f"{taken.patient.heart_rate:.0f} bpm")
    sector_line(layer, sector, small, angle, hospital.overlays.tint)
    for step in range(5):
        y = y0 + step * (y1 - y0) / 4
        layer.line([(x1 + 2, y), (x1 + 7, y)], hospital.overlays.tint)
    regions = (plane_region(sector, taken.depth_cm, small.rows, small.columns), region)
    return Recording(layer.over(frames), mode, view, regions, np.zeros(1))
