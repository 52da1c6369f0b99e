"""ReMixMatch against its formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import B, K, U, check_resumes, make_step, tiny_network, train_score
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.remixmatch import AnchoredStepContext, ReMixMatch, rotate
from heart2heart.training.mixing import draw_mix

METHOD = ReMixMatch(temperature=0.4, alpha=0.6, mixed=1.2, anchored=0.7, rotation=0.3)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for row, target in zip(logits, targets, strict=True):
        total = total - (target * row.log_softmax(0)).sum()
    return total / len(logits)


def test_prepare_batch_mixes_labeled_frames_two_strong_views_and_the_weak_view() -> None:
    network = tiny_network(outputs=K + 4)
    step = make_step(network, views=3, seed=2)
    mixed = METHOD.prepare_batch(step)
    weak, strong, other = step.unlabeled
    sharp = network(weak)[:, :K].detach().softmax(1).numpy() ** (1 / 0.4)
    q = torch.from_numpy(sharp / sharp.sum(1, keepdims=True))
    drawn = draw_mix(0.6, B + 3 * U, torch.Generator().manual_seed(2))
    x = torch.cat([step.labeled, strong, other, weak]).numpy()
    y = torch.cat([step.targets, q, q, q]).numpy()
    share, order = float(drawn.share), drawn.order.numpy()
    x, y = share * x + (1 - share) * x[order], share * y + (1 - share) * y[order]
    np.testing.assert_allclose(mixed.labeled.numpy(), x[:B])
    np.testing.assert_allclose(mixed.targets.numpy(), y[:B], atol=1e-12)
    np.testing.assert_allclose(mixed.unlabeled[0].numpy(), x[B:])
    np.testing.assert_allclose(mixed.pseudo_labels.numpy(), y[B:], atol=1e-12)
    np.testing.assert_allclose(mixed.anchors.numpy(), q.numpy(), atol=1e-12)
    for frame, turned, count in zip(strong.numpy(), mixed.rotated.numpy(), mixed.turns.tolist(), strict=True):
        np.testing.assert_array_equal(turned[0], np.rot90(frame[0], count))


def test_unlabeled_loss_equals_the_formula() -> None:
    def reference(network: nn.Module, step: StepContext) -> Tensor:
        assert isinstance(step, AnchoredStepContext)
        mixed, strong = step.unlabeled
        turns = torch.eye(4, dtype=torch.float64)[step.turns]
        return (
            1.2 * soft_cross_entropy(network(mixed)[:, :K], step.pseudo_labels)
            + 0.7 * soft_cross_entropy(network(strong)[:, :K], step.anchors)
            + 0.3 * soft_cross_entropy(network(step.rotated)[:, K:], turns)
        )

    check_unlabeled_loss(METHOD, reference)
    check_threads(METHOD)


def test_rotate_turns_each_frame_by_its_own_count() -> None:
    frames = torch.arange(8.0).view(2, 1, 2, 2)
    turned = rotate(frames, torch.tensor([0, 3]))
    assert torch.equal(turned[0], frames[0])
    assert turned[1, 0].tolist() == [[6.0, 4.0], [7.0, 5.0]]


def test_remixmatch_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    settings = {"alignment_batches": 128}
    assert train_score(tiny, tmp_path / "run", {"name": "remixmatch"}, **settings) > 0.4
    check_resumes(tiny, tmp_path, method={"name": "remixmatch", "params": {"rotation": 0.0}}, **settings)
