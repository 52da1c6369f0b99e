"""Ways to choose what to label next, a file each."""

from __future__ import annotations

from collections.abc import Mapping

from heart2heart.curate.queue.methods import (
    badge,
    bald,
    base_selection,
    core_set,
    gradient_norm,
    poal,
    random,
    similar,
    st_conal,
    tod,
    typiclust,
    uncertainty,
    vaal,
)
from heart2heart.curate.queue.methods.base import Method
from heart2heart.errors import UnknownNameError

METHODS: Mapping[str, Method] = {
    "random": random.METHOD,
    "entropy": uncertainty.ENTROPY,
    "margin": uncertainty.MARGIN,
    "least_confidence": uncertainty.LEAST_CONFIDENCE,
    "bald": bald.METHOD,
    "badge": badge.METHOD,
    "core_set": core_set.METHOD,
    "typiclust": typiclust.METHOD,
    "base": base_selection.METHOD,
    "similar": similar.METHOD,
    "tod": tod.METHOD,
    "st_conal": st_conal.METHOD,
    "gradient_norm": gradient_norm.METHOD,
    "poal": poal.METHOD,
    "vaal": vaal.METHOD,
}
"""Every method by the name that `--by` takes."""


def get_method(name: str) -> Method:
    """Return a method by its name.

    Raises:
        UnknownNameError: there is none; the message lists all.
    """
    if name not in METHODS:
        raise UnknownNameError.among("method of the queue", name, list(METHODS))
    return METHODS[name]


__all__ = ["METHODS", "Method", "get_method"]
