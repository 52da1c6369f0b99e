"""One recording: a moving clip with its overlays, frame times and ultrasound regions (PS3.3 C.8.5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from heart2heart.schema.enums import ClipMode
from heart2heart.synthetic.anatomy.view_plane import ProbePlane
from heart2heart.synthetic.colour_doppler import ColourBox, render_colour, velocity_colour_map
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.image_formation import Acquisition, acquire, frame_phases, render_frames
from heart2heart.synthetic.overlay import EcgTrace, OverlayLayer, draw_colour_box, draw_depth_ticks
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.scan_conversion import ScanConverter, scan_converter


class RegionSpatialFormat(IntEnum):
    """(0018,6012)."""

    PLANE = 1
    M_MODE = 2
    SPECTRAL = 3
    WAVEFORM = 4
    GRAPHICS = 5


class RegionDataType(IntEnum):
    """(0018,6014)."""

    TISSUE = 1
    COLOUR_FLOW = 2
    PULSED_WAVE = 3
    CONTINUOUS_WAVE = 4
    ECG = 10
    GRAY_BAR = 13
    COLOUR_BAR = 14


class PhysicalUnit(IntEnum):
    """(0018,6024) and (0018,6026)."""

    NONE = 0
    CM = 3
    SECONDS = 4
    CM_PER_SECOND = 7


@dataclass(frozen=True)
class UltrasoundRegionItem:
    """One item of the sequence.

    Attributes:
        spatial: Spatial format.
        data: Data type.
        box: x0, y0, x1, y1 of the region; x1 and y1 are its last column and row, as the standard has it.
        units: Units across and down.
        deltas: Size of a pixel in those units, across and down; negative when values fall with the row.
        reference: Pixel of the origin relative to the box, if there is one.
    """

    spatial: RegionSpatialFormat
    data: RegionDataType
    box: tuple[int, int, int, int]
    units: tuple[PhysicalUnit, PhysicalUnit] = (PhysicalUnit.NONE, PhysicalUnit.NONE)
    deltas: tuple[float, float] = (0.0, 0.0)
    reference: tuple[int, int] | None = None

    def to_dataset(self) -> Dataset:
        """Return the item of the Sequence of Ultrasound Regions."""
        item = Dataset()
        item.RegionSpatialFormat = int(self.spatial)
        item.RegionDataType = int(self.data)
        item.RegionFlags = 2 if self.spatial is RegionSpatialFormat.PLANE else 0
        item.RegionLocationMinX0, item.RegionLocationMinY0 = self.box[0], self.box[1]
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = self.box[2], self.box[3]
        if self.reference is not None:
            item.ReferencePixelX0, item.ReferencePixelY0 = self.reference
            item.ReferencePixelPhysicalValueX = 0.0
            item.ReferencePixelPhysicalValueY = 0.0
        item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = int(self.units[0]), int(self.units[1])
        item.PhysicalDeltaX, item.PhysicalDeltaY = self.deltas
        return item


Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Recording:
    """A clip or a still.

    Attributes:
        frames: uint8 `(n, rows, columns)` when gray, `(n, rows, columns, 3)` RGB otherwise.
        mode: `b_mode`, `colour`, `m_mode_trace` or `spectral`.
        view: View that the picture, or the small picture beside a trace, shows.
        regions: Its ultrasound regions.
        times: Time of each frame from the first, seconds, float64 `(n,)`.
        start: Phase of the first frame, beats; the R wave is phase 0.
        heart_rate: Beats a minute during the recording.
    """

    frames: Bytes
    mode: ClipMode
    view: str
    regions: tuple[UltrasoundRegionItem, ...]
    times: npt.NDArray[np.float64]
    start: float = 0.0
    heart_rate: float = 0.0


def record_clip(
    view: str,
    patient: SyntheticPatient,
    hospital: HospitalConfig,
    caption: tuple[str, ...],
    rng: np.random.Generator,
    *,
    colour: bool,
    plane: ProbePlane | None = None,
) -> Recording:
    """Record a moving clip.

    Args:
        view: One of `SIMULATED_VIEWS`.
        patient: Whose heart.
        hospital: Machine, overlays and frame rate.
        caption: Lines of the banner: invented name, number, date.
        rng: Source of randomness.
        colour: Colour Doppler instead of B-mode.
        plane: How the probe is held; None draws a plane near the standard one.
    """
    machine = hospital.machine
    acquisition = acquire(view, patient, machine, rng, plane)
    rate_now = patient.heart_rate * float(np.exp(rng.normal(0.0, patient.irregular)))
    count = int(rng.integers(hospital.frames[0], hospital.frames[1] + 1))
    rate = hospital.frame_rate * (0.7 if colour else 1.0)
    times = np.arange(count) / rate
    if hospital.frame_time_vector:
        times[1:] += np.cumsum(rng.normal(0.0, 0.02 / rate, count - 1))
    start = float(rng.uniform())
    phase = (start + times * rate_now / 60.0).astype(np.float32)
    sector = scan_converter(machine)
    layer = OverlayLayer(machine.rows, machine.columns)
    burn_in_overlays(layer, hospital, sector, acquisition.depth_cm, caption, f"{rate:.0f} fps   {rate_now:.0f} bpm")
    regions = [tissue_region(sector, acquisition.depth_cm, machine.rows, machine.columns)]
    if colour:
        box = _random_colour_box(view, rng)
        frames = render_colour(acquisition, phase, box, rng)
        draw_colour_box(layer, sector, machine, box.beams, box.samples, hospital.overlays.tint)
        regions = _colour_regions(regions[0], sector, acquisition, box, own=hospital.colour_as_own_region)
    else:
        frames = render_frames(acquisition, phase, rng)
    regions += _gray_and_colour_bars(layer, hospital, colour=colour)
    strip = _ecg_trace(hospital, float(times[-1]) + 0.05) if hospital.overlays.ecg else None
    if strip is not None:
        strip.draw(layer, rate_now, start, hospital.overlays.ecg_tint)
    frames = layer.composite(frames)
    if strip is not None:
        strip.draw_cursor(frames, times)
        regions += [_ecg_region(strip)] if hospital.ecg_region else []
    mode = ClipMode.COLOUR if colour else ClipMode.B_MODE
    return Recording(frames, mode, view, tuple(regions), times, start, rate_now)


def _ecg_trace(hospital: HospitalConfig, seconds: float) -> EcgTrace:
    rows, columns = hospital.machine.rows, hospital.machine.columns
    # Above a banner at the bottom there is room only from the end of the sector to the banner.
    last = rows - 5 - (rows // 20 if hospital.overlays.banner == "bottom" else 0)
    return EcgTrace((columns // 8, rows - max(hospital.machine.bottom, 24) + 4, columns - columns // 5, last), seconds)


def _ecg_region(strip: EcgTrace) -> UltrasoundRegionItem:
    second = strip.seconds / (strip.box[2] - strip.box[0])
    return UltrasoundRegionItem(
        RegionSpatialFormat.WAVEFORM,
        RegionDataType.ECG,
        strip.box,
        (PhysicalUnit.SECONDS, PhysicalUnit.NONE),
        (second, 0.0),
    )


def burn_in_overlays(
    layer: OverlayLayer,
    hospital: HospitalConfig,
    sector: ScanConverter,
    depth_cm: float,
    caption: tuple[str, ...],
    settings: str,
) -> None:
    """Burn in the banner, the settings and the depth ticks."""
    overlays, step = hospital.overlays, layer.text_height + 2
    tint = overlays.tint
    if overlays.banner == "top":
        layer.draw_text(4, 2, "   ".join(caption[:2]), tint)
        layer.draw_text(4, 2 + step, caption[2], tint)
        layer.draw_text(layer.columns - 4, 2, hospital.station, tint, right=True)
    elif overlays.banner == "left":
        for index, words in enumerate(caption):
            layer.draw_text(4, 4 + index * step, words, tint)
    elif overlays.banner == "bottom":
        layer.fill_rectangle((0, layer.rows - step - 3, layer.columns, layer.rows), (18, 32, 70))
        layer.draw_text(4, layer.rows - step, "   ".join(caption), tint)
    level = layer.rows // 3
    for index, words in enumerate((hospital.transducer, f"{depth_cm:.0f} cm", *settings.split("   "), "MI 1.1")):
        layer.draw_text(4, level + index * step, words, tint)
    if overlays.ticks != "none":
        draw_depth_ticks(layer, overlays.ticks, sector, hospital.machine, depth_cm, tint)


def tissue_region(sector: ScanConverter, depth_cm: float, rows: int, columns: int) -> UltrasoundRegionItem:
    """Return the region of the gray sector, a few pixels wider than it, as machines declare it."""
    x0, y0, x1, y1 = sector.box
    box = (max(x0 - 4, 0), max(y0 - 3, 0), min(x1 + 3, columns - 1), min(y1 + 2, rows - 1))
    spacing = sector.spacing_cm(depth_cm)
    reference = (round(sector.apex[0]) - box[0], round(sector.apex[1]) - box[1])
    return UltrasoundRegionItem(
        RegionSpatialFormat.PLANE,
        RegionDataType.TISSUE,
        box,
        (PhysicalUnit.CM, PhysicalUnit.CM),
        (spacing, spacing),
        reference,
    )


_JET_CENTRE: dict[str, tuple[float, float]] = {"PLAX": (0.55, 0.52), "PSAX": (0.55, 0.5), "SUBCOSTAL": (0.55, 0.55)}


def _random_colour_box(view: str, rng: np.random.Generator) -> ColourBox:
    beam, sample = _JET_CENTRE.get(view, (0.55, 0.62))
    beam, sample = beam + float(rng.normal(0, 0.04)), sample + float(rng.normal(0, 0.04))
    wide, tall = float(rng.uniform(0.16, 0.28)), float(rng.uniform(0.18, 0.3))
    nyquist = float(rng.uniform(0.5, 0.7))
    return ColourBox(
        (beam - wide, min(beam + wide, 0.98)), (max(sample - tall, 0.12), min(sample + tall, 0.97)), nyquist
    )


def _colour_regions(
    plane: UltrasoundRegionItem, sector: ScanConverter, acquisition: Acquisition, box: ColourBox, *, own: bool
) -> list[UltrasoundRegionItem]:
    if not own:
        return [
            UltrasoundRegionItem(
                plane.spatial, RegionDataType.COLOUR_FLOW, plane.box, plane.units, plane.deltas, plane.reference
            )
        ]
    half = np.deg2rad(acquisition.machine.sector_degrees) / 2
    angles = -half + 2 * half * np.linspace(*box.beams, 16)
    radii = sector.length * (acquisition.machine.face + np.array(box.samples))
    x = sector.apex[0] + radii[:, None] * np.sin(angles)
    y = sector.apex[1] - sector.length * acquisition.machine.face + radii[:, None] * np.cos(angles)
    around = (
        max(int(x.min()), 0),
        int(y.min()),
        min(int(x.max()) + 1, acquisition.machine.columns - 1),
        int(y.max()) + 1,
    )
    return [
        plane,
        UltrasoundRegionItem(RegionSpatialFormat.PLANE, RegionDataType.COLOUR_FLOW, around, plane.units, plane.deltas),
    ]


def _gray_and_colour_bars(layer: OverlayLayer, hospital: HospitalConfig, *, colour: bool) -> list[UltrasoundRegionItem]:
    if not hospital.overlays.gray_bar:
        return []
    right = layer.columns - 6
    box = (right - 9, layer.rows // 8, right, layer.rows // 8 + layer.rows // 4)
    ramp = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None], 3, axis=1)
    layer.paste_bar(box, ramp)
    bars = [
        UltrasoundRegionItem(
            RegionSpatialFormat.GRAPHICS, RegionDataType.GRAY_BAR, (box[0], box[1], box[2] - 1, box[3] - 1)
        )
    ]
    if colour:
        lower = (box[0], box[3] + 14, box[2], box[3] + 14 + layer.rows // 4)
        layer.paste_bar(lower, velocity_colour_map()[::-1])
        bars.append(
            UltrasoundRegionItem(
                RegionSpatialFormat.GRAPHICS,
                RegionDataType.COLOUR_BAR,
                (lower[0], lower[1], lower[2] - 1, lower[3] - 1),
            )
        )
    return bars


def random_phase(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return one random phase, `(1,)`."""
    return frame_phases(1, 1.0, 60.0, float(rng.uniform()))
