"""The helper holds what it promises: the same batch whatever the number of processes."""

from __future__ import annotations

import torch
from torch import Tensor

from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import check_per_sample_dot, gradient, make_step, tiny_network, unlabeled_loss
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.weak_to_strong import FixMatch
from heart2heart.training.distributed import ProcessGroup


def test_make_step_gives_processes_their_rows_of_one_batch() -> None:
    def work(group: ProcessGroup) -> tuple[StepContext, Tensor, Tensor, Tensor]:
        network = tiny_network().eval()  # evaluation: batch statistics would differ by process
        step = make_step(network, views=2, group=group)
        network.eval()
        flat = gradient(unlabeled_loss(FixMatch(threshold=0.0), step).value, network)
        return step, step.gaussian_noise(step.unlabeled[0]), group.all_gather(step.pool_index), group.mean(flat)

    (alone, noise, index, flat) = work(ProcessGroup())
    parts = run_threads(3, work)
    for rank, (step, own, _, _) in enumerate(parts):
        rows = ProcessGroup(rank, 3).rows(len(noise))
        assert torch.equal(step.unlabeled[1], alone.unlabeled[1][rows])
        assert torch.equal(step.targets, alone.targets[ProcessGroup(rank, 3).rows(len(alone.targets))])
        assert torch.equal(own, noise[rows])
    for part in parts:
        assert torch.equal(part[2], index)
        torch.testing.assert_close(part[3], flat)


def test_check_per_sample_dot_passes_the_forward_mode_of_fixmatch() -> None:
    network = tiny_network()
    step = make_step(network, views=2)
    check_per_sample_dot(FixMatch(threshold=0.4), step, network)
