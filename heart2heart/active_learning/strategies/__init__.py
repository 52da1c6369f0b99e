"""Ways to choose what to label next, a file each."""

from __future__ import annotations

from collections.abc import Mapping

from heart2heart.active_learning.strategies.base import RANDOM, QueryStrategy
from heart2heart.active_learning.strategies.base_selection import BASE_SELECTION
from heart2heart.active_learning.strategies.coverage import CORE_SET, TYPICLUST
from heart2heart.active_learning.strategies.disagreement import ST_CONAL, TOD
from heart2heart.active_learning.strategies.gradients import BADGE, GRADIENT_NORM
from heart2heart.active_learning.strategies.poal import POAL
from heart2heart.active_learning.strategies.similar import SIMILAR
from heart2heart.active_learning.strategies.uncertainty import BALD, ENTROPY, LEAST_CONFIDENCE, MARGIN
from heart2heart.active_learning.strategies.vaal import VAAL
from heart2heart.errors import UnknownNameError

STRATEGIES: Mapping[str, QueryStrategy] = {
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
