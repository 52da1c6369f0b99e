"""One step of a pretraining, the same for every method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.representation.config import PretrainConfig
from heart2heart.representation.encoder import build_encoder
from heart2heart.representation.methods import build_method
from heart2heart.representation.methods.base import Memory, PairStep
from heart2heart.representation.pairs import Pair
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.loader import seeded_generator
from heart2heart.training.model_access import Forward
from heart2heart.training.optimiser import (
    Ema,
    assign_gradient,
    build_optimiser,
    flat_gradient,
    learning_rate,
    set_learning_rate,
)


class PretrainTrainer:
    """An encoder with the heads of its method, its average, and the optimiser.

    Args:
        network: The network, on its device.
        config: The configuration of the pretraining.
        size: Side of the frames, pixels.

    Attributes:
        encoder: The network without its head.
        target: The moving average of encoder and projector; None where the method has none.
        memory: Tensors that the method keeps from step to step.

    Raises:
        ConfigError: the network has not the named layer, or the method not the named setting.
    """

    def __init__(self, network: nn.Module, config: PretrainConfig, size: int) -> None:
        self.config = config
        self.group: ProcessGroup = SINGLE
        self.device = next(network.parameters()).device
        self.method = build_method(config.method.name, config.method.params)
        self.encoder = build_encoder(network, config.network, config.layer)
        trained = {id(parameter) for parameter in self.encoder.trained_parameters(size)}
        for parameter in network.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        with torch.no_grad():
            features = self.encoder.eval()(torch.zeros(2, 1, size, size, device=self.device)).shape[1]
        self.model = nn.Sequential(self.encoder, self.method.projector(features).to(self.device)).train()
        self.predictor = self.method.predictor() or nn.Identity()
        self.predictor.to(self.device).train()
        self.modules = nn.ModuleList([self.model, self.predictor])
        self.parameters = [each for each in self.modules.parameters() if each.requires_grad]
        self.optimiser = build_optimiser(self.modules, config.optimiser)
        self.project = Forward(self.model, config.precision)
        momentum = self.method.target_momentum(0, config.steps)
        self.target = None if momentum is None else Ema(self.model, momentum)
        stream = seeded_generator(config.seed, "method memory", torch.device("cpu"))
        memory = self.method.initial_memory(stream)
        self.memory: Memory = {name: value.to(self.device) for name, value in memory.items()}
        self.generator = seeded_generator(config.seed, "method", self.device)

    def step(self, batch: Pair, step_index: int) -> dict[str, Tensor]:
        """Take one step; return its scalars, on the device and without gradient."""
        config = self.config
        step = PairStep(
            views=batch,
            project=self.project,
            predict=self.predictor,
            target=self._target_projections,
            memory=self.memory,
            generator=self.generator,
            step=step_index,
            steps=config.steps,
        )
        loss = self.method.loss(step)
        assign_gradient(self.parameters, flat_gradient(loss.value, self.parameters))
        set_learning_rate(self.optimiser, learning_rate(config.schedule, config.optimiser.lr, step_index, config.steps))
        self.optimiser.step()
        if self.target is not None:
            momentum = self.method.target_momentum(step_index, config.steps)
            assert momentum is not None
            self.target.decay = momentum
            self.target.update()
        for callback in step.callbacks:
            callback()
        return {"loss": loss.value.detach(), **loss.metrics}

    @torch.no_grad()
    def _target_projections(self, frames: Tensor) -> Tensor:
        """Return the projections of the averaged network, normalised by the statistics of `frames`."""
        assert self.target is not None, f"{self.method.title} keeps no averaged network"
        projections: Tensor = Forward(self.target.network.train(), self.config.precision)(frames)
        return projections

    def weights_are_finite(self) -> bool:
        """Return whether all weights and running statistics are finite; the host waits for the device."""
        state = [value for value in self.modules.state_dict().values() if value.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in state]).all())

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed pretraining needs of the trainer."""
        return {
            "modules": self.modules.state_dict(),
            "target": {} if self.target is None else self.target.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "memory": self.memory,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state`."""
        self.modules.load_state_dict(state["modules"])
        if self.target is not None:
            self.target.load_state_dict(state["target"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, value in self.memory.items():
            value.copy_(state["memory"][name])
        self.generator.set_state(state["generator"])
