from __future__ import annotations

import numpy as np
import pytest

from heart2heart.deidentify.text_evidence import TILE, TextEvidence


@pytest.mark.parametrize("shape", [(64, 96), (61, 90), (24, 24), (33, 130)])
def test_text_evidence_keeps_the_extremes_and_whole_tiles_of_frames(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    evidence = TextEvidence(*shape)
    for part in (frames[:1], frames[1:4], frames[4:]):
        evidence.add(part)
    least, greatest, busiest = evidence.planes()
    np.testing.assert_array_equal(least, frames.min(axis=0))
    np.testing.assert_array_equal(greatest, frames.max(axis=0))
    for row, column in np.ndindex(evidence.chosen().shape):
        tile = np.s_[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        np.testing.assert_array_equal(busiest[tile], frames[evidence.chosen()[row, column]][tile])


def test_text_evidence_keeps_the_frame_in_which_letters_are_shown() -> None:
    frames = np.random.default_rng(1).integers(20, 60, (9, 96, 96), dtype=np.uint8)
    frames[4, 36:60, 36:60:3] = 255
    evidence = TextEvidence(96, 96)
    evidence.add(frames)
    assert evidence.chosen()[1, 1] == 4
