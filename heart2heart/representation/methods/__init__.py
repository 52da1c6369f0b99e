"""Pretraining methods, a file each; plugins add others by the entry points `heart2heart.pretraining`."""

from __future__ import annotations

from inspect import isabstract
from typing import Any

from heart2heart.registry import Registry
from heart2heart.representation.methods.barlow_twins import BarlowTwins
from heart2heart.representation.methods.base import PairLoss, PairStep, PretrainMethod
from heart2heart.representation.methods.byol import BYOL
from heart2heart.representation.methods.moco import MoCo
from heart2heart.representation.methods.simclr import SimCLR

PRETRAIN_METHODS: Registry[type[PretrainMethod]] = Registry(
    "pretraining method",
    "heart2heart.pretraining",
    {"simclr": SimCLR, "moco": MoCo, "byol": BYOL, "barlow_twins": BarlowTwins},
    "a subclass of heart2heart.representation.methods.PretrainMethod with a title, projector and loss",
    lambda part: (
        isinstance(part, type) and issubclass(part, PretrainMethod) and not isabstract(part) and hasattr(part, "title")
    ),
)
"""Every pretraining method that a configuration can name; `PRETRAIN_METHODS.register(name, cls)` adds one."""


def build_method(name: str, params: dict[str, Any]) -> PretrainMethod:
    """Build a pretraining method by name.

    Raises:
        UnknownNameError: no such method.
        ConfigError: a setting that it does not have.

    Examples:
        >>> build_method("byol", {"momentum": 0.9}).title
        'BYOL'
    """
    return PRETRAIN_METHODS[name].parse(params, where="method.params")


__all__ = ["PRETRAIN_METHODS", "PairLoss", "PairStep", "PretrainMethod", "build_method"]
