"""Every method with every rule, with and without Fix-A-Step's mixing, with apart and joint batch normalisation."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from heart2heart.testing.runs import POOL, B, K, U, make_step, tiny_network
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.mixing import draw_mix
from heart2heart.training.train_step import AugmentedBatch, Trainer
from tests.training.test_train_step import config


def learner(name: str, **settings: Any) -> Trainer:
    content = config("labeled").model_dump() | {"method": {"name": name}} | settings
    network = tiny_network(outputs=K + build_algorithm(name, {}).extra_outputs(K))
    generator = torch.Generator().manual_seed(0)
    return Trainer(
        network, TrainConfig.parse(content, where="test"), classes=K, pool_size=POOL, weights=None, generator=generator
    )


def batch(learner: Trainer, seed: int = 0) -> AugmentedBatch:
    guessed = 2 if learner.config.fix_a_step.mixing else 0
    step = make_step(tiny_network(), views=len(learner.algorithm.views) + guessed, seed=seed)
    views, weak = step.unlabeled[guessed:], step.unlabeled[:guessed]
    mixing_views = tuple(view[:B] for view in weak)
    probe = (step.labeled.flip(3), step.targets) if learner.probe_share else ()
    return AugmentedBatch(step.labeled, step.targets, views, step.pool_index, mixing_views, probe)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("batch_norm", ["labeled", "joint"])
def test_algorithms_take_their_steps_with_every_gradient_rule(name: str, batch_norm: str) -> None:
    mixes = ALGORITHMS[name].mixes_labeled
    for rule in GRADIENT_RULES:
        settings = {"mixing": not mixes, "gradient": rule}
        trainer = learner(name, fix_a_step=settings, batch_norm=batch_norm)
        before = copy.deepcopy(trainer.network.state_dict())
        for start in trainer.algorithm.stages(trainer.config.steps):
            for index in range(start, start + 2):
                metrics = trainer.step(batch(trainer, index), index)
                assert all(bool(value.isfinite()) for value in metrics.values())
                assert "loss_labeled" in metrics
        assert any(not torch.equal(value, before[key]) for key, value in trainer.network.state_dict().items())


@pytest.mark.parametrize("name", ["pi_model", "mean_teacher"])
def test_step_passes_the_first_view_alone_with_the_labeled_frames(name: str) -> None:
    trainer = learner(name, batch_norm="joint", fix_a_step={"mixing": False})
    views, reference = batch(trainer), copy.deepcopy(trainer.network)
    logits: Tensor = reference(torch.cat([views.labeled, views.unlabeled[0]]))[:B]
    expected = -(views.targets * logits.log_softmax(1)).sum() / B
    torch.testing.assert_close(trainer.step(views, 0)["loss_labeled"], expected.detach())


def test_step_passes_the_mixed_frames_of_mixmatch_jointly() -> None:
    trainer = learner("mixmatch", batch_norm="joint", fix_a_step={"mixing": False})
    views, reference = batch(trainer), copy.deepcopy(trainer.network)
    mix = draw_mix(0.75, B + 2 * U, torch.Generator().manual_seed(0))
    x = torch.cat([views.labeled, *views.unlabeled])
    p = (reference(views.unlabeled[0]).softmax(1) + reference(views.unlabeled[1]).softmax(1)).detach() ** 2
    q = p / p.sum(1, keepdim=True)
    y = torch.cat([views.targets, q, q])
    x, y = (mix.share * each + (1 - mix.share) * each[mix.order] for each in (x, y))
    logits = reference(x)
    metrics = trainer.step(views, 0)
    expected = -(y[:B] * logits[:B].log_softmax(1)).sum() / B
    torch.testing.assert_close(metrics["loss_labeled"], expected.detach())
    brier = (logits[B:].softmax(1) - y[B:]).square().mean()
    torch.testing.assert_close(metrics["loss_unlabeled"], brier.detach())
    recorded = trainer.network.state_dict()["1.num_batches_tracked"]
    assert int(recorded) == 1


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if not ALGORITHMS[name].mixes_labeled])
def test_step_records_running_statistics_of_labeled_frames_alone(name: str) -> None:
    trainer = learner(name, fix_a_step={"mixing": False})
    views, reference = batch(trainer), copy.deepcopy(trainer.network)
    reference(views.labeled)
    trainer.step(views, 0)
    state, expected = trainer.network.state_dict(), reference.state_dict()
    recorded = [key for key in state if "running" in key]
    assert recorded
    for key in recorded:
        torch.testing.assert_close(state[key], expected[key])


def test_step_with_clean_rows_learns_from_the_mixed_and_the_labeled_frames_in_one_batch() -> None:
    trainer = learner("fixmatch", fix_a_step={"mixing": True, "clean": True, "temperature": 0.5, "alpha": 0.5})
    views, reference = batch(trainer), copy.deepcopy(trainer.network)
    first, second = views.mixing_views
    p = (reference(first).softmax(1) + reference(second).softmax(1)).detach() ** 2
    q = p / p.sum(1, keepdim=True)
    drawn = draw_mix(0.5, 3 * B, torch.Generator().manual_seed(0))
    x, y = torch.cat([views.labeled, first, second]), torch.cat([views.targets, q, q])
    x, y = (drawn.share * each + (1 - drawn.share) * each[drawn.order] for each in (x, y))
    logits = reference(torch.cat([x[:B], views.labeled]))
    expected = -(torch.cat([y[:B], views.targets]) * logits.log_softmax(1)).sum() / (2 * B)
    torch.testing.assert_close(trainer.step(views, 0)["loss_labeled"], expected.detach())


@pytest.mark.parametrize("batch_norm", ["labeled", "joint"])
def test_step_with_clean_rows_works_with_every_algorithm(batch_norm: str) -> None:
    for name in ALGORITHMS:
        if ALGORITHMS[name].mixes_labeled:
            continue
        trainer = learner(name, fix_a_step={"mixing": True, "clean": True}, batch_norm=batch_norm)
        for start in trainer.algorithm.stages(trainer.config.steps):
            metrics = trainer.step(batch(trainer, start), start)
            assert all(bool(value.isfinite()) for value in metrics.values()), name
