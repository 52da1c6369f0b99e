"""Calls the network: memory format, precision, compilation, joint batches.

`build_model_access` returns the forms of the network that an algorithm may call in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms.base import ModelAccess, NetworkFunction
from heart2heart.training.batch_norm import no_bn_update
from heart2heart.training.config import Precision

COMPILE_MIN_STEPS = 5_000
"""Steps from which compiling the network pays: it takes minutes, and makes every step faster."""


def place_network(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to its device, with convolution weights in channels-last order, which is faster on both kinds."""
    network = network.to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = _channels_last(parameter.data)
    return network


def _channels_last(weight: Tensor) -> Tensor:
    """Return the weight in channels-last order, also where it has one input channel.

    Such a weight is in both orders at once, and torch then writes the output of its convolution channels-first, which
    makes the normalisation after it slow. Its strides are set, so that they name one order.
    """
    weight = weight.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = weight.shape
    return weight.as_strided(weight.shape, (channels * height * width, 1, width * channels, channels))


@contextmanager
def fastest_kernels(device: torch.device) -> Iterator[None]:
    """Context in which cuDNN tries its kernels for each shape and keeps the fastest; nothing changes on a CPU."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
        yield


class Forward(nn.Module):
    """Calls a network in the run's precision and returns logits of full precision.

    Args:
        network: The network; its own parameters stay as they are.
        precision: `auto` is bfloat16 on an accelerator that has it, and float32 elsewhere.
        compiled: Compile the network for each input shape; if compiling fails, the network runs uncompiled.

    Attributes:
        note: Why the network is not compiled although `compiled` was set; None otherwise.
    """

    def __init__(self, network: nn.Module, precision: Precision = "auto", *, compiled: bool = False) -> None:
        super().__init__()
        self.network = network
        device = next(network.parameters()).device
        capable = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.autocast = precision == "bfloat16" or (precision == "auto" and capable)
        self.device_type = device.type
        self.note: str | None = None
        # Not a module, so that the weights keep one name.
        self._compiled = partial(torch.compile(network, dynamic=False)) if compiled else None

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits `(n, classes)` of frames `(n, channels, size, size)`."""
        with torch.autocast(self.device_type, torch.bfloat16, enabled=self.autocast):
            logits = self._call(frames)
        return logits.float() if self.autocast else logits

    def _call(self, frames: Tensor) -> Tensor:
        if self._compiled is not None:
            try:
                compiled: Tensor = self._compiled(frames)
                return compiled
            except RuntimeError as error:
                from torch._dynamo.exc import TorchDynamoException  # slow to import

                if not isinstance(error, TorchDynamoException):
                    raise
                # Compiling failed before anything was computed.
                self.note = f"not compiled: {str(error).splitlines()[0].split(':')[0]}"
                self._compiled = None
        logits: Tensor = self.network(frames)
        return logits

    @contextmanager
    def uncompiled(self) -> Iterator[None]:
        """Context without compilation, under which other weights and forward-mode derivatives fail."""
        compiled, self._compiled = self._compiled, None
        try:
            yield
        finally:
            self._compiled = compiled

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Context without autocast, under which forward-mode derivatives of convolutions fail."""
        low, self.autocast = self.autocast, False
        try:
            yield
        finally:
            self.autocast = low


class JointForward:
    """Passes several batches through the network as one, so that they share batch statistics.

    Called with one of those very tensors it answers from the joint pass; any other tensor gets a pass of its own. The
    answers share one graph.

    Args:
        model: What is called.
        batches: The tensors that are passed together.
    """

    def __init__(self, model: nn.Module, batches: Sequence[Tensor]) -> None:
        self.model, self.batches = model, batches
        logits: Tensor = model(torch.cat(list(batches)))
        self.logits = torch.split(logits, [len(batch) for batch in batches])

    def __call__(self, frames: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        for batch, logits in zip(self.batches, self.logits, strict=True):
            if batch is frames:
                return logits
        own: Tensor = self.model(frames)
        return own


_WEIGHT_PREFIX = "network."  # what `Forward` puts before the names of the network's weights


def build_model_access(
    model: Forward, average: Forward, classes: int, joint: Sequence[Tensor], *, update_bn: bool = True
) -> ModelAccess:
    """Return the forms of the network that an algorithm may call in one step.

    Args:
        model: The network in training.
        average: Its average, in evaluation mode.
        classes: Number of classes; outputs after them are the algorithm's extra outputs.
        joint: Batches that pass through the network as one; empty for separate passes.
        update_bn: Whether batch normalisation updates its running statistics in training.
    """

    def no_update_outputs(frames: Tensor) -> Tensor:
        with no_bn_update(model):
            logits: Tensor = model(frames)
        return logits

    outputs: NetworkFunction = JointForward(model, joint) if joint else model if update_bn else no_update_outputs

    @torch.no_grad()
    def averaged(frames: Tensor) -> Tensor:
        logits: Tensor = average(frames)
        return logits

    @torch.no_grad()
    def averaged_features(frames: Tensor) -> tuple[Tensor, Tensor]:
        with average.uncompiled():
            features, logits = last_layer_inputs(average, frames)
        return features, logits[:, :classes]

    def functional_outputs(weights: Mapping[str, Tensor]) -> NetworkFunction:
        named = {_WEIGHT_PREFIX + name: value for name, value in weights.items()}

        def call(frames: Tensor) -> Tensor:
            with no_bn_update(model), model.uncompiled():
                logits: Tensor = functional_call(model, named, (frames,))
            return logits

        return call

    def teacher(weights: Mapping[str, Tensor]) -> NetworkFunction:
        named = {_WEIGHT_PREFIX + name: value for name, value in weights.items()}

        @torch.no_grad()
        def call(frames: Tensor) -> Tensor:
            with average.uncompiled():
                logits: Tensor = functional_call(average, named, (frames,))
            return logits

        return _class_outputs(call, classes)

    cached_logits: dict[int, tuple[Tensor, Tensor]] = {}
    class_logits = _class_outputs(outputs, classes)

    def train(frames: Tensor) -> Tensor:
        logits = class_logits(frames)
        if not torch.is_grad_enabled():
            cached_logits[id(frames)] = (frames, logits)  # kept, so that no other tensor gets the same id
        return logits

    return ModelAccess(
        train=train,
        no_bn_update=_class_outputs(no_update_outputs, classes),
        ema=_class_outputs(averaged, classes),
        ema_features=averaged_features,
        outputs=outputs,
        functional=lambda weights: _class_outputs(functional_outputs(weights), classes),
        functional_outputs=functional_outputs,
        teacher=teacher,
        full_precision=model.full_precision,
        weights={name: value for name, value in model.network.named_parameters() if value.requires_grad},
        cached_logits=cached_logits,
    )


def last_layer_inputs(model: nn.Module, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inputs of the linear layer that runs last, float32 or float64 `(n, d)`, and the logits, of one pass.

    Args:
        model: A network, not compiled.
        frames: `(n, channels, size, size)`.

    Raises:
        ConfigError: the network has no linear layer for one vector a frame.
    """
    inputs: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if arguments[0].ndim == 2:
            inputs.append(arguments[0])

    handles = [layer.register_forward_pre_hook(keep) for layer in model.modules() if isinstance(layer, nn.Linear)]
    try:
        logits: Tensor = model(frames)
    finally:
        for handle in handles:
            handle.remove()
    if not inputs:
        remedy = "Choose a network that ends in a linear layer, or another method"
        raise ConfigError("this method needs features, and the network has no linear layer", remedy=remedy)
    return inputs[-1].to(logits.dtype), logits


def _class_outputs(network: Callable[[Tensor], Tensor], classes: int) -> NetworkFunction:
    """Return the network without the outputs after those of the classes."""
    return lambda frames: network(frames)[:, :classes]


class ClassOutputs(nn.Module):
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
