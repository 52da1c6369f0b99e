"""Helpers that stop a training run and compare its checkpoints."""

from __future__ import annotations

from typing import Any

import torch


class Notes:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, str]] = []

    def update(self, done: int, note: str = "") -> None:
        self.notes.append((done, note))


class StoppedError(Exception):
    """Stands for whatever ends a process."""


class StopAt(Notes):
    """Ends the run when it reports a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, done: int, note: str = "") -> None:
        if done >= self.step:
            raise StoppedError


def same(one: Any, other: Any) -> bool:
    """Compare nested states bit by bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one if key != "seconds")
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)
