"""The sector of a frame, against the true one and against a convex hull."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from heart2heart.training.augment.acoustic_geometry import inside_sector
from heart2heart.training.augment.acoustic_per_sample import convex_sector
from tests.training.augment.acoustic_frames import fan_mask, fans


@pytest.mark.parametrize("size", [32, 48, 112])
def test_inside_sector_holds_the_fan_and_little_more(size: int) -> None:
    inside = inside_sector(fans(3, size).float())
    mask = fan_mask(size)
    assert (inside & mask).sum((1, 2)).min() > 0.99 * mask.sum()
    assert inside.sum((1, 2)).max() < 1.25 * mask.sum()


def test_inside_sector_leaves_out_text_and_lines() -> None:
    frame = fans(1, 96)
    frame[0, 4, :30] = 200
    frame[0, 88:94:2, 70:90:2] = 255
    assert torch.equal(inside_sector(frame.float()), inside_sector(fans(1, 96).float()))


def test_inside_sector_of_dark_and_of_full_frames() -> None:
    frames = torch.stack([torch.zeros(40, 40), torch.full((40, 40), 90.0)])
    assert inside_sector(frames).sum((1, 2)).tolist() == [0, 1600]


@pytest.mark.parametrize("seed", range(5))
def test_inside_sector_is_a_convex_hull_within_its_directions(seed: int) -> None:
    """A polygon of 16 directions contains the hull, and is larger by less than a tenth and a rim of two pixels."""
    rng = np.random.default_rng(seed)
    size, cell = 48, 2
    y, x = np.mgrid[:size, :size]
    frame = np.zeros((size, size))
    for _ in range(3):
        centre_x, centre_y, radius = rng.uniform(12, 36), rng.uniform(12, 36), rng.uniform(4, 10)
        frame[np.hypot(x - centre_x, y - centre_y) < radius] = 100
    inside = inside_sector(torch.from_numpy(frame)[None].float())[0].numpy()
    assert np.array_equal(inside, convex_sector(frame))
    cells = frame.reshape(size // cell, cell, size // cell, cell).mean((1, 3)) > 40
    points = np.argwhere(np.repeat(np.repeat(cells, cell, 0), cell, 1))
    hull = ConvexHull(points)
    distance = (
        (hull.equations[:, :2] @ np.stack([y.ravel(), x.ravel()]) + hull.equations[:, 2:]).max(0).reshape(size, size)
    )
    assert inside[distance <= 0].all()
    assert not inside[distance > 4].any()
