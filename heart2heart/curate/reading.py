"""How far the reading of a clip is: who is still to read it, and whether its readers disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heart2heart.curate.events import LabelEvent, standing

_STEPS = 2**32


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
    return 2 if int.from_bytes(digest[:4], "big") < share * _STEPS else 1


@dataclass(frozen=True)
class ClipState:
    """What is said of a whole clip; labels of single frames are not part of it.

    Attributes:
        version: Number of events about the clip, of any kind.
        readings: Last word of each rater: a view, `unusable` or `unsure`.
        ruling: The adjudicator's last word, or None.
    """

    version: int
    readings: Mapping[str, str]
    ruling: str | None

    @classmethod
    def of(cls, events: Iterable[LabelEvent]) -> ClipState:
        """Sum up the events of one clip, in their order."""
        events = list(events)
        readings: dict[str, str] = {}
        ruling = None
        for event in standing(event for event in events if not event.frame):
            if event.kind == "adjudication":
                ruling = event.said
            else:
                readings[event.rater] = event.said
        return cls(len(events), readings, ruling)

    def status(self, wanted: int) -> str:
        """Return `unread`, `half` (readers are missing), `disagreement`, `agreed` or `adjudicated`.

        A disagreement is more than one word about the clip, or a clip of which its readers are unsure.
        """
        if self.ruling is not None:
            return "adjudicated"
        words = set(self.readings.values())
        if len(words) > 1:
            return "disagreement"
        if len(self.readings) < wanted:
            return "half" if self.readings else "unread"
        return "disagreement" if "unsure" in words else "agreed"
