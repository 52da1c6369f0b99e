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
        return _along(_across(field, self.lateral), self.axial)


def _kernel(sigma: Floats, reach: int) -> Floats:
    """Gaussian taps of unit energy, float32 `(2 * reach + 1, len(sigma))`."""
    offset = np.arange(-reach, reach + 1, dtype=np.float32)[:, None]
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    normal: Floats = (taps / np.sqrt((taps**2).sum(axis=0))).astype(np.float32)
    return normal


def _across(field: Field, sigma: Floats) -> Field:
    reach = int(np.ceil(2.2 * float(sigma.max())))
    taps = _kernel(sigma, reach)
    out: Field = field * taps[reach]
    for step in range(1, reach + 1):
        weight = taps[reach + step]
        out[:, step:] += field[:, :-step] * weight
        out[:, :-step] += field[:, step:] * weight
    return out


def _along(field: Field, sigma: float) -> Field:
    reach = max(1, int(np.ceil(2.2 * sigma)))
    taps = _kernel(np.array([sigma], dtype=np.float32), reach)[:, 0]
    out: Field = field * taps[reach]
    for step in range(1, reach + 1):
        weight = taps[reach + step]
        out[..., step:] += field[..., :-step] * weight
        out[..., :-step] += field[..., step:] * weight
    return out
