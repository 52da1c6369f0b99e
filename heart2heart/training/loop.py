"""The loop of steps that `train` and `pretrain` share: it logs, evaluates and saves when each is due."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from heart2heart.errors import DivergedError
from heart2heart.progress import Progress
from heart2heart.training import checkpoint
from heart2heart.training.config import TrackerName
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.metrics import DrawnIndices, Meter, MetricsLog, MetricsRow
from heart2heart.training.trackers import TrackedRun, open_trackers

BatchIn = TypeVar("BatchIn", contravariant=True)
BatchOut = TypeVar("BatchOut", covariant=True)
Batch = TypeVar("Batch")


class TakesSteps(Protocol[BatchIn]):
    """Takes one step of a training."""

    group: ProcessGroup

    def step(self, batch: BatchIn, step_index: int) -> dict[str, Tensor]:
        """Take a step and return its scalars, on the device."""

    def weights_are_finite(self) -> bool:
        """Return whether all weights are finite."""


class GivesBatches(Protocol[BatchOut]):
    """Gives the batch of each step."""

    drawn: dict[str, Tensor]

    @property
    def size(self) -> int:
        """Number of frames of a batch."""

    def next(self, step_index: int) -> BatchOut:
        """Return the batch of a step."""


class LoopState(Protocol):
    """Progress of a run."""

    step: int
    seconds: float


class LoopEvents(Protocol):
    """What differs between the trainings that share the loop."""

    def has_ended(self) -> bool:
        """Return whether the training ends before its last step."""

    def evaluates(self, done: int) -> bool:
        """Return whether the weights are evaluated after `done` steps."""

    def evaluate(self, done: int) -> MetricsRow:
        """Evaluate the weights, and return columns for `metrics.jsonl`."""

    def collect(self) -> dict[str, Any]:
        """Return the content of a checkpoint; every process calls this."""

    def note(self, row: MetricsRow) -> str:
        """Return a line of metrics in words, for the progress."""

    def nonfinite_error(self, step: int, drawn: DrawnIndices) -> DivergedError:
        """Return the error of a step, counted from 1, whose loss is not finite."""


class LoopDirectory(TrackedRun, Protocol):
    """The folder of a run."""

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint that a stopped run is resumed from."""

    @property
    def metrics(self) -> MetricsLog:
        """The log of metrics."""


@dataclass(frozen=True)
class LoopPlan:
    """When the loop does what.

    Attributes:
        until: Step to stop at.
        checkpoint_every: Steps between checkpoints; one is kept at `until` as well.
        log_every: Steps between lines of metrics.
        trackers: Who is told the metrics beside `metrics.jsonl`.
    """

    until: int
    checkpoint_every: int
    log_every: int
    trackers: tuple[TrackerName, ...] = ()


def run_steps(
    plan: LoopPlan,
    trainer: TakesSteps[Batch],
    loader: GivesBatches[Batch],
    state: LoopState,
    events: LoopEvents,
    directory: LoopDirectory,
    progress: Progress,
) -> None:
    """Take the steps up to `plan.until`; evaluate, log and save a checkpoint when each is due.

    Args:
        plan: When it does what.
        trainer: Takes the steps.
        loader: Gives the batches.
        state: Progress, changed in place.
        events: What differs between trainings.
        directory: Folder of the run.
        progress: Receives the number of steps done.

    Raises:
        DivergedError: a loss or a weight is not finite; the last good checkpoint is kept.
    """
    group, meter = trainer.group, Meter(events.nonfinite_error)
    last_time, last_step = time.monotonic(), state.step
    with open_trackers(plan.trackers if group.is_main else (), directory, state.step) as trackers:
        while state.step < plan.until and not events.has_ended():
            metrics = trainer.step(loader.next(state.step), state.step)
            meter.add(metrics, loader.drawn)
            state.step += 1
            done = state.step
            evaluating = events.evaluates(done)
            saving = done == plan.until or done % plan.checkpoint_every == 0
            if not (evaluating or saving or done % plan.log_every == 0):
                continue  # the host does not wait for the device

            row = meter.read(done, group)
            if not trainer.weights_are_finite():
                remedy = "The last checkpoint is from before; lower optimiser.lr and train anew"
                where = directory.path
                raise DivergedError(f"the weights after step {done} are not finite", where=where, remedy=remedy)
            now = time.monotonic()
            state.seconds += now - last_time
            row["images_per_second"] = (done - last_step) * loader.size / max(now - last_time, 1e-9)
            if evaluating:
                row |= events.evaluate(done)
                state.seconds += time.monotonic() - now
            # Every process takes part in the collection.
            content = events.collect() if saving or events.has_ended() else None
            if group.is_main:
                directory.metrics.append(done, row)
                for tracker in trackers:
                    tracker.log(done, row)
                if content is not None:
                    checkpoint.save(directory.last_checkpoint, content)
                progress.update(done, events.note(row))
            last_time, last_step = time.monotonic(), done
