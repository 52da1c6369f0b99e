"""How often the clips of a label book are read: a share of them by two raters, chosen once and kept in the book."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from heart2heart.curate.reading import readings_wanted
from heart2heart.errors import ConfigError

SHARE = 0.2
"""Of the clips, read by two raters, where nothing else is said."""
_SEEDS = 2**32


@dataclass(frozen=True)
class Plan:
    """Which clips two raters read.

    Attributes:
        share: Of the clips, 0 to 1.
        seed: Chooses them; who knows it can tell which they are.
    """

    share: float
    seed: int

    def wanted(self, clip: str) -> int:
        """Return 2 for a clip that is read twice, else 1."""
        return readings_wanted(clip, self.share, self.seed)


def settled(kept: Plan | None, share: float | None, seed: int | None, *, change: bool) -> Plan:
    """Return the plan to go by.

    Args:
        kept: What the book holds; None when nothing was chosen yet.
        share: Asked for; None takes what is kept, or `SHARE`.
        seed: Asked for; None takes what is kept, or draws one, so that no rater can work out the choice.
        change: Whether another plan than the kept one is wanted.

    Raises:
        ConfigError: the book holds another plan, and no change is wanted.
    """
    if kept is None:
        return Plan(SHARE if share is None else share, secrets.randbelow(_SEEDS) if seed is None else seed)
    asked = Plan(kept.share if share is None else share, kept.seed if seed is None else seed)
    if asked != kept and not change:
        remedy = "Leave out --double and --seed, or choose other clips from now on with --replan"
        raise ConfigError(
            f"this label book has {kept.share:g} of its clips read twice (seed {kept.seed})", remedy=remedy
        )
    return asked
