"""How many raters read a clip, how far its reading is, and the double-reading plan that the label store keeps."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heart2heart.errors import ConfigError
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer

_HASH_RANGE = 2**32


def readings_wanted(clip: str, share: float, seed: int = 0) -> int:
    """Return 2 for the clips that are read twice, else 1.

    The choice follows from clip and seed alone, so it survives a restart; those chosen for a share are also chosen for
    any larger one.

    Args:
        clip: Pseudonym of the clip.
        share: Of the clips to be read twice, 0 to 1.
        seed: Chooses other clips.
    """
    digest = hashlib.sha256(f"{seed}\x1f{clip}".encode()).digest()
    return 2 if int.from_bytes(digest[:4], "big") < share * _HASH_RANGE else 1


@dataclass(frozen=True)
class ClipReadings:
    """What is said of a whole clip; labels of single frames are not part of it.

    Attributes:
        version: Number of events about the clip, of any kind.
        readings: Last word of each rater: a view, `unusable` or `unsure`.
        adjudication: The adjudicator's last word, or None.
    """

    version: int
    readings: Mapping[str, str]
    adjudication: str | None

    @classmethod
    def from_events(cls, events: Iterable[LabelEvent]) -> ClipReadings:
        """Sum up the events of one clip, in their order."""
        events = list(events)
        readings: dict[str, str] = {}
        ruling = None
        for event in active_events(event for event in events if not event.frame):
            if event.kind == EventKind.ADJUDICATION:
                ruling = event.value
            else:
                readings[event.rater] = event.value
        return cls(len(events), readings, ruling)

    def status(self, wanted: int) -> str:
        """Return `unread`, `half` (readers are missing), `disagreement`, `agreed` or `adjudicated`.

        A disagreement is more than one word about the clip, or a clip of which its readers are unsure.
        """
        if self.adjudication is not None:
            return "adjudicated"
        values = set(self.readings.values())
        if len(values) > 1:
            return "disagreement"
        if len(self.readings) < wanted:
            return "half" if self.readings else "unread"
        return "disagreement" if LabelAnswer.UNSURE in values else "agreed"


DEFAULT_SHARE = 0.2
"""Of the clips, read by two raters, where nothing else is said."""
_SEED_RANGE = 2**32


@dataclass(frozen=True)
class DoubleReadingPlan:
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


def resolve_plan(
    stored: DoubleReadingPlan | None, share: float | None, seed: int | None, *, change: bool
) -> DoubleReadingPlan:
    """Return the plan to go by.

    Args:
        kept: What the book holds; None when nothing was chosen yet.
        share: Asked for; None takes what is kept, or `SHARE`.
        seed: Asked for; None takes what is kept, or draws one, so that no rater can work out the choice.
        change: Whether another plan than the kept one is wanted.

    Raises:
        ConfigError: the book holds another plan, and no change is wanted.
    """
    if stored is None:
        return DoubleReadingPlan(
            DEFAULT_SHARE if share is None else share, secrets.randbelow(_SEED_RANGE) if seed is None else seed
        )
    requested = DoubleReadingPlan(stored.share if share is None else share, stored.seed if seed is None else seed)
    if requested != stored and not change:
        remedy = "Leave out --double and --seed, or choose other clips from now on with --replan"
        raise ConfigError(
            f"this label book has {stored.share:g} of its clips read twice (seed {stored.seed})", remedy=remedy
        )
    return requested
