"""Viewing copies for the clips of a SYNTHETIC store of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from heart2heart.store.viewing_copies import ViewingPictures, write_viewing_copy

WIDTH, HEIGHT, FRAMES, FRAME_MS = 320, 240, 8, 50.0


def add_viewing_copies(root: Path, clips: Sequence[str]) -> None:
    """Write for each clip a copy whose pictures are red, with a bar that moves to the right."""
    jpegs = []
    for frame in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), (180, 30, 30), np.uint8)
        picture[:, frame * 40 : frame * 40 + 40] = (240, 240, 240)
        jpegs.append(bytes(simplejpeg.encode_jpeg(picture, quality=90, colorsubsampling="444")))
    index = tuple(range(0, 2 * FRAMES, 2))  # every other frame of the recording
    times = tuple(FRAME_MS * frame for frame in range(FRAMES))
    for clip in clips:
        write_viewing_copy(root, clip, ViewingPictures(WIDTH, HEIGHT, True, 0.5, index, times, tuple(jpegs)))
