"""Mode by region, by chroma inside the sector, by texture."""

import numpy as np
import pytest

from heart2heart.dicom.image_pixel import luma
from heart2heart.dicom.inspect_clip import coloured_fractions, decide_mode
from heart2heart.schema.enums import ClipMode
from tests.dicom.build import speckle_frames

INSIDE = np.ones((96, 128), bool)


def test_decide_mode_asks_region_kinds_first() -> None:
    pictures = speckle_frames(2)
    for kind in (ClipMode.SPECTRAL, ClipMode.M_MODE, ClipMode.OTHER):
        assert decide_mode(kind, luma(pictures), pictures, INSIDE, moving=True) == kind
    assert decide_mode(ClipMode.COLOUR, luma(pictures), pictures, INSIDE, moving=True) == "colour"


def test_decide_mode_uses_chroma_where_a_tissue_region_leaves_it_open() -> None:
    plain, jet = speckle_frames(3), speckle_frames(3, colour=True)
    assert decide_mode(ClipMode.B_MODE, luma(plain), plain, INSIDE, moving=True) == "b_mode"
    assert decide_mode(ClipMode.B_MODE, luma(jet), jet, INSIDE, moving=True) == "colour"
    assert decide_mode(ClipMode.B_MODE, luma(plain), None, INSIDE, moving=True) == "b_mode"


@pytest.mark.parametrize("tint", [(0.75, 0.9, 1.0), (1.0, 0.85, 0.6)])
def test_decide_mode_does_not_take_a_tint_for_colour(tint: tuple[float, float, float]) -> None:
    tinted = (speckle_frames(3) * np.asarray(tint)).astype(np.uint8)
    assert decide_mode(ClipMode.B_MODE, luma(tinted), tinted, INSIDE, moving=True) == "b_mode"


def test_decide_mode_of_tissue_coded_in_colour() -> None:
    pictures = np.minimum(2.0 * speckle_frames(3), 255)
    side = np.where(np.arange(128) % 16 < 8, 1.0, 0.0)
    pictures[..., 0] *= side
    pictures[..., 2] *= 1 - side
    painted = pictures.astype(np.uint8)
    assert decide_mode(ClipMode.COLOUR, luma(painted), painted, INSIDE, moving=True) == "tissue_doppler"


def test_coloured_fractions_ignore_colour_outside_the_sector() -> None:
    pictures = speckle_frames(2)
    pictures[:, :20] = (0, 0, 255)
    inside = INSIDE.copy()
    inside[:24] = False
    assert coloured_fractions(pictures, inside) == (0.0, 0.0)
    assert coloured_fractions(pictures, INSIDE)[0] > 0.1


def test_decide_mode_separates_a_sweep_from_a_picture_by_texture() -> None:
    draw = np.random.default_rng(0)
    sweep = np.repeat(draw.integers(0, 255, (96, 1)), 128, axis=1) + draw.integers(0, 8, (96, 128))
    sweep = np.clip(sweep, 0, 255).astype(np.uint8)[None]
    speckle = draw.integers(0, 255, (1, 96, 128)).astype(np.uint8)
    assert decide_mode(None, sweep, None, INSIDE, moving=False) == "m_mode"
    assert decide_mode(None, speckle, None, INSIDE, moving=False) == "b_mode"
    assert decide_mode(None, np.zeros_like(speckle), None, INSIDE, moving=False) == "other"
    assert decide_mode(None, sweep, None, INSIDE, moving=True) == "b_mode"
