"""One and two steps of Fix-A-Step over FixMatch against the formulas, written out here from the paper in float64.

Nothing of the package is used by the reference but the drawn share and permutation: network, batch normalisation,
losses, decision, Nesterov update and average are its own.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.mixing import draw_mix
from heart2heart.training.optimiser import flat_gradient
from heart2heart.training.train_step import AugmentedBatch, Trainer

B, U, K, SIZE = 6, 9, 3, 5
LR, MOMENTUM, DECAY, LAMBDA, THRESHOLD, TEMPERATURE, ALPHA, EMA, STEPS = 0.1, 0.9, 0.01, 0.7, 0.4, 0.5, 0.75, 0.9, 50
Params = dict[str, Tensor]


def small_network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(36, K))
    return nn.Sequential(*layers).double()


def config(batch_norm: str, **fix_a_step: Any) -> TrainConfig:
    content = {
        "data": {"stores": ["unused"], "split": "unused"},
        "method": {"name": "fixmatch", "params": {"threshold": THRESHOLD}},
        "fix_a_step": {"temperature": TEMPERATURE, "alpha": ALPHA} | fix_a_step,
        "unlabeled_weight": {"value": LAMBDA},
        "optimiser": {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY},
        "batch_norm": batch_norm,
        "ema": EMA,
        "steps": STEPS,
    }
    return TrainConfig.parse(content, where="test")


def views(seed: int) -> AugmentedBatch:
    g = torch.Generator().manual_seed(seed)

    def frames(n: int) -> Tensor:
        return torch.randn(n, 1, SIZE, SIZE, generator=g, dtype=torch.float64)

    targets = torch.eye(K, dtype=torch.float64)[torch.randint(K, (B,), generator=g)]
    labeled, weak, strong, second = frames(B), frames(U), frames(U), frames(B)
    return AugmentedBatch(labeled, targets, (weak, strong), torch.arange(U), (weak[:B], second))


class Reference:
    """The formulas."""

    def __init__(
        self, network: nn.Sequential, *, batch_norm: str, mixing: bool, gradient: bool, weights: Tensor
    ) -> None:
        state = {name: value.clone() for name, value in network.state_dict().items()}
        self.p: Params = {name: state[name] for name in ("0.weight", "1.weight", "1.bias", "4.weight", "4.bias")}
        self.mean, self.var = state["1.running_mean"], state["1.running_var"]
        self.velocity: Params = {}
        self.average = {name: value.clone() for name, value in self.p.items()}
        self.batch_norm, self.mixing, self.gradient, self.weights = batch_norm, mixing, gradient, weights
        self.products: list[float] = []

    def forward(self, p: Params, x: Tensor, *, record: bool) -> Tensor:
        patches = nn.functional.unfold(x, 3).transpose(1, 2)
        h = (patches @ p["0.weight"].reshape(4, 9).T).transpose(1, 2)
        mean = h.mean((0, 2), keepdim=True)
        var = ((h - mean) ** 2).mean((0, 2), keepdim=True)
        if record:
            n = h.shape[0] * h.shape[2]
            self.mean = 0.9 * self.mean + 0.1 * mean.detach().flatten()
            self.var = 0.9 * self.var + 0.1 * var.detach().flatten() * n / (n - 1)
        h = (h - mean) / (var + 1e-5).sqrt() * p["1.weight"][:, None] + p["1.bias"][:, None]
        h = torch.where(h > 0, h, 0.1 * h)
        return h.reshape(len(x), 36) @ p["4.weight"].T + p["4.bias"]

    def mixed(self, v: AugmentedBatch, share: float, order: list[int]) -> tuple[Tensor, Tensor]:
        if not self.mixing:
            return v.labeled, v.targets
        a1, a2 = v.mixing_views
        p = (self.forward(self.p, a1, record=False).softmax(1) + self.forward(self.p, a2, record=False).softmax(1)) / 2
        q = p ** (1 / TEMPERATURE)
        q = q / q.sum(1, keepdim=True)
        x, y = torch.cat([v.labeled, a1, a2]), torch.cat([v.targets, q, q])
        lam = max(share, 1 - share)
        rows_x = [lam * x[i] + (1 - lam) * x[order[i]] for i in range(3 * B)]
        rows_y = [lam * y[i] + (1 - lam) * y[order[i]] for i in range(3 * B)]
        return torch.stack(rows_x[:B]), torch.stack(rows_y[:B])

    def step(self, v: AugmentedBatch, t: int, share: float, order: list[int]) -> None:
        x, y = self.mixed(v, share, order)
        weak, strong = v.unlabeled
        p = {name: value.clone().requires_grad_() for name, value in self.p.items()}
        if self.batch_norm == "joint":
            logits = self.forward(p, torch.cat([x, weak, strong]), record=True)
            l_x, l_w, l_s = logits[:B], logits[B : B + U].detach(), logits[B + U :]
        else:
            l_x = self.forward(p, x, record=True)
            both = self.batch_norm == "separate"
            l_w = self.forward(self.p, weak, record=both)
            l_s = self.forward(p, strong, record=both)
        weighted = y * self.weights
        loss_l = -(weighted * torch.log_softmax(l_x, 1)).sum() / weighted.sum()
        loss_u = torch.zeros((), dtype=torch.float64)
        for guess, logit in zip(l_w.softmax(1), torch.log_softmax(l_s, 1), strict=True):
            if guess.max() >= THRESHOLD:
                loss_u = loss_u - logit[guess.argmax()] / U
        g_l = torch.autograd.grad(loss_l, list(p.values()), retain_graph=True)
        g_u = torch.autograd.grad(loss_u, list(p.values()))
        product = sum(float((a * b).sum()) for a, b in zip(g_l, g_u, strict=True))
        self.products.append(product)
        drop = self.gradient and product < 0
        lr = LR * math.cos(7 * math.pi / 16 * t / STEPS)
        for (name, value), a, b in zip(self.p.items(), g_l, g_u, strict=True):
            d = a if drop else a + LAMBDA * b
            if name in ("0.weight", "4.weight"):  # bias and norm are not decayed
                d = d + DECAY * value
            self.velocity[name] = d if t == 0 else MOMENTUM * self.velocity[name] + d
            self.p[name] = value - lr * (d + MOMENTUM * self.velocity[name])
            self.average[name] = EMA * self.average[name] + (1 - EMA) * self.p[name]


@pytest.mark.parametrize("batch_norm", ["labeled", "separate", "joint"])
@pytest.mark.parametrize(("mixing", "gradient"), [(True, "fix_a_step"), (True, "sum"), (False, "fix_a_step")])
@pytest.mark.parametrize("seed", range(6))
def test_step_equals_the_formulas(seed: int, mixing: bool, gradient: str, batch_norm: str) -> None:
    network = small_network(seed)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    settings = config(batch_norm, mixing=mixing, gradient=gradient)
    reference = Reference(
        copy.deepcopy(network), batch_norm=batch_norm, mixing=mixing, gradient=gradient != "sum", weights=weights
    )
    learner = Trainer(network, settings, classes=K, weights=weights, generator=torch.Generator().manual_seed(seed))
    recorded = torch.Generator().manual_seed(seed)
    conflicts = []
    for t in range(2):
        drawn = draw_mix(ALPHA, 3 * B, recorded)
        reference.step(views(10 * seed + t), t, float(drawn.share), drawn.order.tolist())
        conflicts.append(float(learner.step(views(10 * seed + t), t)["conflict_rate"]))
    assert conflicts == [float(product < 0) for product in reference.products]
    state = network.state_dict()
    for name, value in reference.p.items():
        torch.testing.assert_close(state[name], value, atol=1e-6, rtol=0)
        torch.testing.assert_close(learner.ema.state_dict()[name], reference.average[name], atol=1e-6, rtol=0)
    torch.testing.assert_close(state["1.running_mean"], reference.mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(state["1.running_var"], reference.var, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch_norm", ["separate", "joint"])
def test_step_of_the_seeds_above_has_conflicting_and_aligned_gradients(batch_norm: str) -> None:
    first = []
    for seed in range(6):
        learner = Trainer(
            small_network(seed),
            config(batch_norm, mixing=True, gradient="fix_a_step"),
            classes=K,
            weights=torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64),
            generator=torch.Generator().manual_seed(seed),
        )
        first.append(float(learner.step(views(10 * seed), 0)["conflict_rate"]))
    assert set(first) == {0.0, 1.0}


def test_step_with_joint_batch_norm_differs_from_separate() -> None:
    ends = []
    for batch_norm in ("separate", "joint"):
        network = small_network(0)
        settings = config(batch_norm, mixing=False, gradient="sum")
        Trainer(network, settings, classes=K, weights=None, generator=torch.Generator().manual_seed(0)).step(
            views(0), 0
        )
        ends.append(network.state_dict()["0.weight"])
    assert not torch.allclose(ends[0], ends[1], atol=1e-4)


def test_per_sample_dot_is_the_inner_product_of_each_frame() -> None:
    network = small_network(3)
    settings = config("separate", mixing=False, gradient="sum")
    learner = Trainer(network, settings, classes=K, weights=None, generator=torch.Generator().manual_seed(0))
    step = learner._step_context(views(3), 0, STEPS, LR)
    loss = learner.algorithm.unlabeled_loss(step)
    assert loss is not None
    assert loss.per_sample_loss is not None
    term = UnlabeledLossTerm(loss, learner.algorithm, step, learner.parameters, learner.group.mean)
    direction = torch.randn(sum(term.sizes), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(network.state_dict())
    change = term.per_sample_dot(direction)
    rows = [flat_gradient(each, learner.parameters, retain_graph=True) @ direction for each in loss.per_sample_loss]
    torch.testing.assert_close(change, torch.stack(rows), atol=1e-9, rtol=1e-7)
    assert float(change.abs().max()) > 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
