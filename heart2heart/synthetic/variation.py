"""How much patients, windows, planes and settings vary within one synthetic hospital."""

from __future__ import annotations

from pydantic import Field

from heart2heart.config import Config


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
