"""VAAL's adversary: a variational autoencoder of embeddings, and a discriminator of its latent space.

Sinha, Ebrahimi and Darrell, ICCV 2019, section 3. The autoencoder learns to rebuild labeled and unlabeled alike and to
make both look labeled; the discriminator learns to tell them apart. The paper's autoencoder is convolutional and reads
pixels; this one has two linear layers and reads standardised embeddings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

HIDDEN, LATENT = 64, 16
BATCH, STEPS, LEARNING_RATE = 128, 400, 1e-3
BETA = 0.01
"""Weight of the latent's divergence from a standard normal; errors are means over the embedding's numbers."""


class _VariationalAutoencoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latent means and the loss of rebuilding."""
        mean, spread = self.encoder(x).chunk(2, dim=1)
        rebuilt = self.decoder(mean + noise * torch.exp(spread / 2))
        divergence = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()
        return mean, mse_loss(rebuilt, x) + BETA * divergence


def vaal_scores(
    embeddings: npt.NDArray[np.float32], labeled: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.float32]:
    """Return the discriminator's belief that each clip is not labeled, 0 to 1, float32 `(n,)`.

    Args:
        embeddings: `(n, d)`.
        labeled: bool `(n,)`, at least one and not all.
        seed: Decides weights and batches.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        points = torch.from_numpy(embeddings)
        points = (points - points.mean(0)) / points.std(0).clamp_min(1e-6)
        groups = [torch.from_numpy(np.flatnonzero(each)) for each in (labeled, ~labeled)]
        autoencoder = _VariationalAutoencoder(points.shape[1])
        judge = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        first, second = (torch.optim.Adam(each.parameters(), lr=LEARNING_RATE) for each in (autoencoder, judge))
        truth = torch.cat([torch.zeros(BATCH, 1), torch.ones(BATCH, 1)])  # 1: not labeled
        for _ in range(STEPS):
            batch = torch.cat([points[group[torch.randint(len(group), (BATCH,))]] for group in groups])
            latent, loss = autoencoder(batch, torch.randn(len(batch), LATENT))
            loss = loss + binary_cross_entropy_with_logits(judge(latent), torch.zeros_like(truth))
            _optimiser_step(first, list(autoencoder.parameters()), loss)
            told = binary_cross_entropy_with_logits(judge(latent.detach()), truth)
            _optimiser_step(second, list(judge.parameters()), told)
        with torch.no_grad():
            mean = autoencoder.encoder(points).chunk(2, dim=1)[0]
            belief: npt.NDArray[np.float32] = judge(mean).sigmoid().squeeze(1).numpy()
        return belief


def _optimiser_step(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor) -> None:
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()
