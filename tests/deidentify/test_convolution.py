from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from heart2heart.deidentify import convolution as module
from heart2heart.deidentify.convolution import blocks_of_two, convolve, largest_of_four, score_cells


def layer(channels: int, out: int, size: int = 3, seed: int = 0) -> tuple[module.Floats, module.Floats]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(size, size, channels, out)).astype(np.float32), draw.normal(size=out).astype(np.float32)


@pytest.mark.parametrize("buffer", [1, 1000, 1 << 19])
@pytest.mark.parametrize(("reach", "halve"), [(1, False), (1, True), (2, False), (3, False)])
def test_convolve_equals_torch(monkeypatch: pytest.MonkeyPatch, buffer: int, reach: int, halve: bool) -> None:
    monkeypatch.setattr(module, "_BUFFER", buffer)
    x, (weight, bias) = np.random.default_rng(1).normal(size=(5, 18, 26)).astype(np.float32), layer(5, 7)
    filters = torch.from_numpy(weight).permute(3, 2, 0, 1)
    reference = functional.conv2d(torch.from_numpy(x)[None], filters, torch.from_numpy(bias), 1, reach, reach).relu()
    if halve:
        reference = functional.max_pool2d(reference, 2)
    np.testing.assert_allclose(convolve(x, weight, bias, reach=reach, halve=halve), reference[0].numpy(), atol=1e-4)


@pytest.mark.parametrize("halve", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_convolve_is_the_same_where_it_passes_over_what_is_dark(
    monkeypatch: pytest.MonkeyPatch, halve: bool, seed: int
) -> None:
    monkeypatch.setattr(module, "_BUFFER", 1)
    draw = np.random.default_rng(seed)
    lit = np.zeros((20, 30), bool)
    top, left = draw.integers(0, 12), draw.integers(0, 22)
    lit[top : top + 5, left : left + 7] = True
    x, (weight, bias) = draw.normal(size=(3, 20, 30)).astype(np.float32) * lit, layer(3, 4, seed=seed)
    np.testing.assert_allclose(
        convolve(x, weight, bias, halve=halve, lit=lit), convolve(x, weight, bias, halve=halve), atol=1e-5
    )


def test_convolve_of_darkness_is_the_bias() -> None:
    weight, bias = layer(3, 4)
    dark = convolve(np.zeros((3, 8, 8), np.float32), weight, bias, lit=np.zeros((8, 8), bool))
    np.testing.assert_array_equal(dark, np.broadcast_to(np.maximum(bias, 0)[:, None, None], (4, 8, 8)))


def test_blocks_of_two_equals_pixel_unshuffle() -> None:
    planes = np.random.default_rng(0).normal(size=(3, 6, 10)).astype(np.float32)
    np.testing.assert_array_equal(
        blocks_of_two(planes), functional.pixel_unshuffle(torch.from_numpy(planes), 2).numpy()
    )


def test_largest_of_four_equals_max_pool() -> None:
    x = np.random.default_rng(0).normal(size=(3, 6, 10)).astype(np.float32)
    np.testing.assert_array_equal(largest_of_four(x), functional.max_pool2d(torch.from_numpy(x), 2).numpy())


def test_score_cells_equals_a_convolution_of_one_cell() -> None:
    x, (weight, bias) = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32), layer(5, 1, 1)
    filters = torch.from_numpy(weight).permute(3, 2, 0, 1)
    reference = functional.conv2d(torch.from_numpy(x)[None], filters, torch.from_numpy(bias))[0, 0].numpy()
    np.testing.assert_allclose(score_cells(x, weight, bias), reference, atol=1e-5)
