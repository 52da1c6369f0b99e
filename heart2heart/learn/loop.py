"""The training loop, read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from heart2heart.errors import DivergedError, RunError
from heart2heart.frames.store import FrameStores
from heart2heart.learn import checkpoint
from heart2heart.learn.balance import rates
from heart2heart.learn.batches import Batches, generator
from heart2heart.learn.blame import blame
from heart2heart.learn.config import TrainConfig
from heart2heart.learn.data import TrainData
from heart2heart.learn.folder import RunFolder
from heart2heart.learn.forward import place
from heart2heart.learn.learner import Learner
from heart2heart.learn.losses import inverse_frequency
from heart2heart.learn.methods import build_method
from heart2heart.learn.metrics import Line, Meter
from heart2heart.learn.processes import choose_device, join
from heart2heart.learn.run import Run
from heart2heart.learn.selection import Best, Validation
from heart2heart.learn.standing import Standing, restore, state
from heart2heart.learn.trackers import open_trackers, require_trackers
from heart2heart.learn.world import World
from heart2heart.networks import build_network
from heart2heart.progress import Progress, Silent
from heart2heart.splits import SplitManifest


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
) -> RunFolder:
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
    world = join()
    device = choose_device(config.device, world)
    split = SplitManifest.load(config.data.split)
    frames = FrameStores.open(config.data.stores)
    folder = RunFolder.find(out, config, split, frames.geometry)
    if folder is None or not folder.record.finished:
        data = TrainData.open(split, frames, config)
        until = config.steps if until is None else min(until, config.steps)
        shown = progress if progress is not None and world.main else Silent()
        try:
            with _surroundings(config, device):
                _train(config, data, out, folder, world, device, until, shown)
        except torch.OutOfMemoryError as error:
            remedy = "Lower batch.unlabeled or batch.labeled, or set pool.placement=memory_map, in a new run folder"
            raise RunError("the device has too little memory for this run", where=out, remedy=remedy) from error
    world.wait()  # until everything is written
    return RunFolder.read(out)


def _train(
    config: TrainConfig,
    data: TrainData,
    out: Path,
    folder: RunFolder | None,
    world: World,
    device: torch.device,
    until: int,
    progress: Progress,
) -> None:
    # Build everything; a setting that cannot be used shows here, before a folder is made.
    require_trackers(config.trackers)
    settings = config.network
    classes = len(data.classes)
    outputs = classes + build_method(config.method.name, config.method.params).extra_outputs(classes)
    network = build_network(settings.name, classes=outputs, size=data.geometry.size, **settings.options)
    network = place(network, device)
    targets = torch.from_numpy(data.train.targets)
    drawn = None if config.batch.balance == "none" else torch.from_numpy(rates(data, config.batch.balance))
    weights = inverse_frequency(targets, classes, drawn).to(device) if config.loss.class_weights else None
    world.share(network.state_dict().values())
    learner = Learner(
        network,
        config,
        classes=classes,
        pool=len(data.unlabeled),
        weights=weights,
        labels=torch.bincount(targets, minlength=classes) / len(targets),
        generator=generator(config.seed, "mixing", device),
        world=world,
    )
    if learner.extra is not None:
        learner.extra.check(data.geometry.size)
    batches = Batches(config, data, learner, device)
    validation = Validation(data, learner, device)
    world.wait()  # until all have looked for a folder
    if folder is None and world.main:
        RunFolder.create(out, config, data.split, data.geometry, batches.notes)
    world.wait()  # until it is there
    folder = folder or RunFolder.read(out)

    # Go on where the last checkpoint stands, if there is one.
    standing = Standing()
    if folder.last.exists():
        standing = restore(checkpoint.load(folder.last), learner, batches, device)
    elif not world.main:  # dropout is drawn apart for each process's rows
        torch.manual_seed(generator(config.seed, f"network {world.rank}", torch.device("cpu")).initial_seed())
    if world.main:
        folder.metrics.truncate(standing.step)

    # Train.
    meter = Meter(blame(batches, out))
    since, read, best = time.monotonic(), standing.step, standing.best
    with open_trackers(config.trackers if world.main else (), folder, standing.step) as trackers:
        while standing.step < until and not _stale(config, best):
            meter.add(learner.step(batches.next(standing.step), standing.step), batches.drawn)
            done = standing.step = standing.step + 1
            validating = done == config.steps or done % config.evaluate_every == 0
            saving = done == until or done % config.checkpoint_every == 0
            if not (validating or saving or done % config.log_every == 0):
                continue
            line = meter.read(done, world)
            if not learner.finite():
                remedy = "The last checkpoint is from before; lower optimiser.lr and train anew"
                raise DivergedError(f"the weights after step {done} are not finite", where=out, remedy=remedy)
            now = time.monotonic()
            standing.seconds += now - since
            line["images_per_second"] = (done - read) * batches.size / max(now - since, 1e-9)
            if validating:
                score = validation.score()
                line["validation_balanced_accuracy"] = score
                best.offer(done, score, learner.ema.network)
                standing.seconds += time.monotonic() - now
            content = state(standing, learner, batches, device) if saving or _stale(config, best) else None
            if world.main:
                folder.metrics.append(done, line)
                for tracker in trackers:
                    tracker.log(done, line)
                if content is not None:
                    checkpoint.save(folder.last, content)
                progress.update(done, _note(line, best))
            since, read = time.monotonic(), done

    # Publish what was selected.
    if world.main and (standing.step == config.steps or _stale(config, best)):
        checkpoint.save(folder.best, {"weights": best.weights, "step": best.step})
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


def _stale(config: TrainConfig, best: Best) -> bool:
    """Return whether the validations stopped improving."""
    return config.early_stop is not None and best.stale >= config.early_stop


@contextmanager
def _surroundings(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Seed the global streams and let cuDNN choose its fastest; afterwards the caller's state is back."""
    accelerated = device.type == "cuda"
    seed = generator(config.seed, "network", torch.device("cpu")).initial_seed()
    with torch.random.fork_rng(devices=[device] if accelerated else []):
        torch.manual_seed(seed)
        if not accelerated:
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
            yield


def _note(line: Line, best: Best) -> str:
    loss = line["loss_labeled"] + line.get("loss_unlabeled", 0.0)
    parts = [f"loss {loss:.3f}", f"accuracy {line['train_accuracy']:.2f}"]
    if "conflict_rate" in line:
        parts.append(f"conflict {line['conflict_rate']:.2f}")
    parts.append(f"{line['images_per_second']:.0f} images/s")
    if best.weights is not None:
        parts.append(f"best validation {best.score:.3f}")
    return ", ".join(parts)
