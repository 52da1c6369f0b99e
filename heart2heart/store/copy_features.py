"""What two pictures of one scene share after a copy was cropped, padded, shifted, turned, mirrored or re-encoded.

A frame becomes a small picture of its local contrast, which gain, gamma, depth gain and compression hardly change. Its
descriptors are low frequencies of that picture: once in place, once shifted and scaled by the moments of the echoes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIDE = 48
"""Pixels a side of a contrast picture."""

FREQUENCIES = 8
"""Frequencies a side of a descriptor; the first, the mean, is left out."""

_FINE, _COARSE, _ENERGY = 0.7, 1.8, 4.0  # standard deviations of the filters, pixels of a contrast picture
_DARK = 6.0  # gray levels that are padding, with what compression leaves in it
_EDGE = 1.5  # standard deviation, pixels, of the filter that widens the padding
_SPAN = 2.2  # half the width of the canonical picture, standard deviations of the echoes
_CANONICAL = 24  # pixels a side of the canonical picture


@dataclass(frozen=True)
class CopyFeatures:
    """What the search for copies keeps of n frames.

    Attributes:
        contrast: float32 `(n, SIDE, SIDE)`, local contrast, about -1 to 1.
        content: float32 `(n, SIDE, SIDE)`, 1 where there is echo, 0 in the padding.
        box: float32 `(n, 4)`, centre y, x and standard deviation y, x of the echoes, pixels.
        in_place: float32 `(n, 2, FREQUENCIES**2 / 2)`, unit vectors: frequencies that mirroring keeps, and negates.
        canonical: The same of the picture that is centred and scaled by `box`.
    """

    contrast: Floats
    content: Floats
    box: Floats
    in_place: Floats
    canonical: Floats

    def take(self, positions: npt.NDArray[np.int64]) -> CopyFeatures:
        """Return the features of some frames."""
        return CopyFeatures(*(getattr(self, field.name)[positions] for field in fields(self)))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.contrast)


def copy_features(frames: npt.NDArray[np.uint8]) -> CopyFeatures:
    """Compute the features of uint8 frames `(n, N, N)`."""
    small = _separable(_resample(frames.shape[-1], SIDE), frames.astype(np.float32))
    root = np.sqrt(small, dtype=np.float32)
    band = _separable(_gauss(_FINE), root) - _separable(_gauss(_COARSE), root)
    energy = np.maximum(_separable(_gauss(_ENERGY), band * band), 0)
    contrast = np.asarray(band / (np.sqrt(energy) + 0.25), np.float32)
    # The edge of the sector is the same in all pictures of a scanner: only what is off the edge is compared.
    lit = (_separable(_gauss(1.0), small) > _DARK).astype(np.float32)
    content = (_separable(_gauss(_EDGE), lit) > 0.97).astype(np.float32)
    box = _moments(small)
    smooth = _separable(_gauss(1.5), contrast)
    canonical = _canonical(smooth, box)
    return CopyFeatures(contrast, content, box, _frequencies(smooth), _frequencies(canonical))


def _separable(matrix: Floats, pictures: Floats) -> Floats:
    return np.asarray(matrix @ pictures @ matrix.T, np.float32)


@cache
def _gauss(deviation: float) -> Floats:
    """Return the matrix that filters a line of SIDE pixels by a Gauss curve; the rows add up to 1 at the edges too."""
    apart = np.arange(SIDE)[:, None] - np.arange(SIDE)
    weights = np.exp(-0.5 * (apart / deviation) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


@cache
def _resample(old: int, new: int) -> Floats:
    """Return the matrix that resamples a line by areas when it shrinks, linearly when it grows."""
    if old >= new:
        edges = np.arange(new + 1) * old / new
        cell = np.arange(old)
        weights = np.clip(np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell), 0, None)
    else:
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        weights = np.clip(1 - np.abs(at[:, None] - np.arange(old)), 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _moments(small: Floats) -> Floats:
    weight = np.sqrt(np.clip(small - _DARK, 0, None))
    line = np.arange(SIDE, dtype=np.float32)
    box = np.empty((len(small), 4), np.float32)
    for axis, total in enumerate((weight.sum(2), weight.sum(1))):
        whole = total.sum(1) + 1e-6
        centre = total @ line / whole
        box[:, axis] = np.where(whole > 1, centre, (SIDE - 1) / 2)
        spread = (total * (line - centre[:, None]) ** 2).sum(1) / whole
        box[:, 2 + axis] = np.sqrt(np.maximum(spread, 4.0))
    return box


def _canonical(pictures: Floats, box: Floats) -> Floats:
    grid = ((np.arange(_CANONICAL) + 0.5) / _CANONICAL * 2 - 1).astype(np.float32) * _SPAN
    line = np.arange(SIDE, dtype=np.float32)
    weights = []
    for axis in (0, 1):
        at = box[:, axis, None] + grid * box[:, 2 + axis, None]
        weights.append(np.clip(1 - np.abs(at[:, :, None] - line), 0, None).astype(np.float32))
    result: Floats = weights[0] @ pictures @ weights[1].transpose(0, 2, 1)
    return result


@cache
def _cosines(side: int) -> Floats:
    wave = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * (np.arange(side) + 0.5) / side)
    return np.asarray(wave / np.linalg.norm(wave, axis=1, keepdims=True), np.float32)


def _frequencies(pictures: Floats) -> Floats:
    waves = _separable(_cosines(pictures.shape[-1]), pictures)
    waves[:, 0, 0] = 0
    # Mirroring negates the odd horizontal frequencies and keeps the even ones.
    parts = np.stack([waves[:, :, 0::2], waves[:, :, 1::2]], axis=1).reshape(len(waves), 2, FREQUENCIES**2 // 2)
    length = np.sqrt((parts**2).sum((1, 2), keepdims=True))
    unit: Floats = parts / np.maximum(length, 1e-6)
    return unit
