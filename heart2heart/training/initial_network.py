"""The network that a run begins with: at random, or with the weights of `network.init`.

The initial weights are kept in the run's folder, so that a run that was begun does not need the file any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from heart2heart.errors import RunError
from heart2heart.progress import detail
from heart2heart.schema.pretraining import is_pretraining, read_pretrain_record
from heart2heart.schema.run import InitRecord
from heart2heart.training import checkpoint
from heart2heart.training.config import TrainConfig
from heart2heart.training.networks.build import NETWORKS, SCRATCH, NetworkConfig, build_network
from heart2heart.training.networks.initialise import load_weights
from heart2heart.training.networks.weights_file import WeightsFile, read_weights, weights_sha256
from heart2heart.training.run_directory import RunDirectory

INITIAL_WEIGHTS = "checkpoints/initial.pt"


@dataclass(frozen=True)
class InitialNetwork:
    """A network before its first step.

    Attributes:
        network: The network, on the CPU.
        record: What its weights begin from; None if that is chance, or was recorded when the run was begun.
    """

    network: nn.Module
    record: InitRecord | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the run's record."""
        return () if self.record is None else (self.record.sentence(),)

    def save(self, run: Path) -> None:
        """Keep the initial weights in the folder of a run, if they came from a file.

        Raises:
            NoSpaceError: the disk is full.
        """
        if self.record is not None:
            checkpoint.save(run / INITIAL_WEIGHTS, {"weights": self.network.state_dict()})


def pin_weights(config: TrainConfig, run: Path) -> TrainConfig:
    """Return the configuration with the hash of the weights that `network.init` names.

    Args:
        config: The configuration as the user wrote it.
        run: Folder of the run. If it was begun with weights of the same name and these are gone, its hash is taken.

    Raises:
        MissingInputError: `network.init` names neither a file nor the folder of a finished run.
        RunError: the weights have another hash than `network.init_sha256`.
    """
    settings = config.network
    source = Path(settings.init)
    if settings.init == SCRATCH:
        return config
    if not source.exists() and (run / "run.json").exists():
        begun = RunDirectory.read(run).config.network
        if begun.init == settings.init and (run / INITIAL_WEIGHTS).exists():
            return _with_sha256(config, begun.init_sha256)
    sha256 = weights_sha256(source)
    if settings.init_sha256 not in (None, sha256):
        what = f"these weights have the sha256 {sha256}, not that of network.init_sha256"
        raise RunError(what, where=source, remedy="Name the file that was meant, or correct the hash")
    return _with_sha256(config, sha256)


def _with_sha256(config: TrainConfig, sha256: str | None) -> TrainConfig:
    network = config.network.model_copy(update={"init_sha256": sha256})
    return config.model_copy(update={"network": network})


def build_initial_network(
    config: TrainConfig, classes: tuple[str, ...], outputs: int, size: int, run: Path
) -> InitialNetwork:
    """Build the network of a run, with the weights that it begins from.

    Args:
        config: The configuration, as `pin_weights` returned it.
        classes: Class names, in the order of the logits.
        outputs: Number of logits, with the algorithm's extra ones.
        size: Side of the frames, pixels.
        run: Folder of the run, which holds the initial weights once it was begun.

    Raises:
        ConfigError, UnknownNameError: see `build_network`.
        MissingInputError, RunError: see `read_weights` and `load_weights`.
    """
    settings = config.network
    network = build_network(settings.name, classes=outputs, size=size, **settings.options)
    if settings.init == SCRATCH:
        return InitialNetwork(network)
    if (run / INITIAL_WEIGHTS).exists():
        network.load_state_dict(checkpoint.load(run / INITIAL_WEIGHTS)["weights"])
        return InitialNetwork(network)
    keep_head = _is_of_classes(Path(settings.init), classes)
    return InitialNetwork(network, load_initial_weights(network, settings, keep_head=keep_head))


def load_initial_weights(network: nn.Module, settings: NetworkConfig, *, keep_head: bool) -> InitRecord:
    """Put the weights of `network.init` into a network, in place; return what was loaded.

    Args:
        network: The network that `settings` built.
        settings: The section `network` of the configuration.
        keep_head: Take the head too, where its shapes agree.

    Raises:
        MissingInputError, RunError: see `read_weights` and `load_weights`; or weights of another network.
    """
    source = Path(settings.init)
    _require_same_network(source, settings.name)
    weights = read_weights(source)
    loaded = load_weights(
        network,
        NETWORKS[settings.name].parse(settings.options, where="network.options"),
        weights.tensors,
        where=source,
        input_range=settings.init_input,
        keep_head=keep_head,
    )
    record = InitRecord(
        file=source.resolve().name,
        sha256=weights.sha256,
        licence=settings.init_licence or weights.licence,
        **vars(loaded) | {"loaded": len(loaded.loaded)},
    )
    _tell(record, weights)
    return record


def _require_same_network(source: Path, name: str) -> None:
    """Refuse the folder of a run or of a pretraining of another network.

    Raises:
        RunError: it is of another network.
    """
    if (source / "run.json").is_file():
        of, verb = RunDirectory.read(source).config.network.name, "run trained"
    elif is_pretraining(source):
        of, verb = read_pretrain_record(source).network, "pretraining has"
    else:
        return
    if of != name:
        raise RunError(f"this {verb} {of}, not {name}", where=source, remedy=f"Set network.name={of}")


def _is_of_classes(source: Path, classes: tuple[str, ...]) -> bool:
    """Return whether the head of the weights may be of these classes; a run's are known, a file's are not."""
    if not (source / "run.json").is_file():
        return True
    return RunDirectory.read(source).record.classes == classes


def _tell(record: InitRecord, weights: WeightsFile) -> None:
    detail(f"initialised with {record.file}: {len(weights.tensors)} tensors, sha256 {record.sha256}")
    detail(f"  tensors left fresh: {', '.join(record.fresh) or 'none'}")
    detail(f"  tensors of the file not used: {', '.join(record.unused) or 'none'}")
