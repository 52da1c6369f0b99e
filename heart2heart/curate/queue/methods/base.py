"""What a method is: a line for the reader, a paper, what it needs to know, and how it picks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.shortlist import Shortlist

Picker = Callable[[Pool, Shortlist, np.random.Generator], None]
"""Gives picks to the shortlist until it is full."""


@dataclass(frozen=True)
class Method:
    """One way to choose.

    Attributes:
        about: What it picks, one line.
        paper: Where it was published.
        needs: Names of `pool.TABLES`.
        pick: How it picks.
        labels: Whether it needs clips that are labeled with a class.
    """

    about: str
    paper: str
    needs: frozenset[str]
    pick: Picker
    labels: bool = False
