"""MixMatch against its algorithm: only the drawn share and permutation are the package's."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    B,
    K,
    U,
    check_per_sample_dot,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.mixmatch import MixedStepContext, MixMatch
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.mixing import draw_mix
from heart2heart.training.train_step import Trainer
from tests.training.test_train_step import config

METHOD = MixMatch(temperature=0.5, alpha=0.75)


def test_mixmatch_follows_the_algorithm() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=2)
    mix = draw_mix(0.75, B + 2 * U, torch.Generator().manual_seed(0))
    share, order = float(mix.share), mix.order.tolist()
    first, second = step.unlabeled
    p = (reference(first).softmax(1) + reference(second).softmax(1)).detach() / 2
    guesses = [[float(v) ** 2 / sum(float(w) ** 2 for w in row) for v in row] for row in p]
    x = [*step.labeled, *first, *second]
    y = [*step.targets, *torch.tensor(guesses * 2, dtype=torch.float64)]
    mixed_x = torch.stack([share * x[i] + (1 - share) * x[j] for i, j in enumerate(order)])
    mixed_y = torch.stack([share * y[i] + (1 - share) * y[j] for i, j in enumerate(order)])
    labeled_loss = -(mixed_y[:B] * reference(mixed_x[:B]).log_softmax(1)).sum() / B
    brier = ((reference(mixed_x[B:]).softmax(1) - mixed_y[B:]) ** 2).sum() / (2 * U * K)

    prepared = METHOD.prepare_batch(step)
    assert network.state_dict()["1.num_batches_tracked"] == 0  # guesses record nothing
    torch.testing.assert_close(METHOD.labeled_loss(prepared).value, labeled_loss)
    loss = unlabeled_loss(METHOD, prepared)
    torch.testing.assert_close(loss.value, brier)
    torch.testing.assert_close(gradient(loss.value, network), gradient(brier, reference))
    assert share >= 0.5


def test_prepare_batch_takes_partners_of_other_processes() -> None:
    def work(group: Processes) -> tuple[Processes, MixedStepContext]:
        network = tiny_network().eval()
        step = make_step(network, views=2, group=group)
        network.eval()  # batch statistics would differ by process
        return group, METHOD.prepare_batch(step)

    _, alone = work(Processes())
    for group, part in run_threads(3, work):
        rows: tuple[tuple[Tensor, Tensor], ...] = (
            (alone.labeled, part.labeled),
            (alone.targets, part.targets),
            (alone.unlabeled[0], part.unlabeled[0]),
            (alone.pseudo_labels, part.pseudo_labels),
        )
        for whole, own_rows in rows:
            torch.testing.assert_close(own_rows, whole[group.rows(len(whole))])


def test_mixmatch_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(METHOD, METHOD.prepare_batch(make_step(network, views=2)), network)


def test_mixmatch_refuses_the_mixing_of_fix_a_step() -> None:
    content = config("separate", mixing=True).model_dump() | {"method": {"name": "mixmatch"}}
    settings = TrainConfig.parse(content, where="test")
    with pytest.raises(ConfigError, match="MixMatch mixes already"):
        Trainer(tiny_network(), settings, classes=K, weights=None, generator=torch.Generator())


def test_mixmatch_learns(tiny: TinyStore, tmp_path: Path) -> None:
    weight = {"value": 75.0, "ramp": 2000}
    assert train_score(tiny, tmp_path / "run", {"name": "mixmatch"}, steps=50, unlabeled_weight=weight) > 0.55
