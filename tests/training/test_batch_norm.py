"""Batch-norm statistics that are recorded anew: the moments of all values, whatever the batches and processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from heart2heart.testing.processes import run_processes
from heart2heart.training.batch_norm import channel_moments, record_statistics, synchronise_batch_norm
from heart2heart.training.distributed import join_process_group


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    return nn.Sequential(*layers)


def batches(sizes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        index + (1 + index) * torch.randn(size, 1, 6, 6, generator=generator, dtype=torch.float64)
        for index, size in enumerate(sizes)
    ]


def moments(values: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and unbiased variance by channel, by numpy."""
    flat = np.moveaxis(values.detach().numpy(), 1, -1).reshape(-1, values.shape[1])
    return flat.mean(0), flat.var(0, ddof=1)


@pytest.mark.parametrize("shape", [(5, 3, 6, 7), (9, 3)], ids=["frames", "features"])
def test_channel_moments_keep_their_digits_where_a_mean_is_large(shape: tuple[int, ...]) -> None:
    values = 1000 + torch.randn(shape, generator=torch.Generator().manual_seed(2))
    variance, mean = channel_moments(values)
    flat = np.moveaxis(values.double().numpy(), 1, -1).reshape(-1, 3)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, flat.var(0), rtol=1e-3)


def test_channel_moments_have_the_gradients_of_var_mean() -> None:
    values = torch.randn(4, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(channel_moments, values)
    weights = torch.randn(2, 3, dtype=torch.float64)
    quick, plain = (
        torch.autograd.grad((torch.stack(moments) * weights).sum(), values)[0]
        for moments in (channel_moments(values), torch.var_mean(values, (0, 2, 3), correction=0))
    )
    torch.testing.assert_close(quick, plain)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
def test_record_statistics_gives_the_moments_of_all_values(sizes: tuple[int, ...]) -> None:
    model, frames = network().double(), batches(sizes)
    convolved, deep = [], []
    for batch in frames:  # layer by layer, each batch normalised by its own moments, without dropout
        first = model[0](batch)
        centred = (first - first.mean((0, 2, 3), keepdim=True)) / (
            first.var((0, 2, 3), keepdim=True, correction=0) + model[1].eps
        ).sqrt()
        convolved.append(first)
        deep.append(model[4](centred.relu()))
    assert record_statistics(model.train(), lambda index: frames[index], len(frames))
    recorded = model.state_dict()
    for layer, values in ((1, convolved), (5, deep)):
        mean, variance = moments(torch.cat(values))
        np.testing.assert_allclose(recorded[f"{layer}.running_mean"].numpy(), mean, atol=1e-9)
        np.testing.assert_allclose(recorded[f"{layer}.running_var"].numpy(), variance, rtol=1e-9)
    assert model.training


def test_record_statistics_depends_on_the_frames_alone() -> None:
    frames = [batch.float() for batch in batches((4, 3))]
    first, second = network().train(), network().eval()
    for _ in range(3):
        first(torch.randn(2, 1, 6, 6))
    for model in (first, second):
        record_statistics(model, lambda index: frames[index], 2)
        record_statistics(model, lambda index: frames[index], 2)
    for name in ("1.running_mean", "1.running_var", "5.running_mean", "5.running_var"):
        assert torch.equal(first.state_dict()[name], second.state_dict()[name])


def test_record_statistics_leaves_weights_gradients_and_other_layers_alone() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen, self.unseen = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.seen(x)
            return out

    model = Branch()
    assert record_statistics(model, lambda _: torch.full((2, 1, 2, 2), 7.0), 1)
    recorded = {name: float(value) for name, value in model.state_dict().items()}
    assert (recorded["seen.running_mean"], recorded["seen.running_var"]) == (7, 0)
    assert (recorded["unseen.running_mean"], recorded["unseen.running_var"]) == (0, 1)
    assert not model.seen._forward_pre_hooks
    with pytest.raises(RuntimeError, match="broken"):
        record_statistics(model, lambda _: torch.as_tensor(_broken()), 1)
    assert float(model.state_dict()["seen.running_mean"]) == 7  # as before the failure
    assert not record_statistics(nn.Linear(2, 2), lambda _: torch.zeros(1, 2), 1)


def _broken() -> float:
    raise RuntimeError("broken")


def record_and_save(folder: Path) -> None:
    group = join_process_group()
    model = synchronise_batch_norm(network(), group)
    frames = [batch.float() for batch in batches((4, 3, 5))]
    record_statistics(model, lambda index: frames[index], 3, group)
    if group.is_main:
        torch.save(model.state_dict(), folder / f"of-{group.size}.pt")


def test_record_statistics_is_the_same_to_the_bit_for_any_number_of_processes(tmp_path: Path) -> None:
    assert run_processes(1, record_and_save, tmp_path, folder=tmp_path) == [""]
    assert run_processes(2, record_and_save, tmp_path, folder=tmp_path) == ["", ""]
    one, two = (torch.load(tmp_path / f"of-{count}.pt") for count in (1, 2))
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert float(one["1.running_mean"].abs().sum()) > 0
