"""How fast an ingest goes and when it will be done, in one short line for a progress display."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping

_WINDOW_S = 60.0  # over which the rates are taken: long studies and empty folders alternate
_STEP_S = 1.0  # between two remembered points


class RateMeter:
    """Counts from its making on.

    Args:
        total: Files that are to be done in this run.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._points = deque([(time.monotonic(), 0, 0)])

    def update(self, done: int, frames: int, codes: Mapping[str, int]) -> str:
        """Return e.g. `12.5 files/s, 840 frames/s; accepted 30, excluded 2; 0:42 left`.

        The rates are those of the last minute, and so is the time left.

        Args:
            done: Files finished in this run.
            frames: Frames that came of them.
            codes: Finished files by status code.
        """
        now = time.monotonic()
        while len(self._points) > 1 and self._points[1][0] <= now - _WINDOW_S:
            self._points.popleft()
        since, done_then, frames_then = self._points[0]
        elapsed = max(now - since, 1e-3)
        if now - self._points[-1][0] >= _STEP_S:
            self._points.append((now, done, frames))
        rate = (done - done_then) / elapsed
        kinds: Counter[str] = Counter()
        for code, number in codes.items():
            kinds[code.partition(":")[0]] += number
        ends = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        left = _clock(round((self._total - done) / rate)) if rate > 0 else "unknown time"
        speed = f"{rate:.1f} files/s, {(frames - frames_then) / elapsed:.0f} frames/s"
        return "; ".join(part for part in (speed, ends, f"{left} left") if part)


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
