"""How fast an ingest goes and when it will be done, in one short line for a progress display."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping


class Pace:
    """Counts from its making on.

    Args:
        total: Files that are to be done in this run.
    """

    def __init__(self, total: int) -> None:
        self._total, self._start = total, time.monotonic()

    def note(self, done: int, frames: int, codes: Mapping[str, int]) -> str:
        """Return e.g. `12.5 files/s, 840 frames/s; accepted 30, excluded 2; 0:42 left`.

        Args:
            done: Files finished in this run.
            frames: Frames that came of them.
            codes: Finished files by status code.
        """
        elapsed = max(time.monotonic() - self._start, 1e-3)
        kinds: Counter[str] = Counter()
        for code, number in codes.items():
            kinds[code.partition(":")[0]] += number
        ends = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        left = round((self._total - done) * elapsed / max(done, 1))
        minutes, seconds = divmod(left, 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        return f"{done / elapsed:.1f} files/s, {frames / elapsed:.0f} frames/s; {ends}; {clock} left"
