"""Helpers that train on a tiny store, stop a run, and compare checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.train import train


class Notes:
    """Progress that records the reports of a run."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, str]] = []

    def update(self, done: int, note: str = "") -> None:
        """See `heart2heart.progress.Progress`."""
        self.notes.append((done, note))


class StoppedError(Exception):
    """Ends a run, as a signal would."""


class StopAt(Notes):
    """Progress that ends the run when it reports a step.

    Args:
        step: The step.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, done: int, note: str = "") -> None:
        """End the run at the step, or later.

        Raises:
            StoppedError: the step is reached.
        """
        if done >= self.step:
            raise StoppedError


def same(one: Any, other: Any) -> bool:
    """Return whether two nested states are bitwise equal; `seconds` may differ."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one if key != "seconds")
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def train_score(store: TinyStore, out: Path, method: dict[str, Any], **changes: Any) -> float:
    """Train on a tiny store and return the last balanced accuracy on validation frames; chance is 0.25.

    Args:
        store: The store and its split.
        out: Folder of the run.
        method: The section `method` of the configuration.
        **changes: Other sections.
    """
    settings = {"steps": 40, "evaluate_every": 40, "log_every": 20, "batch": {"labeled": 16, "unlabeled": 16}}
    run = train(store.config(method=method, **settings | changes), out)
    return float(run.info().history[-1]["validation_balanced_accuracy"])


def check_resumes(store: TinyStore, out: Path, **settings: Any) -> None:
    """Assert that a run that was stopped and resumed ends bitwise equal to one that was not, memory included.

    Args:
        store: The store and its split.
        out: Folder for the two runs.
        **settings: Sections of the configuration.
    """
    config = store.config(**settings)
    whole = train(config, out / "whole")
    try:
        train(config, out / "stopped", progress=StopAt(10))
    except StoppedError:
        pass
    else:
        raise AssertionError("the run ended before it could be stopped: give it 10 steps or more")
    resumed = train(config, out / "stopped")
    ends = [checkpoint.load(run.path / "checkpoints" / "last.pt") for run in (whole, resumed)]
    assert same(*ends), (
        "a resumed run ends in other bits: keep what is remembered in the memory, and draw from step.generator"
    )
