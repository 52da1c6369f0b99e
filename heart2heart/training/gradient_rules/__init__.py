"""Gradient rules: one file each. A new idea is one new file here and one line in `RULES`."""

from __future__ import annotations

from collections.abc import Mapping

from heart2heart.errors import UnknownNameError
from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule, UnlabeledGradient
from heart2heart.training.gradient_rules.fix_a_step import FixAStep, PerFrame, PerFrameMean, PerLayer, RunningMean
from heart2heart.training.gradient_rules.multi_task import PCGrad, WeightedSum

GRADIENT_RULES: Mapping[str, type[GradientRule]] = {
    "sum": WeightedSum,
    "fix_a_step": FixAStep,
    "pcgrad": PCGrad,
    "per_layer": PerLayer,
    "running_mean": RunningMean,
    "per_frame": PerFrame,
    "per_frame_mean": PerFrameMean,
}
"""Every rule that can be named in a configuration."""


def build_gradient_rule(name: str) -> GradientRule:
    """Return a rule by name, or raise `UnknownNameError` listing all names."""
    if name not in GRADIENT_RULES:
        raise UnknownNameError.among("gradient rule", name, list(GRADIENT_RULES))
    return GRADIENT_RULES[name]()


__all__ = ["GRADIENT_RULES", "CombinedGradient", "GradientRule", "UnlabeledGradient", "build_gradient_rule"]
