"""Progress of each stage on standard error: a live bar on a terminal, otherwise a line from time to time.

The command line's `--quiet` and `--verbose` set how much is written; results and errors are always written.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import IntEnum
from typing import Protocol

_FIRST_INTERVAL_S = 10.0  # between two lines of a log at first
_LAST_INTERVAL_S = 600.0  # between two lines of a log at last


class Verbosity(IntEnum):
    """Amount of output on standard error besides errors."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_verbosity = Verbosity.NORMAL


def set_verbosity(level: Verbosity) -> None:
    """Set the output of this process: nothing, the progress of each stage, or details as well."""
    global _verbosity
    _verbosity = level


def detail(text: str) -> None:
    """Write one line to standard error if the user asked for details.

    Args:
        text: What is being done. It must hold no identity and no path of a patient's file.
    """
    if _verbosity is Verbosity.VERBOSE:
        print(text, file=sys.stderr, flush=True)


class Progress(Protocol):
    """Receives the progress of a long job; the library itself never prints."""

    def update(self, done: int, note: str = "") -> None:
        """Report that `done` units are finished in total; `note` is shown with the bar."""


class NoProgress:
    """Ignores all reports; the default of every library call."""

    def update(self, done: int, note: str = "") -> None:
        """Do nothing."""


Stage = Callable[[str, int], AbstractContextManager[Progress]]
"""Opens the progress of one stage from its title and number of units, as `progress_bar` does."""


def silent_stage(title: str, total: int) -> AbstractContextManager[Progress]:
    """Open a stage without output; the default of every library call."""
    del title, total
    return nullcontext(NoProgress())


class SubProgress:
    """Reports one part of a larger job to the larger job's progress.

    Args:
        whole: Progress of the larger job.
        start: Where this part begins, in the larger job's units.
        span: How many of the larger job's units this part takes.
        total: Units of this part.
    """

    def __init__(self, whole: Progress, *, start: float, span: float, total: int) -> None:
        self.whole, self.start, self.span, self.total = whole, start, span, total

    def update(self, done: int, note: str = "") -> None:
        """Report `done` of this part's units as the larger job's."""
        self.whole.update(int(self.start + self.span * done / max(self.total, 1)), note)


class _LogLines:
    """Prints a line every ten seconds, later every ten minutes, for logs and pipes: about a hundred lines a night."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.start = self.last = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self.last >= min(max(_FIRST_INTERVAL_S, (now - self.start) / 20), _LAST_INTERVAL_S):
            self.last = now
            share = 100 * done / max(self.total, 1)
            elapsed = now - self.start
            line = f"  {self.title}: {share:3.0f}% in {elapsed:.0f} s  {note}"
            print(line.rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress_bar(title: str, total: int, *, timed: bool = True) -> Iterator[Progress]:
    """Show the progress of one stage on standard error.

    Args:
        title: Name of the stage.
        total: Number of units that make it whole.
        timed: Whether the bar tells the time left; a job whose notes tell it better needs it but once.

    Yields:
        The object to report to.
    """
    if _verbosity is Verbosity.QUIET:
        yield NoProgress()
        return
    detail(f"begin: {title} ({total} units)")
    start = time.monotonic()
    with _bars(title, total, timed) if sys.stderr.isatty() else nullcontext(_LogLines(title, total)) as progress:
        yield progress
    detail(f"end: {title}, {time.monotonic() - start:.1f} s")


@contextmanager
def _bars(title: str, total: int, timed: bool) -> Iterator[Progress]:
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    columns = (TextColumn("{task.description:<28}"), BarColumn(bar_width=28), MofNCompleteColumn())
    clock = (TimeRemainingColumn(),) if timed else ()

    class _Noted(Bars):
        """A bar with its note on the line below, since both do not fit into 80 columns."""

        note = ""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if self.note:
                yield Text(f"  {self.note}", style="dim", no_wrap=True, overflow="ellipsis")

    with _Noted(*columns, *clock, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total)

        class _Bar:
            def update(self, done: int, note: str = "") -> None:
                bars.note = note
                bars.update(task, completed=done)

        yield _Bar()
