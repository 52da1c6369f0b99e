"""Starts a fuzzer again that ends by a fault of its own: without an input, the readers are not what failed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOST_CRASHES = 3
"""Ends without an input, one after the other, that are an error."""


@dataclass(frozen=True)
class FuzzerEnd:
    """How the fuzzing of one target ended.

    Attributes:
        code: Exit code of the last process; negative: a signal.
        found: Files of the inputs that broke the target.
    """

    code: int
    found: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether there is a finding, or no process came to its end."""
        return self.code != 0 or bool(self.found)

    def verdict(self, log: Path) -> str:
        """Return the result in one line."""
        if not self.failed:
            return "no finding"
        if self.found:
            return f"FINDINGS ({exit_name(self.code)}), see {log}: {' '.join(self.found)}"
        return f"ERROR: {MOST_CRASHES} times {exit_name(self.code)} without an input, see {log}"


def supervise(
    start: Callable[[int, int], int], list_inputs: Callable[[], set[str]], seconds: int, target: str
) -> FuzzerEnd:
    """Run a fuzzer to its end, again if it ends early without an input, at most three times in a row.

    Args:
        start: Runs the fuzzer for some seconds, after a number of crashes, and returns its exit code.
        list_inputs: Returns the names of the inputs that broke the target so far.
        seconds: Time in all.
        target: Name of the target, for the message.
    """
    before, crashes, started = list_inputs(), 0, time.monotonic()
    while True:
        left = max(1, seconds - int(time.monotonic() - started))
        code = start(left if crashes else seconds, crashes)
        new = tuple(sorted(list_inputs() - before))
        crashes += 1
        if code == 0 or new or crashes == MOST_CRASHES:
            return FuzzerEnd(code, new)
        print(f"{target}: the fuzzer ended by {exit_name(code)} without an input; started again", flush=True)


def exit_name(code: int) -> str:
    """Return e.g. `exit code 77` or `signal SIGSEGV`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
