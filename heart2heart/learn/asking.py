"""The ways in which a method may ask the network, around one network and its average."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from heart2heart.learn.fix_a_step import frozen_statistics
from heart2heart.learn.forward import Forward, JointForward
from heart2heart.learn.methods.base import Network, Networks

_NETWORK = "network."  # what `Forward` puts before the names of the network's weights


def ask(model: Forward, average: Forward, classes: int, joint: Sequence[Tensor], *, recording: bool = True) -> Networks:
    """Return the network's faces for one step.

    Args:
        model: The network in training.
        average: Its average, in evaluation mode.
        classes: Number of classes; what lies behind them are the method's own outputs.
        joint: Batches that pass through the network as one; none for a pass each.
        recording: Whether batch normalisation records what passes in training.
    """

    def quiet(frames: Tensor) -> Tensor:
        with frozen_statistics(model):
            logits: Tensor = model(frames)
        return logits

    outputs: Network = JointForward(model, joint) if joint else model if recording else quiet

    @torch.no_grad()
    def averaged(frames: Tensor) -> Tensor:
        logits: Tensor = average(frames)
        return logits

    def virtual_outputs(weights: Mapping[str, Tensor]) -> Network:
        named = {_NETWORK + name: value for name, value in weights.items()}

        def call(frames: Tensor) -> Tensor:
            with frozen_statistics(model), model.as_written():
                logits: Tensor = functional_call(model, named, (frames,))
            return logits

        return call

    def frozen(weights: Mapping[str, Tensor]) -> Network:
        named = {_NETWORK + name: value for name, value in weights.items()}

        @torch.no_grad()
        def call(frames: Tensor) -> Tensor:
            with average.as_written():
                logits: Tensor = functional_call(average, named, (frames,))
            return logits

        return _first(call, classes)

    guesses: dict[int, tuple[Tensor, Tensor]] = {}
    first = _first(outputs, classes)

    def train(frames: Tensor) -> Tensor:
        logits = first(frames)
        if not torch.is_grad_enabled():
            guesses[id(frames)] = (frames, logits)  # the frames are kept so that no other tensor takes their place
        return logits

    return Networks(
        train=train,
        quiet=_first(quiet, classes),
        average=_first(averaged, classes),
        outputs=outputs,
        virtual=lambda weights: _first(virtual_outputs(weights), classes),
        virtual_outputs=virtual_outputs,
        frozen=frozen,
        full_precision=model.full_precision,
        weights=dict(model.network.named_parameters()),
        guesses=guesses,
    )


def _first(network: Callable[[Tensor], Tensor], classes: int) -> Network:
    """Return the network without the outputs behind those of the classes."""
    return lambda frames: network(frames)[:, :classes]


class FirstOutputs(nn.Module):
    """A network without its last outputs.

    Args:
        network: The network.
        classes: Outputs that stay.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        logits: Tensor = self.network(frames)
        return logits[:, : self.classes]
