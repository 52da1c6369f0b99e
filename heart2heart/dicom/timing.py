"""When each frame was taken, from the first source that says so plausibly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from heart2heart.dicom.values import number, numbers

_SHORTEST, _LONGEST = 0.5, 2000.0  # milliseconds a frame that an echo clip may have


def frame_times(technical: Dataset, n: int) -> npt.NDArray[np.float64] | None:
    """Return the time of each frame in milliseconds from the first, float64 `(n,)`, or None.

    In this order: FrameTimeVector (0018,1065), FrameTime (0018,1063, milliseconds), CineRate (0018,0040) and
    RecommendedDisplayFrameRate (0008,2144, both frames a second). A value that no clip has is passed over. A vector of
    another length than the clip is passed over too, unless the clip is a salvaged, shorter part of it.

    Args:
        technical: The technical dataset.
        n: Frames in the file, counted by hand.
    """
    vector = numbers(technical, "FrameTimeVector")
    if 1 < n <= len(vector) and all(_SHORTEST <= step <= _LONGEST for step in vector[1:n]):
        return np.concatenate([[0.0], np.cumsum(vector[1:n])])
    step = number(technical, "FrameTime")
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = number(technical, name)
        if (step is None or not _SHORTEST <= step <= _LONGEST) and rate is not None and rate > 0:
            step = 1000.0 / rate
    if step is None or not _SHORTEST <= step <= _LONGEST:
        return None
    return np.arange(n, dtype=np.float64) * step
