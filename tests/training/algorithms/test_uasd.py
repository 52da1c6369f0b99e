"""UASD: a history kept by hand, and frames of a foreign kind that are left out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    POOL,
    K,
    U,
    check_per_sample_dot,
    check_resumes,
    finish_step,
    gradient,
    make_step,
    tiny_network,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.algorithms.uasd import UASD
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.train import train

METHOD = UASD(smoothing=0.8)


def test_uasd_three_steps_equal_the_formula() -> None:
    network = tiny_network()
    memory = METHOD.initial_memory(POOL, K, {})
    history: dict[int, list[Tensor]] = {index: [] for index in range(POOL)}
    confidences: list[float] = []
    chosen_of_all = 0
    for seed in (0, 1, 2):
        step = make_step(network, views=1, method=METHOD, seed=seed, memory=memory)
        METHOD.labeled_loss(step)
        loss = unlabeled_loss(METHOD, step)

        confidences.append(float(network(step.labeled).detach().softmax(1).max(1).values.mean()))
        scale = sum(0.8**age for age in range(len(confidences)))
        threshold = sum(0.8**age * value for age, value in enumerate(reversed(confidences))) / scale
        logits = network(step.unlabeled[0])
        expected = torch.zeros((), dtype=torch.float64)
        for row, index in enumerate(step.pool_index.tolist()):
            history[index].append(logits[row].detach().softmax(0))
            target = torch.stack(history[index]).mean(0)
            if float(target.max()) >= threshold:
                chosen_of_all += 1
                expected = expected - (target * logits[row].log_softmax(0)).sum()
        torch.testing.assert_close(loss.value, expected / U, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(gradient(loss.value, network), gradient(expected / U, network), rtol=1e-4, atol=1e-6)
        finish_step(step)
    assert 0 < chosen_of_all < 3 * U
    assert max(len(guesses) for guesses in history.values()) >= 2


def test_uasd_counts_a_frame_twice_in_a_batch_once_with_the_mean() -> None:
    network = tiny_network()
    step = make_step(network, views=1, method=METHOD, pool_index=torch.zeros(U, dtype=torch.int64))
    METHOD.labeled_loss(step)
    METHOD.unlabeled_loss(step)
    finish_step(step)
    assert step.memory["visits"].tolist() == [1.0] + [0.0] * (POOL - 1)
    expected = network(step.unlabeled[0]).detach().softmax(1).mean(0)
    torch.testing.assert_close(step.memory["guesses"][0], expected.float())


def test_uasd_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    step = make_step(network, views=1, method=METHOD)
    METHOD.labeled_loss(step)
    step.memory["confidence"].mul_(0.5)  # so that frames are chosen
    step.memory["guesses"].copy_(3 * torch.eye(K).repeat(POOL, 1)[:POOL])
    step.memory["visits"].fill_(3)
    check_per_sample_dot(METHOD, step, network)


def test_uasd_keeps_one_history_in_all_processes() -> None:
    def work(group: Processes) -> tuple[Tensor, dict[str, Tensor]]:
        network = tiny_network()
        step = make_step(network, views=1, method=METHOD, group=group)
        network.eval()  # batch statistics would differ by process
        for _ in range(2):
            METHOD.labeled_loss(step)
            loss = unlabeled_loss(METHOD, step)
            finish_step(step)
        return group.mean(gradient(loss.value, network)), step.memory

    (flat, memory) = work(Processes())
    for other, others_memory in run_threads(3, work):
        torch.testing.assert_close(other, flat)
        for name, value in memory.items():
            torch.testing.assert_close(others_memory[name], value)


def test_uasd_learns_and_leaves_frames_of_no_class_out(uncurated: TinyStore, tmp_path: Path) -> None:
    config = uncurated.config(method={"name": "uasd"}, steps=60, checkpoint_every=60, evaluate_every=60,
                              batch={"labeled": 16, "unlabeled": 48})  # fmt: skip
    run = train(config, tmp_path / "run")
    assert run.directory.record.selected_score > 0.6  # chance is 0.25
    memory = checkpoint.load(run.directory.last_checkpoint)["memory"]["method"]
    target = memory["guesses"] / memory["visits"][:, None]
    chosen = target.amax(1) >= UASD.threshold(memory)
    alien = torch.from_numpy(uncurated.pool_is_alien())
    assert 0.4 < float(alien.float().mean()) < 0.6
    assert float(chosen[~alien].float().mean()) > 0.2
    assert float(chosen[alien].float().mean()) < 0.05


def test_uasd_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "uasd"})
