"""Features of maps: what they hold, their limits, and networks without maps."""

import numpy as np
import torch
from torch import nn

from heart2heart.training.features import GRID_WIDTH, MAP_CHANNELS, _MapRecorder, map_features


def test_map_features_are_means_deviations_and_a_grid() -> None:
    large, small = torch.rand(2, 3, 12, 10), torch.rand(2, 4, 6, 6)
    features = map_features([large, small]).numpy()
    parts = [large.numpy(), small.numpy()]
    expected = [statistic for each in parts for statistic in (each.mean((2, 3)), each.std((2, 3)))]
    grid = parts[1].reshape(2, 4, 3, 2, 3, 2).mean((3, 5)).reshape(2, -1)
    np.testing.assert_allclose(features, np.concatenate([*expected, grid], axis=1), atol=1e-6)


def test_map_features_of_wide_maps_are_bounded() -> None:
    widths = {channels: map_features([torch.zeros(1, channels, 6, 6)]).shape[1] for channels in (113, 114, 256, 9000)}
    assert widths == {113: 11 * 113, 114: 6 * 114, 256: 6 * 256, 9000: 6 * MAP_CHANNELS}
    assert max(9 * 113, 4 * MAP_CHANNELS) <= GRID_WIDTH


def test_map_recorder_takes_the_last_map_of_each_resolution_and_lets_go() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 4),
    )
    recorder, pixels = _MapRecorder(network, classes=4), torch.rand(3, 1, 8, 8)
    network(pixels)
    maps, inputs = recorder.take()
    assert [tuple(each.shape) for each in maps] == [(3, 2, 8, 8), (3, 2, 4, 4)]
    assert torch.equal(maps[0], network[:2](pixels))
    assert inputs is not None
    assert torch.equal(inputs, maps[1].mean((2, 3)))
    recorder.take()
    recorder.close()
    network(pixels)
    assert recorder.take() == ([], None)
