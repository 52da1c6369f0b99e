"""Tissue classes of the synthetic anatomy, and how strongly each scatters and attenuates ultrasound.

The figures are relative backscatter in decibel and one-way attenuation in dB per cm per MHz, of the order that
Szabo, *Diagnostic Ultrasound Imaging* (2nd ed., appendix B) lists for soft tissue, adjusted by eye
beside real pictures.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Tissue(IntEnum):
    """Label of one point of the imaged plane."""

    SOFT = 0
    BLOOD = 1
    MYOCARDIUM = 2
    PERICARDIUM = 3
    FIBROUS = 4
    ATRIAL_WALL = 5
    LIVER = 6
    CHEST_WALL = 7
    LUNG = 8
    FAT = 9


_BACKSCATTER_DB = {
    Tissue.SOFT: -42.0, Tissue.BLOOD: -76.0, Tissue.MYOCARDIUM: -26.0, Tissue.PERICARDIUM: -13.0, Tissue.FIBROUS: -16.0,
    Tissue.ATRIAL_WALL: -24.0, Tissue.LIVER: -29.0, Tissue.CHEST_WALL: -27.0, Tissue.LUNG: -47.0, Tissue.FAT: -29.0,
}  # fmt: skip

_ATTENUATION = {
    Tissue.SOFT: 0.55, Tissue.BLOOD: 0.15, Tissue.MYOCARDIUM: 0.52, Tissue.PERICARDIUM: 0.9, Tissue.FIBROUS: 0.9,
    Tissue.ATRIAL_WALL: 0.52, Tissue.LIVER: 0.5, Tissue.CHEST_WALL: 0.6, Tissue.LUNG: 1.1, Tissue.FAT: 0.6,
}  # fmt: skip

Table = npt.NDArray[np.float32]


def amplitude_table() -> Table:
    """Return the backscatter amplitude of each tissue, float32 `(n_tissues,)`, 1 for 0 dB."""
    return np.array([10.0 ** (_BACKSCATTER_DB[t] / 20.0) for t in Tissue], dtype=np.float32)


def attenuation_table() -> Table:
    """Return the one-way attenuation of each tissue, dB per cm per MHz, float32 `(n_tissues,)`."""
    return np.array([_ATTENUATION[t] for t in Tissue], dtype=np.float32)
