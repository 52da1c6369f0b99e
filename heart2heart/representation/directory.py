"""The folder of a pretraining, and the encoder of a finished one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.errors import ExistsError, RunError
from heart2heart.representation.config import PretrainConfig
from heart2heart.schema.pretraining import PRETRAIN_FILE, PretrainRecord, is_pretraining, read_pretrain_record
from heart2heart.training.metrics import MetricsLog
from heart2heart.training.run_directory import differing_keys
from heart2heart.utils import write_json


@dataclass(frozen=True)
class PretrainDirectory:
    """One pretraining on disk.

    Attributes:
        path: Its folder.
        config: The resolved configuration.
        record: The content of `pretrain.json`.
    """

    path: Path
    config: PretrainConfig
    record: PretrainRecord

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint from which a stopped pretraining is resumed."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def weights(self) -> Path:
        """The weights of the encoder; the file exists once the pretraining is finished."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def metrics(self) -> MetricsLog:
        """The log of metrics."""
        return MetricsLog(self.path / "metrics.jsonl")

    @classmethod
    def read(cls, path: str | Path) -> PretrainDirectory:
        """Read the folder of a pretraining.

        Raises:
            MissingInputError: no pretraining here.
            RunError: it was made by another version of heart2heart.
        """
        path = Path(path)
        record = read_pretrain_record(path)
        return cls(path, PretrainConfig.load(path / "config.yaml", stored=True), record)

    @classmethod
    def find(cls, path: Path, config: PretrainConfig, facts: PretrainRecord) -> PretrainDirectory | None:
        """Return the folder of this pretraining if it exists, or None if the path is free.

        Args:
            path: The folder.
            config: The configuration.
            facts: The record as it would be begun now.

        Raises:
            ExistsError: the folder holds something else.
            RunError: it holds a pretraining of another configuration or of other frames.
        """
        if is_pretraining(path):
            folder = cls.read(path)
            remedy = "Give the same settings, or name another folder"
            if differ := differing_keys(folder.config, config):
                what = f"this folder holds a pretraining of another configuration; differing: {', '.join(differ)}"
                raise RunError(what, where=path, remedy=remedy)
            if (folder.record.data_sha256, folder.record.geometry) != (facts.data_sha256, facts.geometry):
                raise RunError("this folder holds a pretraining on other frames", where=path, remedy=remedy)
            return folder
        leftovers = ("config.yaml", "patients.json")
        if path.exists() and not (
            path.is_dir() and all(entry.name in leftovers or entry.name.startswith(".") for entry in path.iterdir())
        ):
            raise ExistsError("this is no pretraining, and not empty", where=path, remedy="Name another folder")
        return None

    def update(self, **changes: Any) -> None:
        """Write `pretrain.json` with some changes."""
        write_json(self.path / PRETRAIN_FILE, self.record.model_copy(update=changes).model_dump(mode="json"))
