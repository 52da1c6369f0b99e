"""Pretraining of an encoder on unlabeled frames, in the loop of steps that `train` has."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.errors import CollapsedError, ConfigError, DivergedError, RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.representation.collapse import frame_features, has_collapsed, measure_collapse
from heart2heart.representation.config import PretrainConfig
from heart2heart.representation.directory import PretrainDirectory
from heart2heart.representation.methods import build_method
from heart2heart.representation.pairs import PairLoader, clip_hashes, patients_of, pretraining_rows
from heart2heart.representation.trainer import PretrainTrainer
from heart2heart.schema.pretraining import CollapseRecord, PretrainRecord, is_pretraining, read_patients, write_patients
from heart2heart.schema.run import InitRecord
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames, FrameStores
from heart2heart.training import checkpoint
from heart2heart.training.augment.batched import normalise
from heart2heart.training.batch_norm import record_statistics
from heart2heart.training.checkpoint import random_state, set_random_state
from heart2heart.training.distributed import SINGLE, choose_device
from heart2heart.training.initial_network import load_initial_weights
from heart2heart.training.labeled_statistics import RECORD_BATCH
from heart2heart.training.loader import diagnose_nonfinite
from heart2heart.training.loop import LoopPlan, run_steps
from heart2heart.training.metrics import DrawnIndices, MetricsRow
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import SCRATCH, build_network
from heart2heart.training.networks.weights_file import weights_sha256
from heart2heart.training.run_directory import RECORDED_PACKAGES
from heart2heart.training.trackers import require_trackers
from heart2heart.training.train import seeded_backends
from heart2heart.utils import sha256_json

STATISTICS_FRAMES = 2_048
"""Most frames that the batch-norm statistics of the finished encoder are recorded on."""


def pretrain(config: PretrainConfig, out: str | Path, *, progress: Progress | None = None) -> PretrainDirectory:
    """Pretrain an encoder to its end; a pretraining that was stopped is resumed, a finished one is returned.

    Args:
        config: The resolved configuration.
        out: Its folder, created if missing. It receives `config.yaml`, `pretrain.json`, `patients.json` (pseudonyms of
            all patients that were read), `metrics.jsonl` and `checkpoints/`.
        progress: Receives the number of steps done.

    Returns:
        The folder; `train network.init=FOLDER` begins from its encoder.

    Raises:
        ConfigError, UnknownNameError: a setting, network, layer or method that does not exist, or several processes.
        RunError: the folder holds something else, or the frames make no pairs.
        LeakageError, SplitError: the split is not certified, or the data changed since.
        DivergedError: a loss became non-finite; the last good checkpoint is kept.
        CollapsedError: the encoder says nearly the same of every frame; its weights are not published.
    """
    out = Path(out)
    if os.environ.get("WORLD_SIZE", "1") != "1":
        remedy = "Start it without torchrun: one process uses one graphics card"
        raise ConfigError("pretraining runs in one process", remedy=remedy)
    device = choose_device(config.device, SINGLE)
    frames = FrameStores.open(config.data.stores)
    config = _pin_weights(config)
    split = None if config.data.split is None else SplitManifest.load(config.data.split)
    loader_rows = pretraining_rows(config, frames, split)
    loader = PairLoader(config, frames, loader_rows, device)
    patients = _all_patients(config, patients_of(frames, loader_rows))
    facts = _begin_record(config, frames, loader, split, patients)
    directory = PretrainDirectory.find(out, config, facts)
    if directory is not None and directory.record.finished:
        return directory
    require_trackers(config.trackers)
    try:
        with seeded_backends(config.seed, device):
            _pretrain(config, out, directory, facts, patients, loader, device, progress or NoProgress())
    except torch.OutOfMemoryError as error:
        remedy = "Lower pairs, or set pool.placement=memory_map, in a new folder"
        raise RunError("the device has too little memory for this pretraining", where=out, remedy=remedy) from error
    return PretrainDirectory.read(out)


def _pretrain(
    config: PretrainConfig,
    out: Path,
    directory: PretrainDirectory | None,
    facts: PretrainRecord,
    patients: list[list[str]],
    loader: PairLoader,
    device: torch.device,
    progress: Progress,
) -> None:
    # Build everything first: a setting that cannot be used raises here, before a folder is created.
    size = loader.frames.geometry.size
    network, init = _build_network(config, size)
    trainer = PretrainTrainer(place_network(network, device), config, size)
    if directory is None:
        config.save(out / "config.yaml")
        write_patients(out, patients)
        directory = PretrainDirectory(out, config, facts.model_copy(update={"init": init}))
        directory.update()
    state = PretrainState()
    if directory.last_checkpoint.exists():
        state = _restore(checkpoint.load(directory.last_checkpoint), trainer, loader, device)
    directory.metrics.truncate(state.step)

    nonfinite_error = diagnose_nonfinite(loader, out)
    events = _PretrainEvents(config, trainer, loader, state, loader.sample(config.collapse.frames), nonfinite_error)
    plan = LoopPlan(config.steps, config.checkpoint_every, config.log_every, config.trackers)
    run_steps(plan, trainer, loader, state, events, directory, progress)

    frames = loader.sample(STATISTICS_FRAMES)
    parts = frames.tensor_split(-(-len(frames) // RECORD_BATCH))
    record_statistics(trainer.encoder, lambda index: normalise(parts[index])[:, None], len(parts))
    measured = events.measure()
    if has_collapsed(measured, config.collapse):
        raise _collapsed(measured, state.step, out)
    checkpoint.save(directory.weights, {"weights": trainer.encoder.weights(), "step": state.step})
    directory.update(
        finished=True,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        parameters=sum(each.numel() for each in trainer.encoder.parameters() if each.requires_grad),
        steps=state.step,
        seconds=state.seconds,
        collapse=measured,
    )


@dataclass
class PretrainState:
    """Progress of a pretraining.

    Attributes:
        step: Steps done.
        seconds: Time spent on them, over all starts.
        collapsed: Evaluations in a row that found the features collapsed.
    """

    step: int = 0
    seconds: float = 0.0
    collapsed: int = 0


@dataclass(frozen=True)
class _PretrainEvents:
    """Measures the collapse and collects the state, as the loop asks for it."""

    config: PretrainConfig
    trainer: PretrainTrainer
    loader: PairLoader
    state: PretrainState
    frames: Tensor
    nonfinite_error: Callable[[int, DrawnIndices], DivergedError]
    last: list[CollapseRecord] = field(default_factory=list)

    def has_ended(self) -> bool:
        return False

    def evaluates(self, done: int) -> bool:
        return done == self.config.steps or done % self.config.evaluate_every == 0

    def evaluate(self, done: int) -> MetricsRow:
        measured = self.measure(batch_statistics=True)
        self.state.collapsed = self.state.collapsed + 1 if has_collapsed(measured, self.config.collapse) else 0
        if self.state.collapsed >= self.config.collapse.patience:
            raise _collapsed(measured, done, None)
        self.last[:] = [measured]
        return measured.model_dump(exclude={"dimensions"})

    def measure(self, *, batch_statistics: bool = False) -> CollapseRecord:
        """Return how varied the features of the measured frames are.

        Args:
            batch_statistics: Normalise by the statistics of these frames: running ones may lag behind in training.
        """
        encoder = self.trainer.encoder
        kept = {name: value.clone() for name, value in encoder.named_buffers()}
        if batch_statistics:
            parts = self.frames.tensor_split(-(-len(self.frames) // RECORD_BATCH))
            record_statistics(encoder, lambda index: normalise(parts[index])[:, None], len(parts))
        encoder.eval()
        measured = measure_collapse(frame_features(encoder, self.frames))
        encoder.train()
        if batch_statistics:
            for name, value in encoder.named_buffers():
                value.copy_(kept[name])
        return measured

    def collect(self) -> dict[str, Any]:
        return {
            "device": self.trainer.device.type,
            "trainer": self.trainer.state_dict(),
            "loader": self.loader.state_dict(),
            "random": random_state(self.trainer.device),
            **vars(self.state),
        }

    def note(self, row: MetricsRow) -> str:
        parts = [f"loss {row['loss']:.3f}", f"{row['images_per_second']:.0f} images/s"]
        return ", ".join([*parts, *(measured.sentence() for measured in self.last)])


def _restore(
    saved: dict[str, Any], trainer: PretrainTrainer, loader: PairLoader, device: torch.device
) -> PretrainState:
    if saved["device"] != device.type:
        what = f"this pretraining was started on {saved['device']} and cannot continue on {device.type}"
        raise RunError(what, remedy=f"Set device={saved['device']}, or name another folder")
    trainer.load_state_dict(saved["trainer"])
    loader.load_state_dict(saved["loader"])
    set_random_state(saved["random"], device)
    return PretrainState(saved["step"], saved["seconds"], saved["collapsed"])


def _collapsed(measured: CollapseRecord, step: int, where: Path | None) -> CollapsedError:
    remedy = "Raise pairs, lower optimiser.lr, choose barlow_twins or simclr, or widen augmentation.view"
    what = f"the representation has collapsed at step {step}: {measured.sentence()}"
    return CollapsedError(what, where=where, remedy=remedy)


def _pin_weights(config: PretrainConfig) -> PretrainConfig:
    """Return the configuration with the hash of the weights that `network.init` names."""
    if config.network.init == SCRATCH:
        return config
    sha256 = weights_sha256(Path(config.network.init))
    if config.network.init_sha256 not in (None, sha256):
        what = f"these weights have the sha256 {sha256}, not that of network.init_sha256"
        raise RunError(what, where=config.network.init, remedy="Name the file that was meant, or correct the hash")
    return config.model_copy(update={"network": config.network.model_copy(update={"init_sha256": sha256})})


def _build_network(config: PretrainConfig, size: int) -> tuple[nn.Module, InitRecord | None]:
    """Return the network before its first step, and what its weights begin from."""
    settings = config.network
    network = build_network(settings.name, classes=2, size=size, **settings.options)
    if settings.init == SCRATCH:
        return network, None
    return network, load_initial_weights(network, settings, keep_head=False)


def _all_patients(config: PretrainConfig, patients: list[list[str]]) -> list[list[str]]:
    """Return the patients that were read, with those of the pretraining that `network.init` names."""
    source = Path(config.network.init)
    earlier = read_patients(source) if config.network.init != SCRATCH and is_pretraining(source) else []
    return [list(pair) for pair in sorted({*map(tuple, patients), *earlier})]


def _begin_record(
    config: PretrainConfig, frames: Frames, loader: PairLoader, split: SplitManifest | None, patients: list[list[str]]
) -> PretrainRecord:
    """Return the record of a pretraining before its first step."""
    reach = "no split was named: every frame of the stores was read" if split is None else None
    if config.data.scored_patients:
        reach = "frames of patients whom the split scores were read, without labels"
    return PretrainRecord(
        method=build_method(config.method.name, config.method.params).title,
        network=config.network.name,
        geometry=frames.geometry.to_json(),
        split_sha256=None if split is None else split.sha256,
        scored_patients=config.data.scored_patients,
        data_sha256=sha256_json(clip_hashes(frames, loader.pool.rows)),
        patients_sha256=sha256_json(patients),
        config_sha256=config.digest(),
        versions={name: version(name) for name in RECORDED_PACKAGES},
        frames=len(loader.pool),
        clips=loader.clips,
        patients=len(patients),
        notes=(*([reach] if reach else []), *loader.notes),
    )
