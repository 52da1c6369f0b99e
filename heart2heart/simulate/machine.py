"""An ultrasound machine as its pictures show it: geometry of the sector, resolution, gain, compression."""

from __future__ import annotations

from pydantic import Field

from heart2heart.config import Config


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
