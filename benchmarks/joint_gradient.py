"""Would a joint batch with cheap backward passes give the same gradients? It is compared with the exact ones.

    OMP_NUM_THREADS=1 python -m benchmarks.joint_gradient

With `batch_norm: joint` each loss depends on all frames by the batch statistics, so each backward pass visits all.
A cheap pass would visit a loss's own frames alone: the statistics are those of the joint batch, and their derivative
with respect to other frames is left out. The table shows the cosine of the cheap gradient with the exact one and the
ratio of their lengths, while a small network is trained by the exact gradients on noisy patterns of four classes (16
labeled and 80 unlabeled frames in two views, 32 px, seed 0).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from heart2heart.training.networks.build import build_network
from heart2heart.training.optimiser import assign_gradient, flat_gradient

LABELED, UNLABELED, SIZE, STEPS = 16, 80, 32, 60


class JointStatistics(nn.Module):
    """Batch normalisation that can repeat the statistics of a joint batch for some of its frames.

    Args:
        batch_norm: The layer that it replaces.
    """

    def __init__(self, batch_norm: _BatchNorm) -> None:
        super().__init__()
        self.batch_norm, self.repeats = batch_norm, False
        self.mean, self.square, self.frames = torch.empty(0), torch.empty(0), 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised frames."""
        mean, square = x.mean((0, 2, 3)), x.square().mean((0, 2, 3))
        if self.repeats:  # the joint values, with the derivative of these frames' share alone
            share = len(x) / self.frames
            mean = self.mean + share * (mean - mean.detach())
            square = self.square + share * (square - square.detach())
        else:
            self.mean, self.square, self.frames = mean.detach(), square.detach(), len(x)
        scale = (square - mean.square() + self.batch_norm.eps).rsqrt() * self.batch_norm.weight
        return (x - mean[:, None, None]) * scale[:, None, None] + self.batch_norm.bias[:, None, None]


def replace_batch_norm(network: nn.Module) -> list[JointStatistics]:
    """Replace every batch normalisation, and return the new layers."""
    layers = []
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            layers.append(JointStatistics(child))
            setattr(network, name, layers[-1])
        else:
            layers += replace_batch_norm(child)
    return layers


def patterns(count: int) -> tuple[Tensor, Tensor]:
    """Return noisy patterns of four classes, `(count, 1, SIZE, SIZE)`, and their classes."""
    targets = torch.arange(count) % 4
    y, x = torch.meshgrid(*[torch.linspace(-3, 3, SIZE)] * 2, indexing="ij")
    radius = torch.hypot(x, y)
    clean = torch.stack([torch.sin(3 * y), torch.sin(3 * x), 1.5 - radius, radius - 1.5])
    return (clean[targets] + 0.8 * torch.randn(count, SIZE, SIZE))[:, None], targets


def main() -> None:
    """Measure and print the table."""
    torch.manual_seed(0)
    network = build_network("WideResNet", classes=4, size=SIZE, depth=10, widen=1).train()
    layers, parameters = replace_batch_norm(network), list(network.parameters())
    optimiser = torch.optim.SGD(parameters, lr=0.03, momentum=0.9)
    print("| step | labeled: cosine | length | unlabeled: cosine | length |\n|---|---|---|---|---|")
    for step in range(STEPS + 1):
        (labeled, targets), (weak, classes) = patterns(LABELED), patterns(UNLABELED)
        strong = weak + 0.5 * torch.randn_like(weak)
        logits = network(torch.cat([labeled, weak, strong]))
        losses = (
            functional.cross_entropy(logits[:LABELED], targets),
            functional.cross_entropy(logits[-UNLABELED:], classes),
        )
        exact = [flat_gradient(loss, parameters, retain_graph=True) for loss in losses]
        if step % 20 == 0:
            for layer in layers:
                layer.repeats = True
            parts = (labeled, targets), (strong, classes)
            cheap = [flat_gradient(functional.cross_entropy(network(x), y), parameters) for x, y in parts]
            for layer in layers:
                layer.repeats = False
            cells = [
                f"{float(functional.cosine_similarity(one, other, dim=0)):.2f} | {float(one.norm() / other.norm()):.1f}"
                for one, other in zip(cheap, exact, strict=True)
            ]
            print(f"| {step} | {' | '.join(cells)} |", flush=True)
        assign_gradient(parameters, exact[0] + exact[1])
        optimiser.step()


if __name__ == "__main__":
    main()
