"""Computes what active learning reads from a run: probabilities, embeddings, outputs of other weights, VAAL scores.

`heart2heart.active_learning` never loads torch and takes arrays alone.
"""

from __future__ import annotations

from collections.abc import Set
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from heart2heart.errors import RunError
from heart2heart.store.geometry import Geometry
from heart2heart.training import checkpoint
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.run import Run
from heart2heart.training.validation import INFERENCE_BATCH, infer

VAAL_HIDDEN, VAAL_LATENT = 64, 16
VAAL_BATCH, VAAL_STEPS, VAAL_LEARNING_RATE = 128, 400, 1e-3
VAAL_BETA = 0.01
"""Weight of the latent's divergence from a standard normal; errors are means over the embedding's numbers."""


class _VariationalAutoencoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, VAAL_HIDDEN), nn.ReLU(), nn.Linear(VAAL_HIDDEN, 2 * VAAL_LATENT))
        self.decoder = nn.Sequential(nn.Linear(VAAL_LATENT, VAAL_HIDDEN), nn.ReLU(), nn.Linear(VAAL_HIDDEN, width))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latent means and the loss of rebuilding."""
        mean, spread = self.encoder(x).chunk(2, dim=1)
        rebuilt = self.decoder(mean + noise * torch.exp(spread / 2))
        divergence = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()
        return mean, mse_loss(rebuilt, x) + VAAL_BETA * divergence


def vaal_scores(
    embeddings: npt.NDArray[np.float32], labeled: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.float32]:
    """Return the discriminator's belief that each clip is not labeled, 0 to 1, float32 `(n,)`.

    Args:
        embeddings: `(n, d)`.
        labeled: bool `(n,)`, at least one true and one false.
        seed: Decides weights and batches.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        points = torch.from_numpy(embeddings)
        points = (points - points.mean(0)) / points.std(0).clamp_min(1e-6)
        groups = [torch.from_numpy(np.flatnonzero(each)) for each in (labeled, ~labeled)]
        autoencoder = _VariationalAutoencoder(points.shape[1])
        discriminator = nn.Sequential(nn.Linear(VAAL_LATENT, VAAL_HIDDEN), nn.ReLU(), nn.Linear(VAAL_HIDDEN, 1))
        first, second = (
            torch.optim.Adam(each.parameters(), lr=VAAL_LEARNING_RATE) for each in (autoencoder, discriminator)
        )
        truth = torch.cat([torch.zeros(VAAL_BATCH, 1), torch.ones(VAAL_BATCH, 1)])  # 1: not labeled
        for _ in range(VAAL_STEPS):
            batch = torch.cat([points[group[torch.randint(len(group), (VAAL_BATCH,))]] for group in groups])
            latent, loss = autoencoder(batch, torch.randn(len(batch), VAAL_LATENT))
            loss = loss + binary_cross_entropy_with_logits(discriminator(latent), torch.zeros_like(truth))
            _vaal_step(first, list(autoencoder.parameters()), loss)
            discriminator_loss = binary_cross_entropy_with_logits(discriminator(latent.detach()), truth)
            _vaal_step(second, list(discriminator.parameters()), discriminator_loss)
        with torch.no_grad():
            mean = autoencoder.encoder(points).chunk(2, dim=1)[0]
            belief: npt.NDArray[np.float32] = discriminator(mean).sigmoid().squeeze(1).numpy()
        return belief


def _vaal_step(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor) -> None:
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()


FloatTable = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelOutputs:
    """Outputs of a run beyond its logits.

    Attributes:
        run: The run.
        earlier_run: The run of an earlier round of labeling, for `earlier`; None means this run's raw weights.
    """

    run: Run
    earlier_run: Run | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.run.classes

    @property
    def geometry(self) -> Geometry:
        """Geometry of the frames that the run takes."""
        return self.run.geometry

    def frame_tables(self, pixels: npt.NDArray[np.uint8], tables: Set[str]) -> dict[str, FloatTable]:
        """Return tables of frames.

        Args:
            pixels: uint8 `(n, size, size)`.
            tables: Of `probabilities` and `embeddings` (selected weights), `student` (raw weights at the last step),
                `teacher` (averaged weights at the last step), `earlier`.

        Returns:
            float32 `(n, classes)`, natural logarithms of probabilities, and `(n, d)` for `embeddings`.

        Raises:
            RunError: the run's last checkpoint is gone, its network does not end in a linear layer, or the earlier run
                has other views.
        """
        batches: dict[str, list[Tensor]] = {name: [] for name in tables}
        for start in range(0, len(pixels), INFERENCE_BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + INFERENCE_BATCH])).to(self.run.device)
            if "embeddings" in tables:
                embedding, logits = self._embed(batch)
                batches["embeddings"].append(embedding)
            else:
                logits = infer(self.run.network, batch)
            if "probabilities" in tables:
                batches["probabilities"].append(logits.log_softmax(-1))
            for name in tables & {"student", "teacher", "earlier"}:
                batches[name].append(infer(self._other(name), batch).log_softmax(-1))
        return {name: torch.cat(parts).cpu().numpy() for name, parts in batches.items()}

    def last_layer(self) -> tuple[FloatTable, FloatTable]:
        """Return weights `(d, classes)` and bias `(classes,)` of the last linear layer, float32.

        Raises:
            RunError: the network does not end in one.
        """
        layer, count = self._last, len(self.classes)
        bias = torch.zeros(count) if layer.bias is None else layer.bias[:count]
        return layer.weight[:count].detach().T.float().cpu().numpy(), bias.detach().float().cpu().numpy()

    def vaal_scores(self, embeddings: FloatTable, labeled: npt.NDArray[np.bool_], seed: int) -> FloatTable:
        """Return VAAL's score of each clip; see the function `vaal_scores`."""
        return vaal_scores(embeddings, labeled, seed)

    def _embed(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the last linear layer, `(n, d)`, and the logits."""
        kept: list[Tensor] = []

        def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            kept.append(inputs[0])

        handle = self._last.register_forward_pre_hook(keep)
        try:
            logits = infer(self.run.network, batch)
        finally:
            handle.remove()
        return kept[-1].float(), logits

    @cached_property
    def _last(self) -> nn.Linear:
        """The linear layer whose outputs are the logits; a trial pass finds it."""
        network = self.run.network
        outputs: dict[nn.Linear, Tensor] = {}
        size = self.geometry.size
        trial = torch.randint(0, 256, (2, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

        def keep(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
            assert isinstance(layer, nn.Linear)
            outputs[layer] = out

        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        handles = [layer.register_forward_hook(keep) for layer in layers]
        try:
            logits = infer(network, trial.to(self.run.device))
        finally:
            for handle in handles:
                handle.remove()
        for layer, out in reversed(outputs.items()):
            count = len(self.classes)
            if out.ndim == 2 and out.shape[1] >= count and torch.equal(out[:, :count].float(), logits):
                return layer
        what = f"the network {self.run.config.network.name} does not end in a linear layer, so it has no embeddings"
        raise RunError(what, where=self.run.path, remedy="Choose a method that needs probabilities alone")

    def _other(self, name: str) -> nn.Module:
        if name == "earlier" and self.earlier_run is not None:
            if self.earlier_run.classes != self.run.classes or self.earlier_run.geometry != self.run.geometry:
                what = "the earlier run has other views, or takes frames of another geometry"
                raise RunError(what, where=self.earlier_run.path, remedy="Name two runs of the same views and geometry")
            return self.earlier_run.network
        return self._last_checkpoint["teacher" if name == "teacher" else "student"]

    @cached_property
    def _last_checkpoint(self) -> dict[str, nn.Module]:
        """The network with the raw weights (`student`) and the averaged ones (`teacher`) of the last step."""
        path = self.run.directory.last_checkpoint
        if not path.exists():
            remedy = "Name a run whose checkpoints/last.pt is kept, or choose another method"
            raise RunError("this run's last checkpoint is gone", where=path, remedy=remedy)
        saved: dict[str, Any] = checkpoint.load(path)
        return {name: self._with(saved[kept]) for name, kept in (("student", "network"), ("teacher", "ema"))}

    def _with(self, weights: dict[str, Tensor]) -> nn.Module:
        copy = deepcopy(self.run.network)
        inner = copy.network if isinstance(copy, ClassOutputs) else copy
        inner.load_state_dict(weights)
        return copy.eval()
