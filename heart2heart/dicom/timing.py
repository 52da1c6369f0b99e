"""Reads the time of each frame, and the end-diastolic (ED) and end-systolic (ES) frames that the file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from heart2heart.dicom.header_values import number, numbers, texts

_MIN_FRAME_TIME_MS, _MAX_FRAME_TIME_MS = 0.5, 2000.0  # milliseconds per frame that an echo clip may have


def frame_times(technical: Dataset, n: int) -> npt.NDArray[np.float64] | None:
    """Return the time of each frame in milliseconds from the first, float64 `(n,)`, or None.

    In this order: FrameTimeVector (0018,1065), FrameTime (0018,1063, milliseconds), CineRate (0018,0040) and
    RecommendedDisplayFrameRate (0008,2144, both frames per second). Implausible values are ignored. A vector of
    another length than the clip is ignored too, unless the clip is a salvaged, shorter part of it.

    Args:
        technical: The technical dataset.
        n: Frames in the file, as counted.
    """
    vector = numbers(technical, "FrameTimeVector")
    if 1 < n <= len(vector) and (times := cumulative_times(vector[1:n])) is not None:
        return times
    step = number(technical, "FrameTime")
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = number(technical, name)
        if (step is None or not _MIN_FRAME_TIME_MS <= step <= _MAX_FRAME_TIME_MS) and rate is not None and rate > 0:
            step = 1000.0 / rate
    if step is None or not _MIN_FRAME_TIME_MS <= step <= _MAX_FRAME_TIME_MS:
        return None
    return np.arange(n, dtype=np.float64) * step


def cumulative_times(steps: Sequence[float]) -> npt.NDArray[np.float64] | None:
    """Return the time of each frame from the first, float64 `(n + 1,)`, or None if a step is not plausible.

    Args:
        steps: Milliseconds between two frames each.
    """
    if not all(_MIN_FRAME_TIME_MS <= step <= _MAX_FRAME_TIME_MS for step in steps):
        return None
    return np.concatenate([[0.0], np.cumsum(steps)])


_PHASE_TERMS = {"ED": "RWAVE", "ES": "ENDSYSTOLE"}


def tagged_phases(technical: Dataset, times: npt.NDArray[np.float64] | None, n: int) -> dict[int, str]:
    """Return `ED` or `ES` by frame, for the frames whose phase the file states.

    Args:
        technical: The technical dataset.
        times: Milliseconds from the first frame, float64 `(n,)`, or None when unknown: then R waves are not used.
        n: Frames in the file, as counted.
    """
    phases: dict[int, str] = {}
    chosen, kinds = numbers(technical, "FrameNumbersOfInterest"), texts(technical, "FrameOfInterestType")
    if len(chosen) == len(kinds):
        for number, kind in zip(chosen, kinds, strict=True):
            if kind and number == int(number) and 1 <= number <= n:
                phases.setdefault(int(number) - 1, kind)
    labels = texts(technical, "FrameLabelVector")
    if not phases and len(labels) >= n:
        phases = {index: label for index, label in enumerate(labels[:n]) if label}
    if "ED" not in phases.values() and times is not None and n > 1:
        for index in _nearest(np.asarray(numbers(technical, "RWaveTimeVector")), times):
            phases.setdefault(index, "ED")
    return phases


def _nearest(moments: npt.NDArray[np.float64], times: npt.NDArray[np.float64]) -> list[int]:
    """Return the frame nearest to each moment that lies within the clip, or half a frame beside it."""
    half = float(np.diff(times).mean()) / 2
    within = moments[(moments >= -half) & (moments <= times[-1] + half)]
    return [int(np.abs(times - moment).argmin()) for moment in within]


def write_phases(header: Dataset, phases: Mapping[int, str]) -> None:
    """Write the phases of a clip into a header, as frames of interest.

    Args:
        header: The header to write to.
        phases: `ED` or `ES` by frame, counted from 0 in the clip as it is written.
    """
    if phases:
        header.FrameNumbersOfInterest = [index + 1 for index in sorted(phases)]
        header.FrameOfInterestType = [_PHASE_TERMS[phases[index]] for index in sorted(phases)]
