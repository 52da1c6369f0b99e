"""The point-spread function, applied in the polar domain: wider across the beam away from the focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Field = npt.NDArray[np.complex64]

FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class PointSpread:
    """Separable Gaussian point spread of a grid.

    Attributes:
        axial: Standard deviation along the beam, samples.
        lateral: Standard deviation across the beam at each depth, beams, float32 `(samples,)`.
    """

    axial: float
    lateral: Floats

    def apply(self, field: Field) -> Field:
        """Blur a complex echo field; a field of uncorrelated unit scatterers keeps its mean power at every depth.

        Args:
            field: complex64 `(n, beams, samples)`.

        Returns:
            complex64 of the same shape; beyond the borders nothing scatters.
        """
        reach = int(np.ceil(2.2 * float(self.lateral.max())))
        across = _kernel(self.lateral, reach)
        along = _kernel(np.array([self.axial], dtype=np.float32), max(1, int(np.ceil(2.2 * self.axial))))[:, 0]
        blurred, half, scratch = np.empty_like(field), np.empty_like(field[0]), np.empty_like(field[0])
        for frame, out in zip(field, blurred, strict=True):  # one frame at a time stays in the cache
            _across(frame, across, half, scratch)
            _along(half, along, out, scratch)
        return blurred


def _kernel(sigma: Floats, reach: int) -> Floats:
    """Gaussian taps of unit energy, float32 `(2 * reach + 1, len(sigma))`."""
    offset = np.arange(-reach, reach + 1, dtype=np.float32)[:, None]
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    normal: Floats = (taps / np.sqrt((taps**2).sum(axis=0))).astype(np.float32)
    return normal


def _across(frame: Field, taps: Floats, out: Field, scratch: Field) -> None:
    reach = len(taps) // 2
    np.multiply(frame, taps[reach], out=out)
    for step in range(1, reach + 1):
        np.multiply(frame, taps[reach + step], out=scratch)
        out[step:] += scratch[:-step]
        out[:-step] += scratch[step:]


def _along(frame: Field, taps: Floats, out: Field, scratch: Field) -> None:
    reach = len(taps) // 2
    np.multiply(frame, taps[reach], out=out)
    for step in range(1, reach + 1):
        np.multiply(frame, taps[reach + step], out=scratch)
        out[:, step:] += scratch[:, :-step]
        out[:, :-step] += scratch[:, step:]
