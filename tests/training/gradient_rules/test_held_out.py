"""Rules that judge by held-out labels, and the inner products of the last layer, against their formulas."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from heart2heart.errors import ConfigError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.runs import B, K, check_resumes, make_step, tiny_network, train_score, unlabeled_loss
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.weak_to_strong import FixMatch
from heart2heart.training.data import TrainData
from heart2heart.training.gradient_rules import build_gradient_rule
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.gradient_rules.probe import ProbeLoss
from heart2heart.training.held_out_labels import choose_patients, held_out_labels
from heart2heart.training.loader import TrainLoader
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer

LR = 0.1


def vector(network: nn.Module, value: Tensor, *, retain: bool = False) -> Tensor:
    parts = torch.autograd.grad(value, list(network.parameters()), retain_graph=retain)
    return torch.cat([part.flatten() for part in parts])


def moved(network: nn.Sequential, direction: Tensor) -> nn.Sequential:
    """Return a copy after a plain step."""
    other = copy.deepcopy(network)
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(network.parameters()) - LR * direction,
                                  other.parameters())  # fmt: skip
    return other


def probe_loss(network: nn.Module, frames: Tensor, targets: Tensor) -> Tensor:
    logits: Tensor = network(frames)
    return -(targets * logits.log_softmax(1)).sum() / B


def make_term(seed: int) -> tuple[nn.Sequential, Tensor, UnlabeledLossTerm]:
    """Return the network before the step, its labeled gradient, and the unlabeled loss with a probe."""
    network, other = tiny_network(seed), make_step(tiny_network(), views=0, seed=seed + 100)
    reference = copy.deepcopy(network).train()
    method = FixMatch(threshold=0.4)
    step = make_step(network, views=2, seed=seed, lr=LR)
    labeled = vector(network, method.labeled_loss(step).value)
    loss = unlabeled_loss(method, step)
    probe = ProbeLoss(other.labeled, other.targets, step.criterion, step.model_access, LR, step.group.mean)
    parameters = list(network.parameters())
    return reference, labeled, UnlabeledLossTerm(loss, method, step, parameters, step.group.mean, probe)


def test_combine_by_the_held_out_gradient_is_one_step_bilevel() -> None:
    decisions = set()
    for seed in range(8):
        reference, labeled, term = make_term(seed)
        step = make_step(reference, views=2, seed=seed)
        weak, strong = (reference(view) for view in step.unlabeled)
        p = weak.detach().softmax(1)
        each = -strong.log_softmax(1)[torch.arange(len(p)), p.argmax(1)]
        other = vector(reference, (each * (p.max(1).values >= 0.4)).mean())
        ahead = moved(reference, labeled)
        assert isinstance(term.probe, ProbeLoss)
        judge = vector(ahead, probe_loss(ahead, term.probe.frames, term.probe.targets))
        kept = float(judge @ other) >= 0
        decision = build_gradient_rule("held_out_gradient").combine(labeled, term, 0.7, {})
        torch.testing.assert_close(decision.gradient, labeled + 0.7 * other if kept else labeled)
        assert float(decision.conflict) == float(not kept)
        decisions.add(kept)
    assert decisions == {True, False}


def test_combine_by_the_held_out_loss_compares_two_steps() -> None:
    decisions = set()
    for seed in range(8):
        reference, labeled, term = make_term(seed)
        _, _, twin = make_term(seed)
        both = labeled + 0.7 * twin.gradient()
        assert isinstance(term.probe, ProbeLoss)
        frames, targets = term.probe.frames, term.probe.targets
        losses = [float(probe_loss(moved(reference, way), frames, targets).detach()) for way in (both, labeled)]
        harm = losses[0] - losses[1]
        decision = build_gradient_rule("held_out_loss").combine(labeled, term, 0.7, {})
        torch.testing.assert_close(decision.gradient, labeled if harm > 0 else both)
        assert float(decision.metrics["held_out_loss_change"]) == pytest.approx(harm)
        decisions.add(harm > 0)
    assert decisions == {True, False}


def test_combine_by_the_mean_over_held_out_labels_decides_each_frame_by_the_last_layer() -> None:
    decisions = set()
    rule = build_gradient_rule("held_out_head_mean")
    for seed in range(3):
        reference, labeled, term = make_term(seed)
        memory = {name: value.double() for name, value in rule.initial_memory(len(labeled)).items()}
        memory["held_out"] += torch.randn(len(labeled), generator=torch.Generator().manual_seed(seed))
        assert isinstance(term.probe, ProbeLoss)
        ahead = moved(reference, labeled)
        mean = 0.99 * memory["held_out"] + 0.01 * vector(
            ahead, probe_loss(ahead, term.probe.frames, term.probe.targets)
        )
        assert term.per_sample_loss is not None
        head = 37 * K
        step = make_step(reference, views=2, seed=seed)
        weak, strong = (reference(view) for view in step.unlabeled)
        p = weak.detach().softmax(1)
        each = -strong.log_softmax(1)[torch.arange(len(p)), p.argmax(1)] * (p.max(1).values >= 0.4)
        own = torch.stack([vector(reference, loss, retain=True) for loss in each])
        kept = own[:, -head:] @ mean[-head:] >= 0
        expected = labeled + 0.7 * (own * kept[:, None]).mean(0)
        decision = rule.combine(labeled, term, 0.7, memory)
        torch.testing.assert_close(decision.gradient, expected)
        torch.testing.assert_close(memory["held_out"], mean)
        decisions |= set(kept.tolist())
    assert decisions == {True, False}


def test_probe_loss_changes_no_running_statistics() -> None:
    network = tiny_network()
    step = make_step(network, views=0)
    before = copy.deepcopy(network.state_dict())
    probe = ProbeLoss(step.labeled, step.targets, step.criterion, step.model_access, LR, step.group.mean)
    direction = torch.ones(sum(parameter.numel() for parameter in network.parameters()), dtype=torch.float64)
    assert not probe.loss_after(direction).requires_grad
    assert not probe.gradient_after(direction).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_per_sample_head_dot_is_the_inner_product_over_the_last_layer() -> None:
    _, labeled, term = make_term(0)
    loss = term.per_sample_loss
    assert loss is not None
    head = list(term._parameters)[-2:]
    size = sum(parameter.numel() for parameter in head)
    assert size == 37 * K
    rows = [torch.cat([part.flatten() for part in torch.autograd.grad(each, head, retain_graph=True)]) for each in loss]
    expected = torch.stack(rows) @ labeled[-size:]
    torch.testing.assert_close(term.per_sample_head_dot(labeled), expected)
    assert float(expected.abs().max()) > 0
    # The graph still serves the backward pass that follows.
    assert bool(term.gradient((loss * (expected >= 0)).mean()).isfinite().all())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 12), st.sampled_from([0.2, 0.5]))
def test_choose_patients_keeps_patients_whole_and_every_class_in_training(seed: int, count: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    patients = [f"p{number}" for number in rng.integers(0, count, 60)]
    targets = rng.integers(0, 3, 60)
    held_out = choose_patients(patients, targets, share, np.random.default_rng(seed))
    assert not {name for name, held in zip(patients, held_out, strict=True) if held} & {
        name for name, held in zip(patients, held_out, strict=True) if not held
    }
    for label in set(targets.tolist()):
        assert held_out[targets == label].mean() <= share
    assert np.array_equal(held_out, choose_patients(patients, targets, share, np.random.default_rng(seed)))


def test_held_out_labels_are_refused_of_too_few_patients(tiny: TinyStore) -> None:
    frames = FrameStores.open([tiny.store])
    data = TrainData.open(SplitManifest.load(tiny.split), frames, tiny.config())
    assert held_out_labels(data, 0.5, 0).sum() == 12  # one of three patients, with four views of three frames
    with pytest.raises(ConfigError, match="too few labeled patients"):
        held_out_labels(data, 0.2, 0)


def test_next_draws_learned_and_held_out_labels_from_disjoint_frames(tiny: TinyStore) -> None:
    config = tiny.config(method={"name": "fixmatch"}, fix_a_step={"gradient": "held_out_gradient"})
    data = TrainData.open(SplitManifest.load(tiny.split), FrameStores.open([tiny.store]), config)
    network = build_network("WideResNet", classes=4, size=16, depth=10, widen=1, blocks=1)
    trainer = Trainer(network, config, classes=4, weights=None, generator=torch.Generator().manual_seed(0))
    loader = TrainLoader(config, data, trainer, torch.device("cpu"))
    held_out = held_out_labels(data, 0.5, config.seed)
    drawn: dict[str, set[int]] = {"labeled": set(), "held out": set()}
    for index in range(8):
        batch = loader.next(index)
        frames, targets = batch.probe
        assert frames.shape == batch.labeled.shape
        expected = data.train.targets[loader.drawn["held out"].numpy()]
        assert targets.argmax(1).tolist() == expected.tolist()
        for name, positions in drawn.items():
            positions |= set(loader.drawn[name].tolist())
    assert drawn["held out"] == set(np.flatnonzero(held_out).tolist())
    assert drawn["labeled"] == set(np.flatnonzero(~held_out).tolist())


@pytest.mark.parametrize("rule", ["held_out_gradient", "held_out_head_mean"])
def test_train_with_the_rule_learns_and_resumes(rule: str, tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "fixmatch", "params": {"threshold": 0.5}}
    settings = {"fix_a_step": {"mixing": True, "gradient": rule}}
    assert train_score(tiny, tmp_path / "run", method, **settings) > 0.5
    check_resumes(tiny, tmp_path, method=method, **settings)
