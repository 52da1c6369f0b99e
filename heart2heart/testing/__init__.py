"""Checks for algorithms, gradient rules, networks, data sets and query strategies, and tiny synthetic stores.

The author of such a part runs the check of its kind in a test; the parts of heart2heart pass the same checks. A check
raises an AssertionError that says what is wrong. No test framework is needed.

Examples:
    >>> from heart2heart.testing import check_network
    >>> from heart2heart.training.networks.wide_resnet import WideResNetOptions
    >>> check_network(WideResNetOptions(depth=10, widen=1))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heart2heart.testing.algorithm_checks import check_algorithm, check_processes
    from heart2heart.testing.data_checks import check_dataset, check_query_strategy
    from heart2heart.testing.network_checks import check_gradient_rule, check_network
    from heart2heart.testing.pretraining_checks import check_pretraining_method
    from heart2heart.testing.stores import random_store
    from heart2heart.testing.tiny import TinyStore, tiny_store

_MODULES = {
    "check_algorithm": "algorithm_checks",
    "check_gradient_rule": "network_checks",
    "check_network": "network_checks",
    "check_pretraining_method": "pretraining_checks",
    "check_processes": "algorithm_checks",
    "check_query_strategy": "data_checks",
    "check_dataset": "data_checks",
    "TinyStore": "tiny",
    "tiny_store": "tiny",
    "random_store": "stores",
}

__all__ = [
    "TinyStore",
    "check_algorithm",
    "check_dataset",
    "check_gradient_rule",
    "check_network",
    "check_pretraining_method",
    "check_processes",
    "check_query_strategy",
    "random_store",
    "tiny_store",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that torch is not loaded for a store alone."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
