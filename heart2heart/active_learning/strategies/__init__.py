"""Ways to choose what to label next, a file each."""

from __future__ import annotations

from collections.abc import Mapping

from heart2heart.active_learning.strategies import (
    base,
    base_selection,
    coverage,
    disagreement,
    gradients,
    poal,
    similar,
    uncertainty,
    vaal,
)
from heart2heart.active_learning.strategies.base import QueryStrategy
from heart2heart.errors import UnknownNameError

STRATEGIES: Mapping[str, QueryStrategy] = {
    "random": base.RANDOM,
    "entropy": uncertainty.ENTROPY,
    "margin": uncertainty.MARGIN,
    "least_confidence": uncertainty.LEAST_CONFIDENCE,
    "bald": uncertainty.BALD,
    "badge": gradients.BADGE,
    "core_set": coverage.CORE_SET,
    "typiclust": coverage.TYPICLUST,
    "base": base_selection.BASE_SELECTION,
    "similar": similar.SIMILAR,
    "tod": disagreement.TOD,
    "st_conal": disagreement.ST_CONAL,
    "gradient_norm": gradients.GRADIENT_NORM,
    "poal": poal.POAL,
    "vaal": vaal.VAAL,
}
"""Every method by the name that `--by` takes."""


def get_strategy(name: str) -> QueryStrategy:
    """Return a method by its name.

    Raises:
        UnknownNameError: there is none; the message lists all.
    """
    if name not in STRATEGIES:
        raise UnknownNameError.among("method of the queue", name, list(STRATEGIES))
    return STRATEGIES[name]


__all__ = ["STRATEGIES", "QueryStrategy", "get_strategy"]
