"""Statistics of a hospital's frames, held against numpy, layer by layer, and against another cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from heart2heart.training.adaptation_statistics import (
    FrameBatch,
    LayerStatistics,
    StatisticsStream,
    batch_norm_layers,
    estimate_statistics,
    frame_moments,
    largest_change,
    read_statistics,
    shrink,
    write_statistics,
)
from heart2heart.training.augment.batched import normalise

SIZE = 8


def small_network() -> nn.Sequential:
    """Return two convolutions with batch normalisation, with statistics that are not those of any frames here."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * 16, 8), nn.BatchNorm1d(8), nn.Linear(8, 2),
    )  # fmt: skip
    for layer in batch_norm_layers(network).values():
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    return network.eval()


def frames(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, SIZE, SIZE), dtype=torch.uint8, generator=generator)


def reference(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and population variance of each channel of `(n, channels, ...)`, one weight a frame."""
    rows = values.reshape(*values.shape[:2], -1)
    share = weights / weights.sum()
    mean = np.einsum("n,nc->c", share, rows.mean(2))
    return mean, np.einsum("n,nc->c", share, np.square(rows - mean[:, None]).mean(2))


def test_result_is_the_mean_and_variance_with_equal_patients_and_weights_of_frames() -> None:
    network, pixels = small_network(), frames(7)
    patients = ["a", "a", "a", "a", "b", "b", "c"]
    weights = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 2.0])
    stream = StatisticsStream(network)
    logits = stream.update(pixels, patients, weights)
    statistics, effective = stream.result()
    with torch.no_grad():
        first = network[0](normalise(pixels)[:, None])
        last = network[:8](normalise(pixels)[:, None])
        torch.testing.assert_close(logits, network(normalise(pixels)[:, None]))
    per_frame = weights / np.array([4, 4, 4, 4, 2, 2, 1])  # a patient of four frames counts as one of a single frame
    for name, values in (("1", first), ("8", last)):
        mean, variance = reference(values.double().numpy(), per_frame)
        np.testing.assert_allclose(statistics[name].mean, mean, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(statistics[name].variance, variance, rtol=1e-5)
    by_patient = np.array([4.5 / 4, 2.0, 2.0])
    assert effective == pytest.approx(by_patient.sum() ** 2 / np.square(by_patient).sum())


@given(cuts=st.sets(st.integers(1, 11)))
def test_update_gives_the_same_result_however_frames_arrive(cuts: set[int]) -> None:
    network, pixels = small_network(), frames(12)
    patients = [f"p{index % 5}" for index in range(12)]
    whole, clip_by_clip = StatisticsStream(network), StatisticsStream(network)
    whole.update(pixels, patients)
    ends = [0, *sorted(cuts), 12]
    for start, end in pairwise(ends):
        clip_by_clip.update(pixels[start:end], patients[start:end])
    (one, patients_one), (other, patients_other) = whole.result(), clip_by_clip.result()
    assert patients_one == patients_other == 5
    for name, layer in one.items():
        torch.testing.assert_close(other[name].mean, layer.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(other[name].variance, layer.variance, rtol=1e-5, atol=1e-6)


def test_update_is_not_dominated_by_a_patient_with_many_frames() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).eval()
    stream = StatisticsStream(network)
    stream.update(torch.full((99, 2, 2), 255, dtype=torch.uint8), ["many"] * 99)
    stream.update(torch.zeros(1, 2, 2, dtype=torch.uint8), ["one"])
    statistics, _ = stream.result()
    assert float(statistics["0"].mean) == pytest.approx(0.0, abs=1e-6)  # frames are scaled to -1 and 1


def test_frame_moments_keeps_digits_far_from_zero() -> None:
    values = torch.tensor([[[1000.0, 1000.5], [1.0, 3.0]]])[..., None]
    moments = frame_moments(values, torch.tensor([1000.0, 0.0], dtype=torch.float64))
    np.testing.assert_allclose(moments[0, 0], [0.25, 2.0])
    np.testing.assert_allclose(moments[0, 1], [0.125, 5.0])


@given(patients=st.floats(0.5, 1e4), prior=st.floats(0, 1e4), source=st.floats(-5, 5), target=st.floats(-5, 5))
def test_shrink_is_the_weighted_mean(patients: float, prior: float, source: float, target: float) -> None:
    one = {"layer": LayerStatistics(torch.tensor([source]).double(), torch.tensor([2.0]).double())}
    other = {"layer": LayerStatistics(torch.tensor([target]).double(), torch.tensor([8.0]).double())}
    mixed = shrink(one, other, patients, prior)["layer"]
    share = patients / (patients + prior)
    assert float(mixed.mean) == pytest.approx(share * target + (1 - share) * source, abs=1e-6)
    assert float(mixed.variance) == pytest.approx(share * 8 + (1 - share) * 2)


@pytest.mark.parametrize("prior", [0.0, 3.0])
def test_estimate_statistics_adapts_layer_by_layer(prior: float) -> None:
    network, pixels = small_network(), frames(6)
    expected = small_network()
    share = 6 / (6 + prior)
    for index, name in ((1, "1"), (4, "4"), (8, "8")):  # each layer's input, with all layers before it adapted
        with torch.no_grad():
            values = expected[:index](normalise(pixels)[:, None])
        mean, variance = reference(values.double().numpy(), np.ones(6))
        source = read_statistics(expected)[name]
        mixed = LayerStatistics(
            torch.from_numpy(share * mean) + (1 - share) * source.mean,
            torch.from_numpy(share * variance) + (1 - share) * source.variance,
        )
        write_statistics(expected, {name: mixed})

    def batches() -> Iterator[FrameBatch]:
        for start in range(0, 6, 4):
            part = slice(start, start + 4)
            yield FrameBatch(pixels[part], [f"p{index}" for index in range(6)][part], np.ones(len(pixels[part])))

    estimated = estimate_statistics(network, batches, prior_patients=prior, max_passes=10, tolerance=0)
    assert (estimated.passes, estimated.patients) == (3, 6)
    for name, layer in read_statistics(expected).items():
        torch.testing.assert_close(read_statistics(network)[name].mean, layer.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(read_statistics(network)[name].variance, layer.variance, rtol=1e-4, atol=1e-5)


def test_estimate_statistics_ends_when_little_changes() -> None:
    def batches() -> Iterator[FrameBatch]:
        yield FrameBatch(frames(4), ["a", "b", "c", "d"], np.ones(4))

    few = estimate_statistics(small_network(), batches, prior_patients=1e9, max_passes=10)
    assert (few.passes, few.change < 0.01) == (1, True)
    assert estimate_statistics(small_network(), batches, prior_patients=0, max_passes=2).passes == 2


def test_largest_change_counts_in_standard_deviations() -> None:
    before = {"a": LayerStatistics(torch.zeros(2).double(), torch.ones(2).double())}
    after = {"a": LayerStatistics(torch.tensor([1.0, 4.0]).double(), torch.tensor([0.25, 16.0]).double())}
    assert largest_change(before, after) == pytest.approx(2.0, rel=1e-4)


def test_batch_norm_layers_leaves_group_norm_out() -> None:
    assert batch_norm_layers(nn.Sequential(nn.GroupNorm(1, 2), nn.BatchNorm2d(2, track_running_stats=False))) == {}
