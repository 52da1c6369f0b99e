"""Gradient rules; plugins add others by the entry points `heart2heart.gradient_rules`."""

from __future__ import annotations

from inspect import isabstract

from heart2heart.registry import Registry
from heart2heart.training.gradient_rules.base import (
    CombinedGradient,
    GradientRule,
    PCGrad,
    UnlabeledGradient,
    WeightedSum,
)
from heart2heart.training.gradient_rules.fix_a_step import (
    FixAStep,
    PerFrame,
    PerFrameHead,
    PerFrameHeadMean,
    PerFrameMean,
    PerLayer,
    RunningMean,
)
from heart2heart.training.gradient_rules.held_out import HeldOutGradient, HeldOutHeadMean, HeldOutLoss

GRADIENT_RULES: Registry[type[GradientRule]] = Registry(
    "gradient rule",
    "heart2heart.gradient_rules",
    {
        "sum": WeightedSum,
        "fix_a_step": FixAStep,
        "pcgrad": PCGrad,
        "per_layer": PerLayer,
        "running_mean": RunningMean,
        "per_frame": PerFrame,
        "per_frame_mean": PerFrameMean,
        "per_frame_head": PerFrameHead,
        "per_frame_head_mean": PerFrameHeadMean,
        "held_out_gradient": HeldOutGradient,
        "held_out_loss": HeldOutLoss,
        "held_out_head_mean": HeldOutHeadMean,
    },
    "a subclass of heart2heart.training.gradient_rules.base.GradientRule with combine",
    lambda part: isinstance(part, type) and issubclass(part, GradientRule) and not isabstract(part),
)
"""Every rule that a configuration can name; `GRADIENT_RULES.register(name, cls)` adds one."""


def build_gradient_rule(name: str) -> GradientRule:
    """Build a gradient rule by name.

    Raises:
        UnknownNameError: no such rule; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
    """
    return GRADIENT_RULES[name]()


__all__ = ["GRADIENT_RULES", "CombinedGradient", "GradientRule", "UnlabeledGradient", "build_gradient_rule"]
