"""Collects metrics on the device between readings, and writes them as JSON lines."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from heart2heart.errors import DivergedError, NoSpaceError
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.utils import make_private_file, write_text

MetricsRow = dict[str, float]
DrawnIndices = Mapping[str, Tensor]
"""Positions of a batch's frames, by pool."""


def divergence_error(step: int, drawn: DrawnIndices) -> DivergedError:
    """Return the error of a step, counted from 1, whose loss is not finite."""
    remedy = "The last checkpoint is from before; lower optimiser.lr or unlabeled_weight.value and train anew"
    return DivergedError(f"the loss of step {step} is not finite", remedy=remedy)


class Meter:
    """Collects the scalars of every step; the host waits for the device only when they are read.

    Args:
        on_nonfinite: Makes the error of a step whose loss is not finite.
    """

    def __init__(self, on_nonfinite: Callable[[int, DrawnIndices], DivergedError] = divergence_error) -> None:
        self._on_nonfinite = on_nonfinite
        self._batches: list[DrawnIndices] = []
        self._seen: dict[str, list[tuple[int, Tensor]]] = {}

    def add(self, metrics: Mapping[str, Tensor], drawn: DrawnIndices | None = None) -> None:
        """Add one step's scalars and its batch; stages of an algorithm may have different scalars."""
        for name, value in metrics.items():
            self._seen.setdefault(name, []).append((len(self._batches), value.detach().float()))
        self._batches.append(drawn or {})

    def read(self, done: int, group: ProcessGroup = SINGLE) -> MetricsRow:
        """Return the means since the last reading, each over the steps that have the scalar, and clear them.

        Args:
            done: Number of steps done.
            group: Processes that hold the other rows of each batch; the means are over all of them.

        Raises:
            DivergedError: a loss is not finite; the error names the first such step.
        """
        seen, batches = self._seen, self._batches
        self._seen, self._batches = {}, []
        flat = torch.stack([value for values in seen.values() for _, value in values])
        flat = group.mean(flat).cpu().double()
        parts = torch.split(flat, [len(values) for values in seen.values()])
        rows = dict(zip(seen, parts, strict=True))
        bad = [
            position
            for name, values in seen.items()
            for (position, _), finite in zip(values, rows[name].isfinite().tolist(), strict=True)
            if name.startswith("loss") and not finite
        ]
        if bad:
            raise self._on_nonfinite(done - len(batches) + min(bad) + 1, batches[min(bad)])
        return {name: float(row.mean()) for name, row in rows.items()}


class MetricsLog:
    """`metrics.jsonl`: one line for each reading or validation.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, line: Mapping[str, float]) -> None:
        """Append one line.

        Raises:
            NoSpaceError: the disk is full; an incomplete line is dropped when the run is resumed.
        """
        assert all(math.isfinite(value) for value in line.values())
        try:
            if not self.path.exists():
                make_private_file(self.path)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps({"step": step, **line}) + "\n")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            remedy = "Free some space and run the same command again"
            raise NoSpaceError("no space left on the disk", where=self.path, remedy=remedy) from error

    def truncate(self, step: int) -> None:
        """Drop the lines after `step`, and an incomplete last line."""
        kept = [line for line in self.read() if line["step"] <= step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def read(self) -> list[MetricsRow]:
        """Return all complete lines."""
        if not self.path.exists():
            return []
        # Only the last line can be incomplete: it lacks its newline.
        whole, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]
