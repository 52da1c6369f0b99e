"""The controls without a pool: mixup and strong augmentation of the labeled frames alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from heart2heart.schema.enums import WITHOUT_POOL
from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import B, check_resumes, make_step, tiny_network, train_score
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.algorithms.supervised import SupervisedMixup
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augmented_batch import augment_batch
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.mixing import draw_mix


def test_prepare_batch_mixes_labeled_frames_with_each_other() -> None:
    step = make_step(tiny_network(), views=0, seed=3)
    drawn = draw_mix(0.7, B, torch.Generator().manual_seed(3))
    mixed = SupervisedMixup(alpha=0.7).prepare_batch(step)
    share, order = float(drawn.share), drawn.order.tolist()
    x, y = step.labeled.numpy(), step.targets.numpy()
    frames = np.stack([share * x[row] + (1 - share) * x[order[row]] for row in range(B)])
    targets = np.stack([share * y[row] + (1 - share) * y[order[row]] for row in range(B)])
    assert 0.5 <= share < 1
    np.testing.assert_allclose(mixed.labeled.numpy(), frames)
    np.testing.assert_allclose(mixed.targets.numpy(), targets)
    assert mixed.unlabeled == ()


def test_prepare_batch_of_three_processes_is_that_of_one() -> None:
    def work(group: Processes) -> tuple[Tensor, Tensor]:
        step = SupervisedMixup().prepare_batch(make_step(tiny_network(), views=0, group=group))
        return group.all_gather(step.labeled), group.all_gather(step.targets)

    expected = work(Processes())
    for members in run_threads(3, work):
        assert all(torch.equal(value, one) for value, one in zip(members, expected, strict=True))


@pytest.mark.parametrize("name", ["supervised_strong", "labels_only"])
def test_augment_batch_gives_labeled_frames_the_strong_view(name: str, tiny: TinyStore) -> None:
    config = tiny.config(method={"name": name})
    pixels = torch.randint(0, 256, (4, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = augment_batch(
        config,
        build_algorithm(name, {}),
        pixels,
        torch.eye(4),
        pixels[:0],
        torch.arange(0),
        torch.Generator().manual_seed(1),
    )
    strong = augment(config.augmentation.strong, pixels, torch.Generator().manual_seed(1))
    assert torch.equal(batch.labeled, strong) == (name == "supervised_strong")
    assert batch.unlabeled == batch.mixing_views == ()


@pytest.mark.parametrize("name", ["supervised_mixup", "supervised_strong"])
def test_train_of_the_controls_learns_without_a_pool(name: str, tiny: TinyStore, tmp_path: Path) -> None:
    assert train_score(tiny, tmp_path / "run", {"name": name}, optimiser={"lr": 0.1}) > 0.6


def test_train_of_mixed_labels_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "supervised_mixup"})


def test_without_pool_names_every_method_without_unlabeled_views() -> None:
    assert {name for name, algorithm in ALGORITHMS.items() if not algorithm.views} == set(WITHOUT_POOL)
