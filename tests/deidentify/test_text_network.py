from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from heart2heart.deidentify import text_network
from heart2heart.deidentify.text_network import CELL, COARSEST, PLANES, RADIUS, text_log_odds


@pytest.mark.parametrize("shape", [(64, 96), (61, 90), (24, 24), (200, 333)])
def test_text_log_odds_uses_the_fitted_weights(shape: tuple[int, int]) -> None:
    """Against torch's own convolutions, written out layer by layer."""
    planes = np.random.default_rng(0).integers(0, 256, (PLANES, *shape), dtype=np.uint8)
    padded = np.stack([np.pad(one, [(0, -side % COARSEST) for side in shape]) for one in planes])
    weights = [
        (torch.from_numpy(weight).permute(3, 2, 0, 1), torch.from_numpy(bias))
        for weight, bias in text_network.weights()
    ]

    def layer(x: torch.Tensor, index: int) -> torch.Tensor:
        return functional.conv2d(x, *weights[index], padding=1).relu()

    x = functional.pixel_unshuffle((torch.from_numpy(padded).float()[None] / 255).sqrt(), 2)
    x = functional.max_pool2d(layer(x, 0), 2)
    x = functional.max_pool2d(layer(x, 1), 2)
    fine = layer(layer(x, 2), 3)
    middle = layer(layer(functional.max_pool2d(fine, 2), 4), 5)
    coarse = layer(layer(functional.max_pool2d(middle, 2), 6), 7)
    middle = layer(middle + functional.interpolate(coarse, scale_factor=2), 8)
    fine = layer(fine + functional.interpolate(middle, scale_factor=2), 9)
    reference = functional.conv2d(fine, *weights[10])[0, 0, : -(-shape[0] // CELL), : -(-shape[1] // CELL)]
    np.testing.assert_allclose(text_log_odds(planes), reference.numpy(), atol=1e-3)


def test_text_log_odds_of_a_cell_depend_on_its_surroundings_alone() -> None:
    planes = np.random.default_rng(1).integers(0, 256, (PLANES, 512, 512), dtype=np.uint8)
    whole = text_log_odds(planes)
    first = 32 // CELL
    inner = slice(first + RADIUS, first + RADIUS + 4)
    part = slice(32, 32 + (2 * RADIUS + 4) * CELL)
    np.testing.assert_allclose(
        text_log_odds(planes[:, part, part])[RADIUS : RADIUS + 4, RADIUS : RADIUS + 4], whole[inner, inner], atol=1e-3
    )
