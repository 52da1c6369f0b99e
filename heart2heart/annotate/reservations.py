"""Reserves a clip for the rater to whom it is shown, for some minutes."""

from __future__ import annotations

import time
from threading import Lock

RESERVATION_S = 600.0
"""Time for which a clip that is shown to one rater is not assigned to others, seconds."""


class Reservations:
    """The clips that are on the screens of raters."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def take(self, clip: str, rater: str) -> bool:
        """Reserve a clip for a rater, and return whether no other rater holds it."""
        now = time.monotonic()
        with self._lock:
            holder, until = self._holders.get(clip, (rater, now))
            if holder != rater and until > now:
                return False
            self._holders[clip] = (rater, now + RESERVATION_S)
            return True
