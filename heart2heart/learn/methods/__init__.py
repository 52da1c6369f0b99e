"""Methods: one file each. A new idea is one new file here and one line in `METHODS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heart2heart.errors import UnknownNameError
from heart2heart.learn.methods.base import Loss, Method, Step, ViewName
from heart2heart.learn.methods.fixmatch import FixMatch
from heart2heart.learn.methods.labels_only import LabelsOnly

METHODS: Mapping[str, type[Method]] = {"labels_only": LabelsOnly, "fixmatch": FixMatch}
"""Every method that can be named in a configuration."""


def build_method(name: str, params: dict[str, Any]) -> Method:
    """Build a method by name.

    Raises:
        UnknownNameError: no such method; the message lists those that there are.
        ConfigError: a parameter that this method does not take.
    """
    if name not in METHODS:
        raise UnknownNameError.among("method", name, list(METHODS))
    return METHODS[name].parse(params, where="method.params")


__all__ = ["METHODS", "FixMatch", "LabelsOnly", "Loss", "Method", "Step", "ViewName", "build_method"]
