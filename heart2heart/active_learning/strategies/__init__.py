"""Query strategies, a file each; plugins add others by the entry points `heart2heart.query_strategies`."""

from __future__ import annotations

from heart2heart.active_learning.budgeted_selection import RANDOM, QueryStrategy
from heart2heart.active_learning.strategies.audit import AUDIT, AUDIT_BY_CLASS
from heart2heart.active_learning.strategies.coverage import CORE_SET, TYPICLUST
from heart2heart.active_learning.strategies.labeled_reference import POAL, SIMILAR, VAAL
from heart2heart.active_learning.strategies.last_layer import BADGE, BASE_SELECTION, GRADIENT_NORM
from heart2heart.active_learning.strategies.uncertainty import BALD, ENTROPY, LEAST_CONFIDENCE, MARGIN, ST_CONAL, TOD
from heart2heart.registry import Registry

STRATEGIES: Registry[QueryStrategy] = Registry(
    "method of the queue",
    "heart2heart.query_strategies",
    {
        "random": RANDOM,
        "entropy": ENTROPY,
        "margin": MARGIN,
        "least_confidence": LEAST_CONFIDENCE,
        "bald": BALD,
        "badge": BADGE,
        "core_set": CORE_SET,
        "typiclust": TYPICLUST,
        "base": BASE_SELECTION,
        "similar": SIMILAR,
        "tod": TOD,
        "st_conal": ST_CONAL,
        "gradient_norm": GRADIENT_NORM,
        "poal": POAL,
        "vaal": VAAL,
        "audit": AUDIT,
        "audit_by_class": AUDIT_BY_CLASS,
    },
    "a heart2heart.active_learning.budgeted_selection.QueryStrategy",
    lambda part: isinstance(part, QueryStrategy),
)
"""Every strategy that `--by` takes; `STRATEGIES.register(name, strategy)` adds one."""


def get_strategy(name: str) -> QueryStrategy:
    """Return the strategy called `name`.

    Raises:
        UnknownNameError: no such method; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
    """
    return STRATEGIES[name]


__all__ = ["STRATEGIES", "QueryStrategy", "get_strategy"]
