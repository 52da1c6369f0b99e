from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from heart2heart.deidentify import upright_network
from heart2heart.deidentify.upright_network import CELL, PLANES, RADIUS, upright_log_odds


@pytest.mark.parametrize("shape", [(64, 96), (61, 90), (24, 24)])
def test_upright_log_odds_uses_the_fitted_weights(shape: tuple[int, int]) -> None:
    """Against torch's own convolutions, written out layer by layer."""
    planes = np.random.default_rng(0).integers(0, 256, (PLANES, *shape), dtype=np.uint8)
    padded = np.stack([np.pad(one, [(0, -side % CELL) for side in shape], "edge") for one in planes])
    x = functional.pixel_unshuffle(torch.from_numpy(padded).float()[None] / 255, 2)
    weights = [
        (torch.from_numpy(weight).permute(3, 2, 0, 1), torch.from_numpy(bias))
        for weight, bias in upright_network.weights()
    ]
    x = functional.max_pool2d(functional.conv2d(x, *weights[0], padding=1).relu(), 2)
    x = functional.conv2d(x, *weights[1], padding=1).relu()
    x = functional.conv2d(x, *weights[2], padding=2, dilation=2).relu()
    x = functional.conv2d(x, *weights[3], padding=3, dilation=3).relu()
    reference = functional.conv2d(x, *weights[4])[0, 0].numpy()
    np.testing.assert_allclose(upright_log_odds(planes), reference, atol=1e-3)


def test_upright_log_odds_of_a_cell_depend_on_its_surroundings_alone() -> None:
    planes = np.random.default_rng(1).integers(0, 256, (PLANES, 160, 160), dtype=np.uint8)
    whole = upright_log_odds(planes)
    part = slice(40, 40 + (2 * RADIUS + 2) * CELL)
    np.testing.assert_allclose(
        upright_log_odds(planes[:, part, part])[RADIUS:-RADIUS, RADIUS:-RADIUS],
        whole[10 + RADIUS : 12 + RADIUS, 10 + RADIUS : 12 + RADIUS],
        atol=1e-3,
    )
