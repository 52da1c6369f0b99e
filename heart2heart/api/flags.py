"""What the flags rule does to the clips of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heart2heart.schema.flags_rule import FlagsRule
    from heart2heart.store.clip_uses import FlagCount


@dataclass(frozen=True)
class FlagCounts:
    """Clips of a store by flag and use.

    Attributes:
        rule: The flags rule.
        queries: Query of `heart2heart store sql` by use: the clips that the rule lets through.
        counts: Clips by flag; the first entry counts all clips.
        withheld: Clips that the text review keeps from the label page.
        excluded: Clips that it keeps from every use.
    """

    rule: FlagsRule
    queries: Mapping[str, str]
    counts: tuple[FlagCount, ...]
    withheld: int
    excluded: int


def count_flags(store: str | Path, *, rule: str | Path | FlagsRule = "usual") -> FlagCounts:
    """Count the clips of a store by flag that reach the label page, the pool, training and evaluation.

    Args:
        store: The frame store.
        rule: Flags rule, by packaged name or file.

    Raises:
        MissingInputError: no store there, or no such rule.
        ConfigError: the file is no flags rule.

    Examples:
        >>> from heart2heart.api import count_flags
        >>> counted = count_flags("store")
        >>> counted.counts[0].flag, counted.counts[0].clips
        ('any clip', 50)
    """
    from heart2heart.schema.flags_rule import ClipUse, read_flags_rule
    from heart2heart.store.clip_uses import count_uses
    from heart2heart.store.frame_store import FrameStore

    parsed, opened = read_flags_rule(rule), FrameStore.open(store)
    review = opened.text_review
    return FlagCounts(
        parsed,
        {use.value: parsed.query(use) for use in ClipUse},
        tuple(count_uses(opened.all_clips, review, parsed)),
        len(review.withheld),
        len(review.excluded),
    )
