"""One progress bar a stage: a live bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a long job reports to; the library never prints by itself."""

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units are finished in all; `note` is shown behind the bar."""


class Silent:
    """Reports to nobody; the default of every library call."""

    def update(self, done: int, note: str = "") -> None:
        """Do nothing."""


class Part:
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


class _Lines:
    """A line at most every `every` seconds, for logs and pipes."""

    def __init__(self, title: str, total: int, every: float = 10.0) -> None:
        self.title, self.total, self.every = title, total, every
        self.start = self.last = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self.last >= self.every:
            self.last = now
            share = 100 * done / max(self.total, 1)
            elapsed = now - self.start
            print(f"  {self.title}: {share:3.0f}% in {elapsed:.0f} s  {note}", file=sys.stderr, flush=True)


@contextmanager
def stage(title: str, total: int) -> Iterator[Progress]:
    """Show the progress of one stage on standard error.

    Args:
        title: Name of the stage.
        total: Number of units that make it whole.

    Yields:
        The object to report to.
    """
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total, note="")

        class _Bar:
            def update(self, done: int, note: str = "") -> None:
                bars.update(task, completed=done, note=note)

        yield _Bar()
