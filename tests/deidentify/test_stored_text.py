from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.deidentify.stored_text import any_in_blocks, stored_area, to_source_pixels
from heart2heart.store.geometry import Geometry, Resampler

SIDES, SHRINKS = st.integers(1, 30), st.sampled_from((1, 2, 4, 8))
SIZES, NAMES = st.sampled_from((16, 40, 112)), st.sampled_from(("tmed2", "centred"))


@given(st.integers(0, 9), st.integers(0, 9), SIDES, SIDES, SHRINKS, st.data())
def test_any_in_blocks_loses_no_pixel(
    x0: int, y0: int, width: int, height: int, shrink: int, data: st.DataObject
) -> None:
    mask = np.zeros((height, width), bool)
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask[row, column] = True
    box = (x0, y0, x0 + width, y0 + height)
    pixels = to_source_pixels(any_in_blocks(mask, box, shrink), box, shrink)
    assert pixels is not None
    assert pixels.shape == mask.shape
    assert pixels[row, column]
    assert pixels.sum() <= shrink**2


@given(NAMES, st.integers(20, 300), st.integers(20, 300), SIZES, st.data())
def test_stored_area_holds_every_frame_pixel_that_text_reaches(
    name: str, height: int, width: int, size: int, data: st.DataObject
) -> None:
    geometry = Geometry(name, size)
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    area = np.zeros((height, width), bool)
    area[row : row + 3, column : column + 3] = True
    reached = Resampler(height, width, geometry)(255 * area[None].astype(np.uint8))[0] > 0
    stored = stored_area(area, geometry.letterbox(height, width), size)
    assert not (reached & ~stored).any()
