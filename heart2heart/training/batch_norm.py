"""Batch normalisation over the rows of all processes, and statistics that are recorded again after training.

torch's own synchronised form has no CPU or forward-mode support.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from heart2heart.training.distributed import SINGLE, ProcessGroup


@contextmanager
def no_bn_update(model: nn.Module) -> Iterator[None]:
    """Context in which batch normalisation does not update its running statistics."""
    recording = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for module in recording:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in recording:
            module.track_running_stats = True


def synchronise_batch_norm(network: nn.Module, group: ProcessGroup) -> nn.Module:
    """Make every batch normalisation of `network` use the rows of all processes; names of weights stay the same."""
    if group.size > 1:
        for name, child in network.named_children():
            inner = (
                SyncBatchNorm(child, group) if isinstance(child, _BatchNorm) else synchronise_batch_norm(child, group)
            )
            setattr(network, name, inner)
    return network


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics are those of the whole batch.

    Each process has as many rows as any other.

    Args:
        batch_norm: The layer that it replaces; its parameters and running statistics are copied.
        group: The processes.
    """

    def __init__(self, batch_norm: _BatchNorm, group: ProcessGroup) -> None:
        super().__init__(
            batch_norm.num_features,
            batch_norm.eps,
            batch_norm.momentum,
            batch_norm.affine,
            batch_norm.track_running_stats,
        )
        self.group = group
        self.weight, self.bias = batch_norm.weight, batch_norm.bias
        self.running_mean, self.running_var = batch_norm.running_mean, batch_norm.running_var
        self.num_batches_tracked = batch_norm.num_batches_tracked
        self.train(batch_norm.training)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the normalised rows, `(n, channels, ...)`."""
        if not self.training:
            kept = (self.running_mean, self.running_var, self.weight, self.bias)
            out: Tensor = functional.batch_norm(frames, *kept, training=self.running_mean is None, eps=self.eps)
            return out
        x = frames.float() if frames.dtype in (torch.float16, torch.bfloat16) else frames
        own = torch.stack(channel_moments(x))
        is_own = torch.arange(self.group.size, device=x.device) == self.group.rank
        # One all-reduce: each process fills its own row among zeros.
        variances, means = _sum(own * is_own.to(own.dtype)[:, None, None], self.group).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        if self.track_running_stats:
            self._record(mean, variance, rows=self.group.size * x.numel() // x.shape[1])
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - mean.view(shape)) * scale.view(shape)
        if self.bias is not None:
            out = out + self.bias.view(shape)
        return out.to(frames.dtype)

    @torch.no_grad()
    def _record(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        # Without a momentum torch keeps the plain mean over all batches.
        newest = (1 / self.num_batches_tracked).to(mean) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, newest)
        self.running_var.lerp_(variance * (rows / max(rows - 1, 1)), newest)


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the population variance and the mean of each channel of `(n, channels, ...)`, each `(channels,)`."""
    others = [0, *range(2, x.ndim)]
    if x.device.type != "cpu":
        variance, mean = torch.var_mean(x, others, correction=0)
        return variance, mean
    # On a CPU torch.var_mean takes ten times as long, and longer than the convolution before it.
    mean = x.mean(others, keepdim=True)
    return (x - mean).square_().mean(others), mean.flatten()


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of theirs, since each one's loss depends on it."""

    @staticmethod
    def forward(value: Tensor, group: ProcessGroup) -> Tensor:
        return group.sum(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ProcessGroup], output: Tensor) -> None:
        ctx.group = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum(gradient, ctx.group), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _sum(tangent, ctx.group)


def _sum(value: Tensor, group: ProcessGroup) -> Tensor:
    """Return the sum of `value` over the processes, with its gradient."""
    apply: Callable[[Tensor, ProcessGroup], Tensor] = _Sum.apply
    return apply(value, group)


@torch.no_grad()
def record_statistics(
    network: nn.Module, batch: Callable[[int], Tensor], count: int, group: ProcessGroup = SINGLE
) -> bool:
    """Replace the running statistics of every batch normalisation by those of some batches, all counted alike.

    Each batch passes in evaluation mode, except that a batch normalisation normalises by the batch's own statistics
    (Wu and Johnson, "Rethinking Batch in BatchNorm", 2021, section 3). The mean and the variance of a channel are those
    of all its values in all batches. A layer that no batch reaches keeps its statistics.

    Args:
        network: The network; its weights do not change.
        batch: Returns the frames of a batch from its number, float32 `(n, channels, size, size)`.
        count: Number of batches.
        group: The processes; each takes whole batches, so that the result is the same for any number of them.

    Returns:
        Whether the network has batch normalisation at all; without one nothing is computed.

    Examples:
        >>> network = nn.BatchNorm1d(1)
        >>> record_statistics(network, lambda index: torch.tensor([[1.0], [2.0], [6.0]]) + index, count=2)
        True
        >>> network.running_mean, network.running_var
        (tensor([3.5000]), tensor([5.9000]))
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not layers:
        return False
    sizes = [layer.num_features for layer in layers]
    device = next(network.parameters()).device
    # Number of values, mean and variance by batch and channel; a batch of another process stays zero until the sum.
    moments = torch.zeros(count, 3, sum(sizes), dtype=torch.float64, device=device)
    was_training = network.training
    network.eval()
    with _own_statistics(layers) as inputs:
        for index in range(group.rank, count, group.size):
            network(batch(index))
            parts = [
                _pool_moments(torch.stack(inputs.pop(layer))) if layer in inputs else moments.new_zeros(3, size)
                for layer, size in zip(layers, sizes, strict=True)
            ]
            moments[index] = torch.cat(parts, dim=1)
    pooled = _pool_moments(group.sum(moments))
    for layer, (values, mean, variance) in zip(layers, torch.split(pooled, sizes, dim=1), strict=True):
        if layer.running_mean is not None and layer.running_var is not None and values[0] > 0:
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance * values / (values - 1).clamp_min(1))  # unbiased, as torch records it
    network.train(was_training)
    return True


def _pool_moments(moments: Tensor) -> Tensor:
    """Return number of values, mean and variance `(3, channels)` of several sets of values, `(sets, 3, channels)`."""
    values, means, variances = moments.unbind(1)
    total = values.sum(0)
    share = values / total.clamp_min(1)
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean).square())).sum(0)
    return torch.stack([total, mean, variance])


@contextmanager
def _own_statistics(layers: Sequence[_BatchNorm]) -> Iterator[dict[_BatchNorm, list[Tensor]]]:
    """Context in which layers in evaluation mode use the batch's own statistics; yields the moments of their inputs."""
    inputs: dict[_BatchNorm, list[Tensor]] = {}

    def note(layer: _BatchNorm, arguments: tuple[Tensor, ...]) -> None:
        x = arguments[0].float() if arguments[0].dtype in (torch.float16, torch.bfloat16) else arguments[0]
        variance, mean = channel_moments(x)
        values = torch.full_like(mean, x.numel() // x.shape[1])
        inputs.setdefault(layer, []).append(torch.stack([values, mean, variance]).double())

    kept = [(layer.running_mean, layer.running_var) for layer in layers]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        for layer in layers:  # without running statistics, torch uses the batch's in evaluation mode too
            layer.running_mean = layer.running_var = None
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()
        for layer, (mean, variance) in zip(layers, kept, strict=True):
            layer.running_mean, layer.running_var = mean, variance
