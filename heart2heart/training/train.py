"""The training loop, read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

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
from heart2heart.training.loader import TrainLoader, diagnose_nonfinite, seeded_generator
from heart2heart.training.losses import inverse_frequency
from heart2heart.training.metrics import Meter, MetricsRow
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.trackers import open_trackers, require_trackers
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import BestWeights, Validator


def train(config: TrainConfig, out: str | Path, *, progress: Progress | None = None) -> Run:
    """Train a run to its end: begin it, go on with it, or find it finished.

    Under torchrun every process calls this; they train one run together and share each batch.

    Args:
        config: What to train.
        out: The run's folder, made if missing. It receives `config.yaml` (every resolved value), `run.json` (versions,
            hashes of data and split, what was selected), `metrics.jsonl` and `checkpoints/`.
        progress: Told the steps done, with loss, accuracy, conflict rate and images a second.

    Returns:
        The run with the selected weights: the EMA's at the best source-validation balanced accuracy. No test frame is
        read.

    Raises:
        ConfigError, UnknownNameError: a setting, network, method or rule that does not exist.
        RunError: another run is in the folder, the data do not suffice for the method, or another process died.
        LeakageError, SplitError: the split is not certified, or the data changed since.
        DivergedError: a loss became non-finite; the last good checkpoint is kept.
    """
    advance(config, out, progress=progress)
    return Run.load(out)


def advance(
    config: TrainConfig, out: str | Path, *, until: int | None = None, progress: Progress | None = None
) -> RunDirectory:
    """Train a run up to a step; a later call goes on from there as if there had been no pause.

    Args:
        config: What to train; the schedule knows its whole length.
        out: As for `train`, which says what is raised as well.
        until: The step, of which a checkpoint is kept; None is the run's end.
        progress: As for `train`.

    Returns:
        The run's folder.
    """
    out = Path(out)
    world = join_process_group()
    device = choose_device(config.device, world)
    split = SplitManifest.load(config.data.split)
    frames = FrameStores.open(config.data.stores)
    folder = RunDirectory.find(out, config, split, frames.geometry)
    if folder is None or not folder.record.finished:
        data = TrainData.open(split, frames, config)
        until = config.steps if until is None else min(until, config.steps)
        shown = progress if progress is not None and world.is_main else NoProgress()
        try:
            with _seeded_backends(config, device):
                _train(config, data, out, folder, world, device, until, shown)
        except torch.OutOfMemoryError as error:
            remedy = "Lower batch.unlabeled or batch.labeled, or set pool.placement=memory_map, in a new run folder"
            raise RunError("the device has too little memory for this run", where=out, remedy=remedy) from error
    world.barrier()  # until everything is written
    return RunDirectory.read(out)


def _train(
    config: TrainConfig,
    data: TrainData,
    out: Path,
    folder: RunDirectory | None,
    world: ProcessGroup,
    device: torch.device,
    until: int,
    progress: Progress,
) -> None:
    # Build everything; a setting that cannot be used shows here, before a folder is made.
    require_trackers(config.trackers)
    settings = config.network
    classes = len(data.classes)
    outputs = classes + build_algorithm(config.method.name, config.method.params).extra_outputs(classes)
    network = build_network(settings.name, classes=outputs, size=data.geometry.size, **settings.options)
    network = place_network(network, device)
    targets = torch.from_numpy(data.train.targets)
    drawn = None if config.batch.balance == "none" else torch.from_numpy(sampling_rates(data, config.batch.balance))
    weights = inverse_frequency(targets, classes, drawn).to(device) if config.loss.class_weights else None
    world.broadcast(network.state_dict().values())
    learner = Trainer(
        network,
        config,
        classes=classes,
        pool_size=len(data.unlabeled),
        weights=weights,
        label_shares=torch.bincount(targets, minlength=classes) / len(targets),
        generator=seeded_generator(config.seed, "mixing", device),
        group=world,
    )
    if learner.extra is not None:
        learner.extra.check(data.geometry.size)
    batches = TrainLoader(config, data, learner, device)
    validation = Validator(data, learner, device)
    world.barrier()  # until all have looked for a folder
    if folder is None and world.is_main:
        RunDirectory.create(out, config, data.split, data.geometry, batches.notes)
    world.barrier()  # until it is there
    folder = folder or RunDirectory.read(out)

    # Go on where the last checkpoint stands, if there is one.
    standing = TrainState()
    if folder.last_checkpoint.exists():
        standing = restore_state(checkpoint.load(folder.last_checkpoint), learner, batches, device)
    elif not world.is_main:  # dropout is drawn apart for each process's rows
        torch.manual_seed(seeded_generator(config.seed, f"network {world.rank}", torch.device("cpu")).initial_seed())
    if world.is_main:
        folder.metrics.truncate(standing.step)

    # Train.
    meter = Meter(diagnose_nonfinite(batches, out))
    since, read, best = time.monotonic(), standing.step, standing.best
    with open_trackers(config.trackers if world.is_main else (), folder, standing.step) as trackers:
        while standing.step < until and not _patience_exceeded(config, best):
            meter.add(learner.step(batches.next(standing.step), standing.step), batches.drawn)
            done = standing.step = standing.step + 1
            validating = done == config.steps or done % config.evaluate_every == 0
            saving = done == until or done % config.checkpoint_every == 0
            if not (validating or saving or done % config.log_every == 0):
                continue
            line = meter.read(done, world)
            if not learner.weights_are_finite():
                remedy = "The last checkpoint is from before; lower optimiser.lr and train anew"
                raise DivergedError(f"the weights after step {done} are not finite", where=out, remedy=remedy)
            now = time.monotonic()
            standing.seconds += now - since
            line["images_per_second"] = (done - read) * batches.size / max(now - since, 1e-9)
            if validating:
                score = validation.score()
                line["validation_balanced_accuracy"] = score
                best.update(done, score, learner.ema.network)
                standing.seconds += time.monotonic() - now
            content = (
                collect_state(standing, learner, batches, device)
                if saving or _patience_exceeded(config, best)
                else None
            )
            if world.is_main:
                folder.metrics.append(done, line)
                for tracker in trackers:
                    tracker.log(done, line)
                if content is not None:
                    checkpoint.save(folder.last_checkpoint, content)
                progress.update(done, _progress_note(line, best))
            since, read = time.monotonic(), done

    # Publish what was selected.
    if world.is_main and (standing.step == config.steps or _patience_exceeded(config, best)):
        checkpoint.save(folder.best_checkpoint, {"weights": best.weights, "step": best.step})
        folder.update(
            finished=True,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            processes=world.size,
            notes=tuple(dict.fromkeys((*folder.record.notes, *learner.notes))),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            steps=standing.step,
            seconds=standing.seconds,
            selected_step=best.step,
            selected_score=best.score,
        )


def _patience_exceeded(config: TrainConfig, best: BestWeights) -> bool:
    """Return whether the validations stopped improving."""
    return config.early_stop is not None and best.stale >= config.early_stop


@contextmanager
def _seeded_backends(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Seed the global streams and let cuDNN choose its fastest; afterwards the caller's state is back."""
    accelerated = device.type == "cuda"
    seed = seeded_generator(config.seed, "network", torch.device("cpu")).initial_seed()
    with torch.random.fork_rng(devices=[device] if accelerated else []):
        torch.manual_seed(seed)
        if not accelerated:
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
            yield


def _progress_note(line: MetricsRow, best: BestWeights) -> str:
    loss = line["loss_labeled"] + line.get("loss_unlabeled", 0.0)
    parts = [f"loss {loss:.3f}", f"accuracy {line['train_accuracy']:.2f}"]
    if "conflict_rate" in line:
        parts.append(f"conflict {line['conflict_rate']:.2f}")
    parts.append(f"{line['images_per_second']:.0f} images/s")
    if best.weights is not None:
        parts.append(f"best validation {best.score:.3f}")
    return ", ".join(parts)
