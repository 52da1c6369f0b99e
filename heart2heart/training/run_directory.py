"""The folder of a run: its content, and the check that a resumed run has the same configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from heart2heart.config import Config
from heart2heart.errors import ConfigError, ExistsError, RunError
from heart2heart.schema.run import RUN_SCHEMA_VERSION, InitRecord, RunRecord
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.geometry import Geometry
from heart2heart.training.config import TrainConfig
from heart2heart.training.metrics import MetricsLog
from heart2heart.utils import read_json, write_json

RECORDED_PACKAGES = ("heart2heart", "torch", "monai", "numpy", "albumentations")


NETWORK_INIT = ("network.init", "network.init_licence")

# Paths, device and trackers may change when a run is resumed; settings that change its result may not. The split's hash
# covers the pixels of the data, and `network.init_sha256` the weights of `network.init`.
CHANGEABLE_KEYS = ("data.stores", "data.split", "device", "trackers", "mlflow_file", *NETWORK_INIT)


@dataclass(frozen=True)
class RunDirectory:
    """One run on disk.

    Attributes:
        path: Its folder.
        config: The resolved configuration.
        record: The content of `run.json`.
    """

    path: Path
    config: TrainConfig
    record: RunRecord

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint from which a stopped run is resumed."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The selected weights; the file exists once the run is finished."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def metrics(self) -> MetricsLog:
        """The log of metrics."""
        return MetricsLog(self.path / "metrics.jsonl")

    @classmethod
    def read(cls, path: str | Path) -> RunDirectory:
        """Read the folder of a run.

        Raises:
            MissingInputError: no run here.
            RunError: it was made by another version of heart2heart.
        """
        path = Path(path)
        content = read_json(path / "run.json", what="training run")
        writer = dict(content.get("versions", {})).get("heart2heart", "another version")
        remedy = f"Read it with heart2heart {writer}, or train anew in another folder"
        if content.get("schema_version") != RUN_SCHEMA_VERSION:
            raise RunError("this run's record is of another version", where=path / "run.json", remedy=remedy)
        try:
            record = RunRecord.parse(content, where=path / "run.json")
            return cls(path, TrainConfig.load(path / "config.yaml", stored=True), record)
        except ConfigError as error:
            raise RunError(f"this run is of another version: {error.what}", where=error.where, remedy=remedy) from error

    @classmethod
    def find(cls, path: Path, config: TrainConfig, split: SplitManifest, geometry: Geometry) -> RunDirectory | None:
        """Return the folder of this run if it exists, or None if the path is free.

        Raises:
            ExistsError: the folder holds something else.
            RunError: it holds a run of another configuration, split or geometry.
        """
        if (path / "run.json").exists():
            folder = cls.read(path)
            folder._require_same_run(config, split, geometry)
            return folder
        # A run killed while its folder was being made leaves no more than its configuration and a hidden temporary.
        if path.exists() and not (path.is_dir() and all(_is_leftover(entry.name) for entry in path.iterdir())):
            raise ExistsError("this is not a training run, and not empty", where=path, remedy="Name another folder")
        return None

    @classmethod
    def create(
        cls,
        path: Path,
        config: TrainConfig,
        split: SplitManifest,
        geometry: Geometry,
        notes: Sequence[str] = (),
        init: InitRecord | None = None,
    ) -> RunDirectory:
        """Create the folder of a run."""
        record = RunRecord(
            classes=split.classes,
            geometry=geometry.to_json(),
            split_sha256=split.sha256,
            data_sha256=split.data_sha256,
            config_sha256=config.digest(),
            versions={name: version(name) for name in RECORDED_PACKAGES},
            notes=tuple(notes),
            init=init,
        )
        config.save(path / "config.yaml")
        folder = cls(path, config, record)
        folder.update()
        return folder

    def update(self, **changes: Any) -> None:
        """Write `run.json` with some changes."""
        write_json(self.path / "run.json", self.record.model_copy(update=changes).model_dump(mode="json"))

    def _require_same_run(self, config: TrainConfig, split: SplitManifest, geometry: Geometry) -> None:
        differ = differing_keys(self.config, config)
        remedy = "Give the same settings, or name another folder for the new run"
        if differ:
            what = f"this folder holds a run of another configuration; differing: {', '.join(differ)}"
            raise RunError(what, where=self.path, remedy=remedy)
        if self.record.geometry != geometry.to_json():
            what = f"this run takes frames of {Geometry.from_json(self.record.geometry)}, the stores hold {geometry}"
            raise RunError(what, where=self.path, remedy=remedy)
        if self.record.split_sha256 != split.sha256:
            raise RunError("this folder holds a run of another split", where=self.path, remedy=remedy)


def differing_keys(one: Config, other: Config) -> list[str]:
    """Return the keys whose values differ and change the result of a run, sorted."""
    first, second = (dict(flatten_config(each.model_dump(mode="json"))) for each in (one, other))
    keys = sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))
    return [key for key in keys if not any(_is_under(key, movable) for movable in CHANGEABLE_KEYS)]


def flatten_config(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of every leaf of a configuration's plain form."""
    if isinstance(content, dict) and content:
        for name, value in content.items():
            yield from flatten_config(value, f"{key}.{name}" if key else name)
    else:
        yield key, content


def _is_leftover(name: str) -> bool:
    return name == "config.yaml" or name.startswith(".")


def _is_under(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")
