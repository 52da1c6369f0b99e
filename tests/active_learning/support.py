"""Selections by name from pools of clips."""

from __future__ import annotations

from typing import Any

from heart2heart.active_learning.budgeted_selection import SelectedClip
from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.strategies import STRATEGIES, get_strategy
from heart2heart.testing.data_checks import select_clips

NAMES = list(STRATEGIES)


def picked(by: str, pool: ClipPool, budget: int, *, seed: int = 0, **limits: Any) -> list[SelectedClip]:
    return select_clips(get_strategy(by), pool, budget, seed=seed, **limits)


def places(picks: list[SelectedClip]) -> list[int]:
    return [pick.index for pick in picks]
