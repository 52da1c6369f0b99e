"""The checks of a network and of a gradient rule."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule
from heart2heart.training.gradient_rules.probe import Probe
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions

_WEIGHT = 0.7
_SIZES = [2, 3, 1]
_FRAMES = 4


def check_network(options: NetworkOptions, *, classes: int = 4, channels: int = 1, size: int = 32) -> None:
    """Assert that a network can be trained, averaged, saved and used by heart2heart.

    It gives finite, unbounded logits; a frame's logits in evaluation mode do not depend on the other frames; the seed
    decides its weights; weights can be loaded into a new network, and replaced in one call.

    Args:
        options: The options that build it. The class need not be registered.
        classes: Number of logits.
        channels: Channels of the input.
        size: Side of the frames, pixels.

    Raises:
        AssertionError: the message says what is wrong.
    """
    assert type(options).parse(options.model_dump(mode="json"), where="check") == options, "options are lost as YAML"
    shape = ClassifierShape(classes, channels, size)
    first, second = _build(options, shape), _build(options, shape)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), f"the same seed gives another {name}"
    frames = torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(0))
    logits = first.train()(frames)
    assert logits.shape == (3, classes), f"logits have the shape {tuple(logits.shape)}, not (3, {classes})"
    assert logits.dtype == torch.float32, f"logits have the dtype {logits.dtype}, not float32"
    assert torch.isfinite(logits).all(), "logits are not finite"
    logits.square().sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in first.parameters()), (
        "no weight has a gradient"
    )
    first.eval()
    with torch.no_grad():
        together = first(frames)
        alone = torch.cat([first(frame[None]) for frame in frames])
        message = "logits of a frame depend on the other frames"
        torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-3, msg=lambda text: f"{message}: {text}")
        second.load_state_dict(first.state_dict())
        assert torch.equal(second.eval()(frames), together), "loaded weights give other logits"
        other = {name: torch.zeros_like(value) for name, value in first.named_parameters()}
        assert not torch.equal(functional_call(first, other, (frames,)), together), (
            "weights cannot be replaced in a call"
        )
        linear = [module for module in first.modules() if isinstance(module, nn.Linear)]
        if linear and linear[-1].bias is not None and linear[-1].out_features == classes:
            linear[-1].bias.fill_(50.0)
            assert first(frames).min() > 1.5, "an activation follows the classifier: return logits, not probabilities"


def _build(options: NetworkOptions, shape: ClassifierShape) -> nn.Module:
    torch.manual_seed(0)
    return options.build(shape)


class QuadraticProbe:
    """A held-out loss |w - 1|^2 / 2 at weights of 0, after a step of the length 1 (`Probe`)."""

    def gradient_after(self, direction: Tensor) -> Tensor:
        """See `Probe.gradient_after`."""
        return -direction - 1

    def loss_after(self, direction: Tensor) -> Tensor:
        """See `Probe.loss_after`."""
        return (direction + 1).square().sum() / 2


class LinearUnlabeledLoss:
    """An unlabeled loss of frames `x_i . w`, whose gradients are the rows `x_i`; what a gradient rule takes.

    Args:
        rows: Gradient of each frame, `(u, p)`.
        sizes: Parameters in each tensor of the network; one tensor if None.
    """

    def __init__(self, rows: Tensor, sizes: list[int] | None = None) -> None:
        self.rows = rows
        self.sizes = sizes or [rows.shape[1]]
        self.weights = torch.ones_like(rows[0], requires_grad=True)
        self.probe: Probe | None = QuadraticProbe()

    @property
    def per_sample_loss(self) -> Tensor:
        """Loss of each frame `(u,)`."""
        return self.rows @ self.weights

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        """See `UnlabeledGradient.gradient`."""
        return torch.autograd.grad(self.per_sample_loss.mean() if loss is None else loss, self.weights)[0]

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        """See `UnlabeledGradient.per_sample_dot`."""
        return self.rows @ direction

    def per_sample_head_dot(self, direction: Tensor) -> Tensor:
        """See `UnlabeledGradient.per_sample_head_dot`; the last tensor is the last layer."""
        return self.rows[:, -self.sizes[-1] :] @ direction[-self.sizes[-1] :]


def check_gradient_rule(
    rule: GradientRule, *, reference: Callable[[Tensor, Tensor, float], Tensor] | None = None
) -> None:
    """Assert that a gradient rule combines gradients as its formula says, and never waits for the device.

    Args:
        rule: The rule.
        reference: From the labeled gradient `(p,)`, the gradient of each unlabeled frame `(u, p)` and the weight of the
            unlabeled loss to the combined gradient `(p,)` of a first step; None skips the comparison.

    Raises:
        AssertionError: the message says what is wrong.

    Examples:
        >>> from heart2heart.training.gradient_rules import build_gradient_rule
        >>> check_gradient_rule(
        ...     build_gradient_rule("sum"),
        ...     reference=lambda labeled, frames, weight: labeled + weight * frames.mean(0),
        ... )
    """
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        labeled = torch.randn(sum(_SIZES), generator=generator, dtype=torch.float64)
        frames = torch.randn(_FRAMES, sum(_SIZES), generator=generator, dtype=torch.float64)
        combined = _combine(rule, labeled, frames)
        again = _combine(rule, labeled, frames)
        assert torch.equal(combined.gradient, again.gradient), "the same gradients are combined in another way"
        if reference is not None:
            expected = reference(labeled, frames, _WEIGHT)
            torch.testing.assert_close(combined.gradient, expected, msg=lambda text: f"the combined gradient: {text}")
    zeros, ones = torch.zeros(sum(_SIZES)), torch.ones(_FRAMES, sum(_SIZES))
    for labeled, frames in ((zeros, ones), (zeros + 1, 0 * ones), (zeros, 0 * ones)):
        assert torch.isfinite(_combine(rule, labeled, frames).gradient).all(), "a vanishing gradient gives no number"
    # A tensor without data cannot be read: an `.item()` or a branch on the host raises here.
    try:
        _combine(rule, zeros.to("meta"), ones.to("meta"), "meta")
    except RuntimeError as error:
        raise AssertionError(f"the rule waits for the device: use torch.where, no `if` or .item() ({error})") from error


def _combine(rule: GradientRule, labeled: Tensor, frames: Tensor, device: str = "cpu") -> CombinedGradient:
    """Combine the gradients of a first step, and assert the form of the result."""
    memory = {name: value.to(device) for name, value in rule.initial_memory(len(labeled)).items()}
    before = copy.copy(memory)
    combined = rule.combine(labeled, LinearUnlabeledLoss(frames, _SIZES), _WEIGHT, memory)
    assert combined.gradient.shape == labeled.shape, f"the gradient has the shape {tuple(combined.gradient.shape)}"
    assert combined.gradient.dtype == labeled.dtype, f"the gradient has the dtype {combined.gradient.dtype}"
    assert combined.conflict.shape == (), "the conflict is not a scalar"
    for value in (combined.gradient, combined.conflict, *combined.metrics.values()):
        assert not value.requires_grad, "the combined gradient, the conflict and metrics must carry no graph"
    if device == "cpu":
        assert 0 <= float(combined.conflict) <= 1, f"the conflict {float(combined.conflict)} is no share"
    for name, value in memory.items():
        assert name in before, f"the rule added {name} to its memory: return it from initial_memory"
        assert value is before[name], f"the rule replaced {name} in its memory: change it in place, to be saved"
    return combined
