from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from heart2heart.deidentify import burned_in_text


@pytest.mark.parametrize("shape", [(64, 96), (61, 90), (24, 24)])
def test_text_evidence_uses_the_fitted_weights(shape: tuple[int, int]) -> None:
    """Against torch's own convolutions, written out layer by layer."""
    draw = np.random.default_rng(0)
    least = draw.integers(0, 200, shape, dtype=np.uint8)
    greatest = least + draw.integers(0, 56, shape, dtype=np.uint8)
    pair = np.stack([np.pad(one, [(0, -side % 4) for side in shape], "edge") for one in (least, greatest)])
    x = functional.pixel_unshuffle(torch.from_numpy(pair).float()[None] / 255, 2)
    weights = [
        (torch.from_numpy(weight).permute(3, 2, 0, 1), torch.from_numpy(bias))
        for weight, bias in burned_in_text.weights()
    ]
    x = functional.max_pool2d(functional.conv2d(x, *weights[0], padding=1).relu(), 2)
    x = functional.conv2d(x, *weights[1], padding=1).relu()
    x = functional.conv2d(x, *weights[2], padding=2, dilation=2).relu()
    x = functional.conv2d(x, *weights[3], padding=3, dilation=3).relu()
    reference = functional.conv2d(x, *weights[4])[0, 0].numpy()
    np.testing.assert_allclose(burned_in_text.text_evidence(least, greatest), reference, atol=1e-3)


def test_text_evidence_of_a_cell_depends_on_its_surroundings_alone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (160, 160), dtype=np.uint8)
    whole = burned_in_text.text_evidence(picture, picture)
    edge = burned_in_text.RADIUS
    part = slice(40, 40 + (2 * edge + 2) * burned_in_text.CELL)
    np.testing.assert_allclose(
        burned_in_text.text_evidence(picture[part, part], picture[part, part])[edge:-edge, edge:-edge],
        whole[10 + edge : 12 + edge, 10 + edge : 12 + edge],
        atol=1e-3,
    )
