"""Configuration of one synthetic hospital: machine, overlays, case mix, variation, and files that are not clips."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from heart2heart.config import Config
from heart2heart.schema.views import VOCABULARIES


class Variation(Config):
    """Severity of what makes real clips of one view differ; 1 is a mixed echo laboratory, 0 is a textbook."""

    anatomy: float = Field(default=1.0, ge=0, le=2)
    """Spread of size, shape, wall thickness, chambers and position of the heart between patients."""
    windows: float = Field(default=1.0, ge=0, le=2)
    """Poor acoustic windows: haze, reverberation, rib shadows, lost segments, by patient and by clip."""
    planes: float = Field(default=1.0, ge=0, le=2)
    """Off-axis and foreshortened planes: rotation, tilt and translation of the probe, by patient and by clip."""
    settings: float = Field(default=1.0, ge=0, le=2)
    """Spread of gain, time-gain compensation, dynamic range, gray map, frequency, depth and sector width by clip."""
    layouts: int = Field(default=3, ge=1, le=8)
    """Scanners of the hospital: each has its own geometry and presets near those of `machine`; a study uses one."""
    arrhythmia: float = Field(default=0.12, ge=0, le=1)
    """Share of patients whose beats are irregular."""
    flipped: float = Field(default=0.02, ge=0, le=1)
    """Share of B-mode clips that are mirrored, left for right."""
    pool_planes: float = Field(default=1.5, ge=1, le=3)
    """Factor of `planes` for patients without labels, whose clips nobody selected."""


class MachineConfig(Config):
    """One synthetic machine with the settings of one laboratory."""

    rows: int = Field(default=434, ge=96, le=1024)
    """Rows of the picture."""
    columns: int = Field(default=636, ge=96, le=1400)
    """Columns of the picture."""
    sector_degrees: float = Field(default=80.0, ge=40.0, le=100.0)
    """Opening of the sector."""
    top: int = Field(default=40, ge=0)
    """Row of the sector's upper end: above it lies the banner."""
    bottom: int = Field(default=30, ge=0)
    """Rows left free below the sector."""
    centre: float = Field(default=0.5, ge=0.3, le=0.7)
    """Column of the sector's axis, as a fraction of the columns."""
    face: float = Field(default=0.05, ge=0.0, le=0.3)
    """Radius of the arc at the upper end, as a fraction of the depth."""
    beams: int = Field(default=96, ge=32, le=256)
    """Beams of a frame."""
    samples: int = Field(default=272, ge=64, le=512)
    """Samples of a beam."""
    depth_factor: float = Field(default=1.0, ge=0.7, le=1.5)
    """Depth in units of the usual depth of each view."""
    megahertz: float = Field(default=2.2, ge=1.0, le=8.0)
    """Transmitted frequency: attenuation and resolution."""
    beam_width_degrees: float = Field(default=2.0, ge=0.5, le=6.0)
    """Lateral width of the point spread at the focus, full width at half maximum of the amplitude."""
    pulse_mm: float = Field(default=1.0, ge=0.3, le=3.0)
    """Axial width of the point spread, full width at half maximum of the amplitude."""
    focus: float = Field(default=0.5, gt=0.0, le=1.0)
    """Depth of the focus as a fraction of the depth."""
    gain_db: float = 0.0
    """Gain: positive is brighter."""
    dynamic_range_db: float = Field(default=60.0, ge=30.0, le=90.0)
    """Decibels between black and white."""
    gamma: float = Field(default=1.2, ge=0.5, le=2.0)
    """Gray map: above 1 darkens the middle grays."""
    persistence: float = Field(default=0.2, ge=0.0, le=0.8)
    """Share of the frame before in each frame."""
    noise_db: float = Field(default=-73.0, ge=-120.0, le=-20.0)
    """Receiver noise and moving blood at the probe, relative to 0 dB; time-gain compensation lifts it with depth."""
    clutter_db: float = Field(default=-30.0, ge=-120.0, le=0.0)
    """Reverberation under the probe, relative to 0 dB."""
    tgc_db: float = Field(default=0.0, ge=-20.0, le=20.0)
    """Deviation of the time-gain compensation at the deepest point: negative leaves the far field dark."""
    slider_db: float = Field(default=0.0, ge=0.0, le=12.0)
    """Standard deviation of the time-gain sliders from the machine's curve, drawn anew for each clip."""


class Overlays(Config):
    """What the machine burns into its pictures beside the sector."""

    banner: Literal["top", "left", "bottom", "none"] = "top"
    """Where the invented name, number and date stand."""
    ticks: Literal["right", "edge", "none"] = "right"
    """Depth ticks beside the picture or along the sector's edge."""
    gray_bar: bool = True
    """A gray bar, and a colour bar in colour clips."""
    ecg: bool = True
    """An ECG trace below the sector."""
    tint: tuple[int, int, int] = (235, 235, 235)
    """Colour of text and ticks, RGB."""
    ecg_tint: tuple[int, int, int] = (90, 220, 110)
    """Colour of the ECG, RGB."""


class CaseMix(Config):
    """Relative frequency of views, and shares of clips that are not B-mode."""

    plax: float = Field(default=1.0, ge=0)
    """Weight of PLAX clips."""
    psax: float = Field(default=1.0, ge=0)
    """Weight of PSAX clips."""
    a4c: float = Field(default=1.0, ge=0)
    """Weight of A4C clips."""
    a2c: float = Field(default=1.0, ge=0)
    """Weight of A2C clips."""
    a3c: float = Field(default=0.3, ge=0)
    """Weight of A3C clips."""
    a5c: float = Field(default=0.2, ge=0)
    """Weight of A5C clips."""
    subcostal: float = Field(default=0.3, ge=0)
    """Weight of SUBCOSTAL clips."""
    other: float = Field(default=0.0, ge=0)
    """Weight of clips without a heart: abdomen, lung, a vessel, air."""
    colour: float = Field(default=0.12, ge=0, le=1)
    """Share of colour Doppler clips."""
    m_mode: float = Field(default=0.05, ge=0, le=1)
    """Share of M-mode stills."""
    spectral: float = Field(default=0.06, ge=0, le=1)
    """Share of pulsed and continuous wave stills."""

    @model_validator(mode="after")
    def _possible(self) -> CaseMix:
        if sum(self.weights().values()) <= 0:
            raise ValueError("at least one view must have a weight above 0")
        if self.colour + self.m_mode + self.spectral > 1:
            raise ValueError("colour, m_mode and spectral together must not exceed 1")
        return self

    def weights(self) -> dict[str, float]:
        """Return the relative frequency by view name."""
        names = ("plax", "psax", "a4c", "a2c", "a3c", "a5c", "subcostal", "other")
        return {name.upper(): float(getattr(self, name)) for name in names}


class NonClipFiles(Config):
    """Files that real archives hold beside clips; every one of them should end in the ledger with a reason."""

    text_files: int = Field(default=1, ge=0)
    """Plain text files."""
    captures: int = Field(default=1, ge=0)
    """Secondary captures of a worksheet."""
    reports: int = Field(default=1, ge=0)
    """Structured reports."""
    truncated: int = Field(default=1, ge=0)
    """Copies of a clip that end in the middle of the pixel data."""
    copies: int = Field(default=1, ge=0)
    """Exact copies of a clip under another name."""


class HospitalConfig(Config):
    """One synthetic hospital."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
    """Name of the hospital and of its folder."""
    patients: int = Field(default=20, ge=1, le=5000)
    """Patients."""
    labeled_patients: int = Field(default=20, ge=0)
    """How many of them have labels."""
    clips: tuple[int, int] = (5, 7)
    """Fewest and most clips and stills of a study."""
    frames: tuple[int, int] = (16, 20)
    """Fewest and most frames of a clip."""
    second_study: float = Field(default=0.12, ge=0, le=1)
    """Share of patients who come twice."""
    manufacturer: str = "Northwind Imaging (synthetic)"
    """Maker; may be empty, as in some real files."""
    model: str = "NW-7"
    """Model name."""
    private_creator: str = ""
    """Private creator to leave in the header, if any."""
    station: str = "ECHO1"
    """Station name."""
    transducer: str = "S4-2"
    """Name of the probe."""
    machine: MachineConfig = MachineConfig()
    """The machine and its settings."""
    frame_rate: float = Field(default=30.0, gt=5, le=120)
    """Frames a second."""
    overlays: Overlays = Overlays()
    """What is burned in."""
    syntax: Literal["jpeg", "rle", "native", "palette"] = "jpeg"
    """Transfer syntax: JPEG baseline YBR_FULL_422, RLE lossless, explicit little endian, or that with a palette."""
    frame_time_vector: bool = False
    """Give frame times as a vector, with jitter, instead of one number."""
    phase_tags: float = Field(default=0.0, ge=0, le=1)
    """Share of clips that say where the beat is."""
    phase_form: Literal["r_waves", "frames_of_interest"] = "r_waves"
    """How they say it: R Wave Time Vector, or frames of interest with their type, end-systole as well."""
    ecg_region: bool = False
    """Declare the ECG as a region of its own."""
    colour_as_own_region: bool = True
    """Colour clips have a colour-flow region beside the tissue region; otherwise their one region is colour flow."""
    view_code: float = Field(default=0.0, ge=0, le=1)
    """Share of clips with View Code Sequence filled."""
    suffix: Literal["", ".dcm"] = ".dcm"
    """Suffix of file names."""
    vocabulary: str = "heart2heart"
    """Vocabulary of its labels, a key of `heart2heart.schema.views.VOCABULARIES`."""
    mix: CaseMix = CaseMix()
    """Views and modes."""
    variation: Variation = Variation()
    """How much patients, windows, planes and settings vary."""
    strays: NonClipFiles = NonClipFiles()
    """Files that are not clips."""

    @field_validator("vocabulary")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in VOCABULARIES:
            raise ValueError(f"unknown label vocabulary; known: {', '.join(sorted(VOCABULARIES))}")
        return name

    @field_validator("clips", "frames")
    @classmethod
    def _ordered(cls, span: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= span[0] <= span[1]:
            raise ValueError("give the fewest and the most, at least 1")
        return span

    @model_validator(mode="after")
    def _enough(self) -> HospitalConfig:
        if self.labeled_patients > self.patients:
            raise ValueError("labeled_patients must not exceed patients")
        return self
