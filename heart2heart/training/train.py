"""The training loop: `train` builds a run, resumes it if it was stopped, and takes its steps.

One step is read in four files: the loop (`loop.run_steps`), `train_step.Trainer.step`, the algorithm that computes the
two losses (`algorithms/NAME.py`), and the rule that combines their gradients (`gradient_rules/NAME.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heart2heart.errors import DivergedError, RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training import checkpoint
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.checkpoint import TrainState, collect_state, restore_state
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import TrainData, sampling_rates
from heart2heart.training.distributed import ProcessGroup, choose_device, join_process_group
from heart2heart.training.initial_network import InitialNetwork, build_initial_network, pin_weights
from heart2heart.training.labeled_statistics import LabeledStatistics
from heart2heart.training.loader import TrainLoader, diagnose_nonfinite, seeded_generator
from heart2heart.training.loop import LoopPlan, run_steps
from heart2heart.training.losses import inverse_frequency
from heart2heart.training.metrics import DrawnIndices, MetricsRow
from heart2heart.training.model_access import fastest_kernels, place_network
from heart2heart.training.pretrained_patients import pretrained_on_scored
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.selection import BestWeights, Weights, copy_weights, last_validations
from heart2heart.training.trackers import require_trackers
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import ValidationFrames, Validator


def train(config: TrainConfig, out: str | Path, *, progress: Progress | None = None) -> Run:
    """Train a run to its end; a run that was stopped is resumed, a finished run is returned.

    Under torchrun every process calls this function. The processes train one run together and share each batch.

    Args:
        config: The resolved configuration.
        out: Folder of the run, created if missing. It receives `config.yaml` (every resolved value), `run.json`
            (versions, hashes of data and split, the selected step), `metrics.jsonl` and `checkpoints/`.
        progress: Receives the number of steps done, with loss, accuracy, conflict rate and images per second.

    Returns:
        The run with the selected weights: as `config.selection` says, by default the averaged weights (EMA) of the last
        step. No test frame is read.

    Raises:
        ConfigError, UnknownNameError: a setting, network, algorithm or gradient rule that does not exist.
        MissingInputError: no weights where `network.init` says.
        RunError: the folder holds another run, the weights do not fit the network, the data do not suffice for the
            algorithm, or another process ended.
        LeakageError, SplitError: the split is not certified, or the data changed since.
        DivergedError: a loss became non-finite; the last good checkpoint is kept.

    Examples:
        >>> config = TrainConfig.load("configs/fixmatch.yaml")  # doctest: +SKIP
        >>> run = train(config, "runs/fixmatch")  # doctest: +SKIP
    """
    advance(config, out, progress=progress)
    return Run.load(out)


def advance(
    config: TrainConfig, out: str | Path, *, until: int | None = None, progress: Progress | None = None
) -> RunDirectory:
    """Train a run up to a step; a later call continues from there.

    The weights equal those of an uninterrupted run, bit for bit.

    Args:
        config: The resolved configuration, whose `steps` is the length of the whole run.
        out: As for `train`, which lists the errors as well.
        until: Step to stop at, of which a checkpoint is kept; None trains to the end of the run.
        progress: As for `train`.

    Returns:
        The folder of the run.
    """
    out = Path(out)
    group = join_process_group()
    device = choose_device(config.device, group)
    split = SplitManifest.load(config.data.split)
    frames = FrameStores.open(config.data.stores)
    config = pin_weights(config, out)
    directory = RunDirectory.find(out, config, split, frames.geometry)
    if directory is None or not directory.record.finished:
        data = TrainData.open(split, frames, config)
        until = config.steps if until is None else min(until, config.steps)
        shown = progress if progress is not None and group.is_main else NoProgress()
        try:
            with seeded_backends(config.seed, device):
                _train(config, data, out, directory, group, device, until, shown)
        except torch.OutOfMemoryError as error:
            remedy = "Lower batch.unlabeled or batch.labeled, or set pool.placement=memory_map, in a new run folder"
            raise RunError("the device has too little memory for this run", where=out, remedy=remedy) from error
    group.barrier()  # until the main process has written everything
    return RunDirectory.read(out)


def _train(
    config: TrainConfig,
    data: TrainData,
    out: Path,
    directory: RunDirectory | None,
    group: ProcessGroup,
    device: torch.device,
    until: int,
    progress: Progress,
) -> None:
    # Build everything first: a setting that cannot be used raises here, before a folder is created.
    require_trackers(config.trackers)
    initial = _build_network(config, data, out)
    trainer = _build_trainer(config, data, group, device, initial.network)
    loader = TrainLoader(config, data, trainer, device)
    statistics = None
    if config.statistics_record != "running" and config.network.freeze != "encoder":
        statistics = LabeledStatistics(data, config, loader.labeled, trainer.extra, group)
    validator = Validator(trainer, ValidationFrames(data, config, device, group), statistics)
    group.barrier()  # until all processes have looked for a folder
    if directory is None and group.is_main:
        notes = (*initial.notes, *loader.notes)
        RunDirectory.create(out, config, data.split, data.geometry, notes, initial.record)
        initial.save(out)
    group.barrier()  # until the folder exists
    directory = directory or RunDirectory.read(out)

    # Resume from the last checkpoint if there is one.
    state = TrainState()
    if directory.last_checkpoint.exists():
        state = restore_state(checkpoint.load(directory.last_checkpoint), trainer, loader, device)
    elif not group.is_main:  # each process draws the dropout of its own rows
        torch.manual_seed(seeded_generator(config.seed, f"network {group.rank}", torch.device("cpu")).initial_seed())
    if group.is_main:
        directory.metrics.truncate(state.step)

    plan = LoopPlan(until, config.checkpoint_every, config.log_every, config.trackers)
    nonfinite_error = diagnose_nonfinite(loader, directory.path, group)
    events = _TrainEvents(config, trainer, loader, validator, state, nonfinite_error)
    run_steps(plan, trainer, loader, state, events, directory, progress)

    # Publish the selected weights.
    if state.step < config.steps and not _patience_exceeded(config, state.best):
        return
    weights = _shipped_weights(validator, state.best)  # every process takes part
    information = validator.information(weights)
    if group.is_main:
        checkpoint.save(directory.best_checkpoint, {"weights": weights, "step": state.best.step})
        directory.update(
            finished=True,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            processes=group.size,
            notes=tuple(dict.fromkeys((*directory.record.notes, *trainer.notes))),
            parameters=sum(parameter.numel() for parameter in trainer.network.parameters()),
            steps=state.step,
            seconds=state.seconds,
            selected_step=state.best.step,
            selected_score=state.best.score,
            validation_information=information,
            selected_average=state.best.averaged,
        )


def _shipped_weights(validator: Validator, best: BestWeights) -> Weights:
    """Return the selected weights, with batch-norm statistics of all passes where they are recorded anew."""
    assert best.weights is not None
    if validator.statistics is None:
        return best.weights
    validator.network.load_state_dict(best.weights)
    validator.statistics.record(validator.network)
    return copy_weights(validator.network)


def _build_network(config: TrainConfig, data: TrainData, out: Path) -> InitialNetwork:
    """Return the network before its first step."""
    extra = build_algorithm(config.method.name, config.method.params).extra_outputs(len(data.classes))
    initial = build_initial_network(config, data.classes, len(data.classes) + extra, data.geometry.size, out)
    if initial.record is None:
        return initial
    scored_sites = pretrained_on_scored(config.network, data.split)
    return replace(initial, record=initial.record.model_copy(update={"scored_sites": scored_sites}))


def _build_trainer(
    config: TrainConfig, data: TrainData, group: ProcessGroup, device: torch.device, network: nn.Module
) -> Trainer:
    """Return the trainer: network, class weights, and the random stream of the algorithm."""
    classes = len(data.classes)
    network = place_network(network, device)
    group.broadcast(network.state_dict().values())
    targets = torch.from_numpy(data.train.targets)
    rates = None if config.batch.balance == "none" else torch.from_numpy(sampling_rates(data, config.batch.balance))
    trainer = Trainer(
        network,
        config,
        classes=classes,
        pool_size=len(data.unlabeled),
        weights=inverse_frequency(targets, classes, rates).to(device) if config.loss.class_weights else None,
        label_shares=torch.bincount(targets, minlength=classes) / len(targets),
        generator=seeded_generator(config.seed, "mixing", device),
        group=group,
    )
    if trainer.extra is not None:
        trainer.extra.check(data.geometry.size)
    return trainer


@dataclass(frozen=True)
class _TrainEvents:
    """Validates, selects weights and collects the state, as the loop asks for it."""

    config: TrainConfig
    trainer: Trainer
    loader: TrainLoader
    validator: Validator
    state: TrainState
    nonfinite_error: Callable[[int, DrawnIndices], DivergedError]

    def has_ended(self) -> bool:
        return _patience_exceeded(self.config, self.state.best)

    def evaluates(self, done: int) -> bool:
        return done == self.config.steps or done % self.config.evaluate_every == 0

    def evaluate(self, done: int) -> MetricsRow:
        config, best, average = self.config, self.state.best, self.state.average
        averaged_steps = last_validations(config.steps, config.evaluate_every, config.average_last)
        score = self.validator.score()
        row = score.columns("validation")
        best.update(done, score, self.validator.network, always=config.selection == "last")
        if done in averaged_steps:
            average.add(self.validator.network)
        if done == config.steps and average.count == len(averaged_steps) > 1 and config.selection != "last":
            score = self.validator.score(average.weights)
            row |= score.columns("average")
            best.update(done, score, self.validator.network, averaged=average.count)
        return row

    def collect(self) -> dict[str, Any]:
        return collect_state(self.state, self.trainer, self.loader, self.trainer.device)

    def note(self, row: MetricsRow) -> str:
        return _progress_note(row, self.state.best)


def _patience_exceeded(config: TrainConfig, best: BestWeights) -> bool:
    """Return whether as many validations as `early_stop` allows passed without an improvement."""
    return config.early_stop is not None and best.stale >= config.early_stop


@contextmanager
def seeded_backends(root_seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global random streams and use the fastest kernels; the caller's state is restored."""
    seed = seeded_generator(root_seed, "network", torch.device("cpu")).initial_seed()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), fastest_kernels(device):
        torch.manual_seed(seed)
        yield


def _progress_note(row: MetricsRow, best: BestWeights) -> str:
    loss = row["loss_labeled"] + row.get("loss_unlabeled", 0.0)
    parts = [f"loss {loss:.3f}", f"accuracy {row['train_accuracy']:.2f}"]
    if "conflict_rate" in row:
        parts.append(f"conflict {row['conflict_rate']:.2f}")
    parts.append(f"{row['images_per_second']:.0f} images/s")
    if best.weights is not None:
        parts.append(f"best validation {best.score:.3f}")
    return ", ".join(parts)
