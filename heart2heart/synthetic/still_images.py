"""M-mode and spectral Doppler stills: a small sector above, the trace of one line over time below."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from heart2heart.schema.enums import ClipMode
from heart2heart.synthetic.cardiac_motion import cycle_curve
from heart2heart.synthetic.config import HospitalConfig, MachineConfig
from heart2heart.synthetic.image_formation import (
    Acquisition,
    Floats,
    acquire,
    form_echo,
    frame_phases,
    log_compress,
    render_frames,
)
from heart2heart.synthetic.overlay import OverlayLayer, draw_scan_line
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.recording import (
    Bytes,
    PhysicalUnit,
    Recording,
    RegionDataType,
    RegionSpatialFormat,
    UltrasoundRegionItem,
    burn_in_overlays,
    random_phase,
    tissue_region,
)
from heart2heart.synthetic.scan_conversion import PolarGrid, scan_converter

_NEIGHBOUR_BEAMS = 4  # beams on either side of the M-line, for the lateral point spread


def m_mode_trace(
    acquisition: Acquisition, angle: float, seconds: float, columns: int, rng: np.random.Generator
) -> Floats:
    """Image one beam again and again.

    Args:
        acquisition: The acquisition.
        angle: Direction of the M-line, radians from the axis.
        seconds: Time that the strip shows.
        columns: Columns of the strip.
        rng: Source of randomness.

    Returns:
        Gray values 0 to 255, float32 `(samples, columns)`, time to the right.
    """
    step = np.float32(acquisition.grid.beam_step)
    angles = np.float32(angle) + step * np.arange(-_NEIGHBOUR_BEAMS, _NEIGHBOUR_BEAMS + 1, dtype=np.float32)
    line = PolarGrid(angles.astype(np.float32), acquisition.grid.radii, acquisition.grid.face)
    phase = frame_phases(columns, columns / seconds, acquisition.patient.heart_rate)
    envelope = np.abs(form_echo(acquisition, phase, line, rng))[:, _NEIGHBOUR_BEAMS : _NEIGHBOUR_BEAMS + 1]
    still = acquisition.machine.model_copy(update={"persistence": 0.3})
    gray: Floats = log_compress(envelope, still)[:, 0].T
    return gray


def doppler_spectrum(
    flow: str,
    peak: float,
    scale: float,
    heart_rate: float,
    seconds: float,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> Floats:
    """Return a Doppler spectrum over time.

    Args:
        flow: Driving curve: `inflow`, `outflow` or `regurgitation`.
        peak: Peak velocity, m/s, positive towards the probe.
        scale: Velocity at the top of the strip, m/s; the base line lies in its middle.
        heart_rate: Beats a minute.
        seconds: Time that the strip shows.
        shape: Rows and columns of the strip.
        rng: Source of randomness.

    Returns:
        Gray values 0 to 255, float32 of `shape`.
    """
    rows, columns = shape
    phase = frame_phases(columns, columns / seconds, heart_rate, 0.6)
    jitter = 1.0 + 0.04 * np.sin(2 * np.pi * phase / 4.3)
    centre = (peak * jitter * cycle_curve(flow, phase)).astype(np.float32)
    bins = np.linspace(scale, -scale, rows, dtype=np.float32)[:, None]
    # Continuous wave sees every velocity along the line; pulsed wave only those in its gate.
    continuous = flow == "regurgitation"
    spread = np.float32(0.05 * abs(peak)) + 0.10 * np.abs(centre)
    band = np.exp(-0.5 * ((bins - 0.88 * centre) / spread) ** 2)
    ratio = bins / np.where(np.abs(centre) < 0.02, np.inf, centre)
    fill = ((ratio > 0) & (ratio < 1.02)).astype(np.float32) * (0.35 if continuous else 0.05)
    power = np.where(np.abs(centre) < 0.03 * abs(peak), 0.0, band + fill)
    power = power + 0.25 * np.exp(-0.5 * (bins / (0.05 * scale)) ** 2) + 10**-3.3
    power = power * (np.abs(bins) > 0.03 * scale)
    speckled = gaussian_filter(rng.exponential(size=shape) * power, (0.8, 0.7))
    decibel = 10.0 * np.log10(speckled + 1e-6)
    gray: npt.NDArray[np.float32] = np.clip((decibel + 33.0) / 33.0, 0.0, 1.0).astype(np.float32)
    return gray * np.float32(255.0)


_SECTOR_SHARE = 0.42  # share of the picture that the small sector takes

_FLOWS = {
    # view, driving curve, peak velocity in m/s, scale in m/s, mark under the gate, data type
    "mitral": ("A4C", "inflow", 0.85, 1.4, "mitral", RegionDataType.PULSED_WAVE),
    "outflow": ("A5C", "outflow", -1.05, 1.8, "outflow", RegionDataType.PULSED_WAVE),
    "leak": ("A4C", "regurgitation", -4.4, 6.0, "mitral", RegionDataType.CONTINUOUS_WAVE),
}


def record_m_mode(
    patient: SyntheticPatient, hospital: HospitalConfig, caption: tuple[str, ...], rng: np.random.Generator
) -> Recording:
    """Record an M-mode still through the left ventricle or the mitral valve, from the parasternal long axis."""
    small = _small_sector_machine(hospital.machine)
    acquisition = acquire("PLAX", patient, small, rng)
    x, z = acquisition.scene.landmarks["mitral" if rng.random() < 0.5 else "LV"]
    angle = float(np.arctan2(x, z + acquisition.grid.face))
    box = _trace_box(hospital.machine)
    seconds = float(rng.uniform(2.5, 4.0))
    wide, tall = box[2] - box[0] + 1, box[3] - box[1] + 1
    trace = m_mode_trace(acquisition, angle, seconds, wide, rng)
    fitted = np.asarray(Image.fromarray(trace).resize((wide, tall), Image.Resampling.BILINEAR))
    region = UltrasoundRegionItem(
        RegionSpatialFormat.M_MODE,
        RegionDataType.TISSUE,
        box,
        (PhysicalUnit.SECONDS, PhysicalUnit.CM),
        (seconds / wide, acquisition.depth_cm / tall),
        (0, 0),
    )
    return _compose(acquisition, hospital, caption, angle, fitted, region, ClipMode.M_MODE, "PLAX", rng)


def record_spectral(
    patient: SyntheticPatient, hospital: HospitalConfig, caption: tuple[str, ...], rng: np.random.Generator
) -> Recording:
    """Record a pulsed wave still of mitral inflow or outflow, or a continuous wave still of a mitral leak."""
    flows = ["mitral", "outflow", *(["leak"] if patient.regurgitation > 0 else [])]
    view, flow, peak, scale, mark, data = _FLOWS[flows[int(rng.integers(len(flows)))]]
    small = _small_sector_machine(hospital.machine)
    acquisition = acquire(view, patient, small, rng)
    x, z = acquisition.scene.landmarks[mark]
    angle = float(np.arctan2(x, z + acquisition.grid.face))
    box = _trace_box(hospital.machine)
    seconds = float(rng.uniform(2.5, 4.0))
    wide, tall = box[2] - box[0] + 1, box[3] - box[1] + 1
    peak *= float(rng.uniform(0.85, 1.15))
    trace = doppler_spectrum(flow, peak, scale, patient.heart_rate, seconds, (tall, wide), rng)
    # Velocity falls with the row: the delta down is negative, and the base line is the reference.
    deltas = (seconds / wide, -200.0 * scale / tall)
    region = UltrasoundRegionItem(
        RegionSpatialFormat.SPECTRAL,
        data,
        box,
        (PhysicalUnit.SECONDS, PhysicalUnit.CM_PER_SECOND),
        deltas,
        (0, tall // 2),
    )
    return _compose(acquisition, hospital, caption, angle, trace, region, ClipMode.SPECTRAL, view, rng)


def _small_sector_machine(machine: MachineConfig) -> MachineConfig:
    """The same machine with a small sector in the upper part of the same picture."""
    top = min(machine.top, machine.rows // 12)
    return machine.model_copy(
        update={"top": top, "bottom": round(machine.rows * (1.0 - _SECTOR_SHARE)), "persistence": 0.0}
    )


def _trace_box(machine: MachineConfig) -> tuple[int, int, int, int]:
    top = round(machine.rows * (_SECTOR_SHARE + 0.05))
    return machine.columns // 12, top, machine.columns - machine.columns // 14, machine.rows - machine.rows // 14


def _compose(
    acquisition: Acquisition, hospital: HospitalConfig, caption: tuple[str, ...], angle: float,
    trace: Floats, region: UltrasoundRegionItem, mode: ClipMode, view: str, rng: np.random.Generator,
) -> Recording:  # fmt: skip
    small = acquisition.machine
    sector = scan_converter(small)
    frames: Bytes = render_frames(acquisition, random_phase(rng), rng)
    x0, y0, x1, y1 = region.box
    frames[0, y0 : y1 + 1, x0 : x1 + 1] = trace.astype(np.uint8)
    layer = OverlayLayer(small.rows, small.columns)
    shown = hospital.model_copy(update={"machine": small})
    burn_in_overlays(layer, shown, sector, acquisition.depth_cm, caption, f"{acquisition.patient.heart_rate:.0f} bpm")
    draw_scan_line(layer, sector, small, angle, hospital.overlays.tint)
    for step in range(5):
        y = y0 + step * (y1 - y0) / 4
        layer.draw_line([(x1 + 2, y), (x1 + 7, y)], hospital.overlays.tint)
    regions = (tissue_region(sector, acquisition.depth_cm, small.rows, small.columns), region)
    return Recording(layer.composite(frames), mode, view, regions, np.zeros(1))
