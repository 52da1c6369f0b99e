"""SonoNet16: its size, and the published weights against a plain computation with numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from heart2heart.errors import RunError
from heart2heart.training.networks.options import ClassifierShape
from heart2heart.training.networks.sononet import SonoNet16, SonoNet16Options, from_published, standardise_pictures
from tests.shared_data import shared_file

Floats = npt.NDArray[np.float64]

POOLED_AFTER = (2, 4, 7, 10)
"""Convolutions after which the published network halves the picture."""


def published(seed: int | None = None) -> dict[str, Tensor]:
    """Return random arrays of the published layout."""
    generator = torch.Generator().manual_seed(seed or 0)
    widths = [1, 16, 16, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128, 64, 14]
    arrays: list[Tensor] = []
    for layer, (inside, outside) in enumerate(pairwise(widths)):
        kernel = 3 if layer < 13 else 1
        arrays.append(torch.randn(outside, inside, kernel, kernel, generator=generator) / (kernel * inside**0.5))
        arrays += [torch.randn(outside, generator=generator) for _ in range(3)]
        arrays.append(torch.rand(outside, generator=generator) + 0.5)
    return {f"arr_{index}": value for index, value in enumerate(arrays)}


def convolve(x: Floats, weight: Floats) -> Floats:
    """Return the convolution `(out, height, width)` of `(in, height, width)`, padded with zeros to the same size."""
    side = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.asarray(np.einsum("chwij,ocij->ohw", windows, weight, optimize=True))


def reference(arrays: dict[str, Tensor], picture: Floats) -> Floats:
    """Return the logits of one picture as the authors' code computes them."""
    values = [arrays[f"arr_{index}"].double().numpy() for index in range(75)]
    x = ((picture - picture.mean()) / picture.std() * 255)[None]
    for layer in range(15):
        weight, beta, gamma, mean, inverse = values[5 * layer : 5 * layer + 5]
        x = (convolve(x, weight) - mean[:, None, None]) * (gamma * inverse)[:, None, None] + beta[:, None, None]
        if layer < 14:
            x = np.maximum(x, 0)
        if layer + 1 in POOLED_AFTER:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x = x[:, :height, :width].reshape(len(x), height // 2, 2, width // 2, 2).max((2, 4))
    return np.asarray(x.mean((1, 2)))


def logits(arrays: dict[str, Tensor], pictures: Floats) -> Tensor:
    network = SonoNet16(14).eval().double()
    incompatible = network.load_state_dict(from_published(arrays), strict=False)
    assert all(name.endswith("num_batches_tracked") for name in incompatible.missing_keys)
    assert not incompatible.unexpected_keys
    with torch.no_grad():
        result: Tensor = network(torch.from_numpy(pictures)[:, None])
    return result


def test_sononet16_has_the_published_number_of_parameters() -> None:
    weights = sum(value.numel() for name, value in published().items() if int(name[4:]) % 5 == 0)
    norms = 2 * sum(value.numel() for name, value in published().items() if int(name[4:]) % 5 == 1)
    network = SonoNet16(14)
    # The published last normalisation becomes the bias of the linear layer.
    assert sum(parameter.numel() for parameter in network.parameters()) == weights + norms - 14 == 930_782


def test_from_published_gives_the_published_logits() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (2, 35, 50))
    arrays = published(1)
    expected = torch.from_numpy(np.stack([reference(arrays, picture) for picture in pictures]))
    torch.testing.assert_close(logits(arrays, pictures), expected, rtol=1e-5, atol=1e-5)


def test_from_published_reads_the_real_weights() -> None:
    with np.load(shared_file("weights/SonoNet16.npz"), allow_pickle=False) as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    rng = np.random.default_rng(0)
    depth, line = np.mgrid[0:48, 0:64]
    fan = (np.abs(line - 32) < 4 + 0.55 * depth) * rng.gamma(2, 0.25, (48, 64)) * np.exp(-depth / 40)
    pictures = np.stack([fan, np.clip(fan * 2 + 0.05, 0, 1)])
    expected = torch.from_numpy(np.stack([reference(arrays, picture) for picture in pictures]))
    torch.testing.assert_close(logits(arrays, pictures), expected, rtol=1e-4, atol=1e-4)
    assert from_published(arrays)["encoder.0.1.running_var"].min() > 0


@pytest.mark.parametrize("change", ["missing", "more"])
def test_from_published_refuses_other_arrays(change: str) -> None:
    arrays = published()
    if change == "missing":
        del arrays["arr_74"]
    else:
        arrays["arr_75"] = torch.zeros(1)
    with pytest.raises(RunError, match=r"75 arrays, arr_0 to arr_74; these are 7[46] arrays"):
        SonoNet16Options().convert(arrays)


def test_standardise_pictures_leaves_no_gain_and_no_offset() -> None:
    pictures = torch.rand(3, 1, 8, 10, generator=torch.Generator().manual_seed(0))
    changed = 0.3 * pictures + 0.5
    torch.testing.assert_close(standardise_pictures(pictures), standardise_pictures(changed), rtol=1e-4, atol=1e-4)
    assert torch.equal(standardise_pictures(torch.full((1, 1, 4, 4), 0.7)).abs() < 1e-3, torch.ones(1, 1, 4, 4) > 0)


def test_sononet16_options_standardise() -> None:
    shape = ClassifierShape(classes=3, channels=1, size=32)
    frames = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for standardise in (True, False):
        torch.manual_seed(0)
        network = SonoNet16Options(standardise=standardise).build(shape).eval()
        with torch.no_grad():
            agree = torch.allclose(network(frames), network(0.5 * frames + 0.2), rtol=1e-3, atol=1e-3)
        assert agree is standardise
