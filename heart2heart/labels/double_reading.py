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


def required_readings(clip: str, share: float, seed: int = 0) -> int:
    """Return the number of raters who read a clip: 2 for the clips that are read twice, else 1.

    The result depends on clip, share and seed alone, so it survives a restart. Clips chosen at one share are also
    chosen at any larger share.

    Args:
        clip: Pseudonym of the clip.
        share: Share of the clips that are read twice, 0 to 1.
        seed: Seed of the choice.
    """
    digest = hashlib.sha256(f"{seed}\x1f{clip}".encode()).digest()
    return 2 if int.from_bytes(digest[:4], "big") < share * _HASH_RANGE else 1


@dataclass(frozen=True)
class ClipReadings:
    """The active readings of a whole clip; labels of single frames are left out.

    Attributes:
        version: Number of events of the clip, of any kind.
        readings: Last reading of each rater: a view, `unusable` or `unsure`.
        adjudication: The adjudicator's last decision, or None.
    """

    version: int
    readings: Mapping[str, str]
    adjudication: str | None

    @classmethod
    def from_events(cls, events: Iterable[LabelEvent]) -> ClipReadings:
        """Summarise the events of one clip, given in their order."""
        events = list(events)
        readings: dict[str, str] = {}
        adjudication = None
        for event in active_events(event for event in events if not event.frame):
            if event.kind == EventKind.ADJUDICATION:
                adjudication = event.value
            else:
                readings[event.rater] = event.value
        return cls(len(events), readings, adjudication)

    def status(self, required: int) -> str:
        """Return `unread`, `half` (readings are missing), `disagreement`, `agreed` or `adjudicated`.

        A clip is in disagreement when its readings differ, or when its readers are unsure.

        Args:
            required: Number of raters who are to read the clip.
        """
        if self.adjudication is not None:
            return "adjudicated"
        values = set(self.readings.values())
        if len(values) > 1:
            return "disagreement"
        if len(self.readings) < required:
            return "half" if self.readings else "unread"
        return "disagreement" if LabelAnswer.UNSURE in values else "agreed"


DEFAULT_SHARE = 0.2
"""Default share of the clips that two raters read."""
_SEED_RANGE = 2**32


@dataclass(frozen=True)
class DoubleReadingPlan:
    """The choice of the clips that two raters read.

    Attributes:
        share: Share of the clips, 0 to 1.
        seed: Seed of the choice; a rater who knows it can compute the choice.
    """

    share: float
    seed: int

    def required_readings(self, clip: str) -> int:
        """Return the number of raters who read a clip: 2 for a clip that is read twice, else 1."""
        return required_readings(clip, self.share, self.seed)


def resolve_plan(
    stored: DoubleReadingPlan | None, share: float | None, seed: int | None, *, change: bool
) -> DoubleReadingPlan:
    """Return the plan to use.

    Args:
        stored: The plan in the label store; None when there is none yet.
        share: Requested share; None takes the stored share, or `DEFAULT_SHARE`.
        seed: Requested seed; None takes the stored seed, or draws one, so that no rater can compute the choice.
        change: Whether the stored plan may change.

    Raises:
        ConfigError: the label store holds another plan, and no change is requested.
    """
    if stored is None:
        return DoubleReadingPlan(
            DEFAULT_SHARE if share is None else share, secrets.randbelow(_SEED_RANGE) if seed is None else seed
        )
    requested = DoubleReadingPlan(stored.share if share is None else share, stored.seed if seed is None else seed)
    if requested != stored and not change:
        remedy = "Leave out --double and --seed, or choose other clips from now on with --replan"
        raise ConfigError(
            f"this label store has {stored.share:g} of its clips read twice (seed {stored.seed})", remedy=remedy
        )
    return requested
