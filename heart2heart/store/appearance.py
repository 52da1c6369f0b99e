"""What a machine and its settings do to the look of a clip: levels, depth profile, speckle, sector, motion.

Every feature is a number without a unit or in gray levels, so that clips of different sizes can be compared. Hospitals
differ in these features whatever anatomy they show; `docs/results/hospital-shift.md` compares real and simulated sites.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.store.sector import sector_mask

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LIT = 12
"""Gray level from which a pixel of the scan counts as lit."""

WHITE = 245
"""Gray level from which a pixel counts as white."""

_BANDS = 4
_LAGS = 24
_FRAMES = 12


@dataclass(frozen=True)
class ClipAppearance:
    """Look of one clip inside its sector.

    Attributes:
        black: Share of the sector's pixels below `LIT`.
        black_level: 2nd percentile of the gray levels.
        median: Median gray level of the lit pixels.
        quartile_range: 75th less 25th percentile of the lit pixels, gray levels.
        bright: 95th percentile of the lit pixels.
        white: Share of the lit pixels that are `WHITE` or above.
        depth_1: Mean level of the first quarter of the depth, relative to the mean of the sector.
        depth_2: The same of the second quarter.
        depth_3: The same of the third quarter.
        depth_4: The same of the deepest quarter.
        speckle_lateral: Width of the autocorrelation across the beam at half its height, percent of the sector's.
        speckle_axial: The same along the beam.
        sector_share: Share of the picture that the sector fills.
        sector_aspect: Width of the sector's box over its height.
        sector_angle: Angle between the sector's sides, degrees; about 0 for a linear probe.
        apex_x: Column of the top of the sector, as a fraction of the columns.
        apex_y: Row of the top of the sector, as a fraction of the rows.
        frame_correlation: Mean correlation of neighbouring frames inside the sector; 1 for a still.
    """

    black: float
    black_level: float
    median: float
    quartile_range: float
    bright: float
    white: float
    depth_1: float
    depth_2: float
    depth_3: float
    depth_4: float
    speckle_lateral: float
    speckle_axial: float
    sector_share: float
    sector_aspect: float
    sector_angle: float
    apex_x: float
    apex_y: float
    frame_correlation: float

    def values(self) -> dict[str, float]:
        """Return the features by name."""
        return asdict(self)


def measure_appearance(frames: Bytes) -> ClipAppearance | None:
    """Measure the look of a clip.

    Args:
        frames: uint8 `(n, height, width)`, gray, the whole picture with its overlays.

    Returns:
        The features, or None when no sector is found or nothing in it is lit.

    Examples:
        >>> import numpy as np
        >>> measure_appearance(np.zeros((4, 64, 64), np.uint8)) is None
        True
    """
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int))]
    mask = sector_mask(chosen)
    if mask is None:
        return None
    levels = chosen[:, mask]
    lit = levels[levels >= LIT]
    if lit.size < 100:
        return None
    quarter, median, three_quarters, bright = np.percentile(lit, (25, 50, 75, 95))
    depth = _depth_profile(chosen, mask)
    lateral, axial = _speckle_widths(chosen, mask)
    share, aspect, angle, apex_x, apex_y = _sector_geometry(mask)
    return ClipAppearance(
        float((levels < LIT).mean()), float(np.percentile(levels, 2)), float(median), float(three_quarters - quarter),
        float(bright), float((lit >= WHITE).mean()), *depth, lateral, axial, share, aspect, angle, apex_x, apex_y,
        _frame_correlation(frames, mask),
    )  # fmt: skip


def lit_histogram(frames: Bytes) -> Floats:
    """Return the relative frequency of each gray level of the lit pixels inside the sector, `(256,)`; may be all 0."""
    mask = sector_mask(frames)
    levels = frames[:, mask] if mask is not None else frames[:0]
    counts = np.bincount(levels[levels >= LIT].ravel(), minlength=256).astype(np.float64)
    frequency: Floats = counts / max(float(counts.sum()), 1.0)
    return frequency


def _depth_profile(frames: Bytes, mask: Mask) -> tuple[float, float, float, float]:
    """Mean level in each quarter of the depth, over the mean of the whole sector."""
    mean = frames.mean(axis=0)
    rows = np.flatnonzero(mask.any(axis=1))
    edges = np.linspace(rows[0], rows[-1] + 1, _BANDS + 1).round().astype(int)
    whole = float(mean[mask].mean()) or 1.0
    bands = [
        float(mean[top:bottom][mask[top:bottom]].mean()) / whole if mask[top:bottom].any() else 0.0
        for top, bottom in itertools.pairwise(edges)
    ]
    return bands[0], bands[1], bands[2], bands[3]


def _speckle_widths(frames: Bytes, mask: Mask) -> tuple[float, float]:
    """Width at half height of the autocorrelation of the fine texture, across and along, percent of the sector height.

    The middle of the sector is taken, where the beams run nearly straight down. Larger structures are taken off by
    subtracting a local mean; flat and dark parts do not count.
    """
    from scipy.ndimage import uniform_filter

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    box = (
        slice(rows[0] + height // 5, rows[0] + 4 * height // 5),
        slice(columns[0] + 3 * width // 10, columns[0] + 7 * width // 10),
    )
    window = max(5, round(0.06 * height))
    across, along = np.zeros(_LAGS), np.zeros(_LAGS)
    for frame in frames[:4]:
        part = frame[box].astype(np.float64)
        fine = part - uniform_filter(part, window)
        fine[part < LIT] = 0.0
        if min(fine.shape) <= _LAGS:
            continue
        across += [float((fine[:, : fine.shape[1] - lag] * fine[:, lag:]).mean()) for lag in range(_LAGS)]
        along += [float((fine[: fine.shape[0] - lag] * fine[lag:]).mean()) for lag in range(_LAGS)]
    return _half_width(across) * 200.0 / height, _half_width(along) * 200.0 / height


def _half_width(correlation: Floats) -> float:
    """Lag at which an autocorrelation falls to half of its start, in pixels, by linear interpolation."""
    if correlation[0] <= 0:
        return 0.0
    relative = correlation / correlation[0]
    below = np.flatnonzero(relative < 0.5)
    if not below.size:
        return float(len(correlation))
    last = int(below[0])
    return last - float((0.5 - relative[last]) / (relative[last - 1] - relative[last]))


def _sector_geometry(mask: Mask) -> tuple[float, float, float, float, float]:
    """Share, aspect, angle between the sides, and column and row of the top."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
    upper = rows[height // 8 : height // 2]
    angle = 0.0
    if len(upper) >= 4:
        starts, ends = mask[upper].argmax(axis=1), mask.shape[1] - 1 - mask[upper, ::-1].argmax(axis=1)
        angle = float(
            np.degrees(np.arctan(-np.polyfit(upper, starts, 1)[0]) + np.arctan(np.polyfit(upper, ends, 1)[0]))
        )
    top = np.flatnonzero(mask[rows[0]])
    return float(mask.mean()), width / height, angle, float(top.mean()) / mask.shape[1], float(rows[0]) / mask.shape[0]


def _frame_correlation(frames: Bytes, mask: Mask) -> float:
    """Mean correlation of neighbouring frames inside the sector."""
    if len(frames) < 2:
        return 1.0
    pairs = np.linspace(0, len(frames) - 2, min(_FRAMES, len(frames) - 1)).round().astype(int)
    values = []
    for first in pairs:
        now, following = frames[first][mask].astype(np.float64), frames[first + 1][mask].astype(np.float64)
        if now.std() > 0 and following.std() > 0:
            values.append(float(np.corrcoef(now, following)[0, 1]))
    return float(np.mean(values)) if values else 1.0
