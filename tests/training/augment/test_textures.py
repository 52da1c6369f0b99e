"""Textures: what they hold, and that pieces of them wrap round."""

from __future__ import annotations

import numpy as np
import torch

from heart2heart.training.augment.textures import (
    GRAINS,
    SHEETS,
    TEXTURE_SIDE,
    grain_textures,
    sheet_textures,
    texture_pieces,
)


def test_grain_textures_are_standardised_and_wider_across_than_along() -> None:
    grains = grain_textures()
    assert grains.shape == (len(GRAINS), TEXTURE_SIDE, TEXTURE_SIDE)
    np.testing.assert_allclose(grains.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(grains.std((1, 2)), 1, atol=1e-5)
    across = (grains * np.roll(grains, 1, 2)).mean((1, 2))
    along = (grains * np.roll(grains, 1, 1)).mean((1, 2))
    assert (across > along).all()
    assert (np.diff(across) > 0).all()
    # The correlation of white noise behind a Gaussian filter is a Gaussian of sqrt(2) its width.
    np.testing.assert_allclose(across[1:], [np.exp(-1 / (4 * lateral**2)) for lateral, _ in GRAINS[1:]], atol=0.03)


def test_sheet_textures_are_mostly_empty() -> None:
    sheets = sheet_textures(112)
    assert sheets.shape == (SHEETS, TEXTURE_SIDE, TEXTURE_SIDE)
    assert sheets.min() == 0
    assert sheets.max() == 1
    assert ((sheets > 0).mean((1, 2)) > 0.05).all()
    assert ((sheets > 0).mean((1, 2)) < 0.5).all()


def test_sheet_textures_for_small_frames_are_half_as_large() -> None:
    small, large = sheet_textures(48), sheet_textures(112)
    assert small.shape == (SHEETS, TEXTURE_SIDE // 2, TEXTURE_SIDE // 2)
    assert small.max() == 1
    assert np.array_equal(small > 0, large.reshape(SHEETS, TEXTURE_SIDE // 2, 2, TEXTURE_SIDE // 2, 2).max((2, 4)) > 0)


def test_texture_pieces_begin_where_they_should_and_wrap_round() -> None:
    textures = torch.arange(2 * 16.0).reshape(2, 4, 4)
    choice, x, y = torch.tensor([0.0, 0.99]), torch.tensor([0.0, 0.5]), torch.tensor([0.25, 0.75])
    pieces = texture_pieces(textures, choice, x, y, 3)
    assert pieces[0].tolist() == textures[0, 1:4, 0:3].tolist()
    assert pieces[1].tolist() == textures[1, [3, 0, 1]][:, [2, 3, 0]].tolist()
