"""Tables of the lines of `pool_signals`.

Frames: the area under the curve x 100 of right against wrong pseudo-labels in a pool of seen classes, and of seen
against foreign classes in a pool of both. Batches: mean and deviation of the cosine at level 0 and 100, how often it is
negative, and over how many batches its mean tells the two levels apart by three standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Line = Mapping[str, Any]


def signal_tables(lines: Sequence[Line]) -> str:
    """Return both tables as Markdown; several seeds are averaged."""
    return "\n".join([*_frame_table(lines), "", *_batch_table(lines)])


def _checkpoints(lines: Sequence[Line]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((line["task"], line["step"]) for line in lines))


def _of(lines: Sequence[Line], checkpoint: tuple[str, int], level: int) -> list[Line]:
    return [line for line in lines if (line["task"], line["step"], line["level"]) == (*checkpoint, level)]


def _frame_table(lines: Sequence[Line]) -> list[str]:
    heads = [f"{task}, {step}: {kind}" for task, step in _checkpoints(lines) for kind in ("right", "seen")]
    out = [f"| signal | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in lines[0]["frames"]["areas"]:
        cells = []
        for checkpoint in _checkpoints(lines):
            for kind, level in (("right", 0), ("seen", 50)):
                values = [line["frames"]["areas"][name][kind] for line in _of(lines, checkpoint, level)]
                cells.append(f"{100 * float(np.mean(values)):.0f}" if values and None not in values else "")
        out.append(f"| {name} | {' | '.join(cells)} |")
    return out


def batches_needed(good: Sequence[float], foreign: Sequence[float]) -> float:
    """Return over how many batches the means of a signal differ by three standard errors.

    Args:
        good: Signal of batches of a pool of seen classes.
        foreign: Signal of batches of a foreign pool.

    Returns:
        Infinite if the means are equal.

    Examples:
        >>> batches_needed([1.0, 3.0], [-1.0, 1.0])
        9.0
    """
    gap = float(np.mean(good) - np.mean(foreign))
    spread = float(np.var(good, ddof=1) + np.var(foreign, ddof=1))
    return 9 * spread / gap**2 if gap else float("inf")


def _batch_table(lines: Sequence[Line]) -> list[str]:
    heads = ("task", "step", "reference", "level 0", "level 100", "negative at 0", "at 100", "batches to tell")
    out = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for checkpoint in _checkpoints(lines):
        good, foreign = (_of(lines, checkpoint, level) for level in (0, 100))
        for name in good[0]["batches"] if good and foreign else ():
            values = [[value for line in own for value in line["batches"][name]] for own in (good, foreign)]
            cells = [f"{np.mean(each):.2f} (SD {np.std(each, ddof=1):.2f})" for each in values]
            cells += [f"{100 * np.mean(np.array(each) < 0):.0f} %" for each in values]
            order = "" if np.mean(values[0]) > np.mean(values[1]) else ", in the wrong direction"
            cells.append(f"{batches_needed(*values):.0f}{order}")
            out.append(f"| {checkpoint[0]} | {checkpoint[1]} | {name} | {' | '.join(cells)} |")
    return out
