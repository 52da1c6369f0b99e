"""MTCF and OpenMatch against their formulas, and foreign frames that they leave out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heart2heart.export.export import export_run
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
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
from heart2heart.testing.tiny import QUICK, TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.algorithms.open_set import BINS, MTCF, OpenMatch, one_vs_all_loss, otsu_threshold
from heart2heart.training.data import TrainData
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.train import train
from heart2heart.training.validation import infer

MTCF_METHOD = MTCF(warmup=0.2, threshold=0.6)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40))
def test_otsu_threshold_is_the_best_of_all(scores: list[float]) -> None:
    bins = [min(int(value * BINS), BINS - 1) for value in scores]

    def apart(last: int) -> float:
        """Return the variance between the groups up to bin `last` and above."""
        low = [(index + 0.5) / BINS for index in bins if index <= last]
        high = [(index + 0.5) / BINS for index in bins if index > last]
        if not low or not high:
            return 0.0
        gap = sum(low) / len(low) - sum(high) / len(high)
        return len(low) * len(high) / len(bins) ** 2 * gap**2

    threshold = otsu_threshold(torch.tensor(scores, dtype=torch.float64))
    last = round(float(threshold) * BINS) - 1
    assert apart(last) == pytest.approx(max(apart(index) for index in range(BINS)), abs=1e-9)


def test_mtcf_labeled_loss_equals_the_formula() -> None:
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, method=MTCF_METHOD)
    loss = MTCF_METHOD.labeled_loss(step)
    outputs = network(step.labeled)
    expected = -(step.targets * outputs[:, :K].log_softmax(1)).sum(1) - (1 - outputs[:, K].sigmoid()).log()
    torch.testing.assert_close(loss.value, expected.mean())
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected.mean(), network))


@pytest.mark.parametrize("number", [9, 10])
def test_unlabeled_loss_equals_the_formula_and_its_outputs_become_the_scores(number: int) -> None:
    """The warm-up of a fifth of 50 steps ends before step 10."""
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, method=MTCF_METHOD, step=number, steps=50)
    assert step.memory["score"].tolist() == [1.0] * POOL
    scores = torch.linspace(0, 0.3, POOL) + 0.6 * (torch.arange(POOL) % 2)
    step.memory["score"].copy_(scores)
    loss = unlabeled_loss(MTCF_METHOD, step)
    weak, strong = (network(view) for view in step.unlabeled)
    total, inside, chosen = torch.zeros((), dtype=torch.float64), 0, 0
    for row, pool_row in enumerate(step.pool_index.tolist()):
        outside, aim = weak[row, K].sigmoid(), float(scores[pool_row])
        total = total - aim * outside.log() - (1 - aim) * (1 - outside).log()
        guess = weak[row, :K].detach().softmax(0)
        if aim < 0.5:  # between the groups that `scores` makes
            inside += 1
            if float(guess.max()) >= 0.6:
                chosen += 1
                if number >= 10:
                    total = total - strong[row, :K].log_softmax(0)[int(guess.argmax())]
    assert 0 < chosen < inside < U
    torch.testing.assert_close(loss.value, total / U, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(loss.value, network), gradient(total / U, network), rtol=1e-5, atol=1e-7)
    assert float(loss.metrics["inlier_rate"]) == pytest.approx(inside / U)
    finish_step(step)
    expected = scores.clone()
    expected[step.pool_index] = weak[:, K].detach().sigmoid().float()
    torch.testing.assert_close(step.memory["score"], expected)


def test_mtcf_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, method=MTCF_METHOD, step=20)
    step.memory["score"].copy_(torch.linspace(0, 1, POOL))
    check_per_sample_dot(MTCF_METHOD, step, network)


def test_mtcf_keeps_one_score_in_all_processes() -> None:
    def work(group: Processes) -> tuple[Tensor, Tensor]:
        network = tiny_network(outputs=K + 1)
        step = make_step(network, views=2, method=MTCF_METHOD, step=20, group=group)
        network.eval()  # batch statistics would differ by process
        flat = group.mean(gradient(unlabeled_loss(MTCF_METHOD, step).value, network))
        finish_step(step)
        return flat, step.memory["score"]

    (flat, scores) = work(Processes())
    for other, others_scores in run_threads(3, work):
        torch.testing.assert_close(other, flat)
        assert torch.equal(others_scores, scores)


def test_mtcf_learns_and_leaves_frames_of_no_class_out_by_their_score(uncurated: TinyStore, tmp_path: Path) -> None:
    config = uncurated.config(method={"name": "mtcf"}, steps=80, evaluate_every=80, checkpoint_every=80, log_every=80,
                              batch={"labeled": 16, "unlabeled": 48}, **QUICK)  # fmt: skip
    run = train(config, tmp_path / "run")
    assert run.directory.record.selected_score > 0.6  # chance is 0.25
    scores = checkpoint.load(run.directory.last_checkpoint)["memory"]["method"]["score"]
    inside = scores < otsu_threshold(scores)
    alien = torch.from_numpy(uncurated.pool_is_alien())
    assert float(inside[~alien].float().mean()) > 0.6
    assert float(inside[alien].float().mean()) < 0.2


def test_mtcf_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "mtcf", "params": {"warmup": 0.5}})


OPEN_MATCH_METHOD = OpenMatch(entropy=0.3, consistency=0.7, warmup=0.2, threshold=0.5)


def test_open_match_labeled_loss_equals_the_formula() -> None:
    network = tiny_network(outputs=2 * K)
    step = make_step(network, views=3, method=OPEN_MATCH_METHOD)
    loss = OPEN_MATCH_METHOD.labeled_loss(step)
    outputs = network(step.labeled)
    inside = outputs[:, K:].sigmoid()
    expected = torch.zeros((), dtype=torch.float64)
    for row, target in enumerate(step.targets.argmax(1).tolist()):
        others = [(1 - inside[row, k]).log() for k in range(K) if k != target]
        nearest = others[0] if float(others[0].detach()) < float(others[1].detach()) else others[1]
        classified = outputs[row, :K].log_softmax(0)[target]
        expected = expected - classified - inside[row, target].log() - nearest
    expected = expected / len(step.labeled)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, network))


def test_one_vs_all_loss_of_a_soft_target_is_the_mean_over_its_classes() -> None:
    belongs = torch.randn(5, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, other = (torch.eye(K, dtype=torch.float64)[k].expand(5, K) for k in (0, 2))
    mixed = one_vs_all_loss(belongs, 0.3 * one + 0.7 * other)
    torch.testing.assert_close(mixed, 0.3 * one_vs_all_loss(belongs, one) + 0.7 * one_vs_all_loss(belongs, other))


@pytest.mark.parametrize("number", [9, 10])
def test_unlabeled_loss_equals_the_formula(number: int) -> None:
    """The warm-up of a fifth of 50 steps ends before step 10."""
    network = tiny_network(outputs=2 * K)
    step = make_step(network, views=3, method=OPEN_MATCH_METHOD, step=number, steps=50)
    loss = unlabeled_loss(OPEN_MATCH_METHOD, step)
    first, second, strong = (network(view) for view in step.unlabeled)
    total, inliers, chosen = torch.zeros((), dtype=torch.float64), 0, 0
    for row in range(U):
        for k in range(K, 2 * K):
            p, q = first[row, k].sigmoid(), second[row, k].sigmoid()
            for share in (p, q):
                total = total - 0.3 * (share * share.log() + (1 - share) * (1 - share).log()) / (2 * K)
            total = total + 0.7 * ((p - q) ** 2 + ((1 - p) - (1 - q)) ** 2)
        guess = first[row, :K].detach().softmax(0)
        label = int(guess.argmax())
        inlier = float(first[row, K + label].detach().sigmoid()) > 0.5
        inliers += inlier
        if inlier and float(guess.max()) >= 0.5:
            chosen += 1
            if number >= 10:
                total = total - strong[row, :K].log_softmax(0)[label]
    assert 0 < chosen < inliers < U
    torch.testing.assert_close(loss.value, total / U)
    torch.testing.assert_close(gradient(loss.value, network), gradient(total / U, network))
    assert float(loss.metrics["inlier_rate"]) == pytest.approx(inliers / U)
    assert float(loss.metrics["pseudo_label_rate"]) == pytest.approx(chosen / U)


def test_one_vs_all_loss_of_large_outputs_is_finite() -> None:
    belongs = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    loss = one_vs_all_loss(belongs, torch.tensor([[0.0, 1.0, 0.0]]))
    assert float(loss.detach()) == pytest.approx(400)
    assert math.isfinite(float(torch.autograd.grad(loss, belongs)[0].abs().sum()))


def test_open_match_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network(outputs=2 * K)
    check_per_sample_dot(OPEN_MATCH_METHOD, make_step(network, views=3, method=OPEN_MATCH_METHOD, step=20), network)


def test_open_match_learns_leaves_frames_of_no_class_out_and_drops_the_extra_outputs(
    uncurated: TinyStore, tmp_path: Path
) -> None:
    config = uncurated.config(method={"name": "openmatch"}, steps=80, evaluate_every=80, checkpoint_every=80,
                              log_every=80, batch={"labeled": 16, "unlabeled": 32}, **QUICK)  # fmt: skip
    run = train(config, tmp_path / "run")
    assert run.directory.record.selected_score > 0.6  # chance is 0.25
    assert isinstance(run.network, ClassOutputs)
    frames = FrameStores.open([uncurated.store])
    pixels = frames.read(TrainData.open(SplitManifest.load(uncurated.split), frames, config).unlabeled)
    outputs = infer(run.network.network, torch.from_numpy(pixels))
    label = outputs[:, :4].argmax(1)
    inlier = outputs[:, 4:].gather(1, label[:, None])[:, 0] > 0
    alien = torch.from_numpy(uncurated.pool_is_alien())
    assert float(inlier[~alien].float().mean()) > 0.8
    assert float(inlier[alien].float().mean()) < 0.2

    predicted = run.predict(pixels[:5])
    np.testing.assert_allclose(predicted, outputs[:5, :4].numpy(), atol=1e-5)
    written = export_run(run, tmp_path / "exported", ("pt2",))["pt2"]
    exported: Tensor = torch.export.load(written).module()(torch.from_numpy(pixels[:5]))
    np.testing.assert_allclose(exported.detach().numpy(), predicted, atol=1e-4)


def test_open_match_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "openmatch", "params": {"warmup": 0.5}})
