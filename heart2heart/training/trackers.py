"""Writes the metrics for TensorBoard and MLflow as well, to local files only.

`metrics.jsonl` remains the record; a tracker only follows it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from heart2heart.errors import MissingInputError
from heart2heart.training.config import TrackerName
from heart2heart.training.metrics import MetricsRow
from heart2heart.training.run_directory import flatten_config
from heart2heart.utils import make_private_file, read_json, write_json

MLFLOW_RUN_FILE = "mlflow.json"
"""File in the run's folder with the identifier of the MLflow run."""
MLFLOW_BATCH = 100
"""Largest number of settings that MLflow accepts in one call."""


class TrackedConfig(Protocol):
    """The configuration of a run."""

    @property
    def mlflow_file(self) -> Path | None:
        """SQLite file of MLflow; None: in the run's folder."""

    def model_dump(self, *, mode: str, exclude: set[str]) -> dict[str, Any]:
        """Return all values but some sections."""


class TrackedRun(Protocol):
    """The folder of a run, with its configuration."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def config(self) -> TrackedConfig:
        """The configuration."""


class Tracker(Protocol):
    """Receives the metrics of a run."""

    def log(self, step: int, line: MetricsRow) -> None:
        """Write one line of `metrics.jsonl`."""

    def close(self, *, whole: bool) -> None:
        """Close; `whole` is True if the run did not fail."""


class TensorBoard:
    """Event files in the run's folder: `tensorboard --logdir FOLDER`.

    Args:
        folder: The run.
        first: Step that the run goes on from; later events are of a sitting that died, and are hidden.
    """

    def __init__(self, folder: TrackedRun, first: int) -> None:
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(str(folder.path / "tensorboard"), purge_step=first + 1)

    def log(self, step: int, line: MetricsRow) -> None:
        """See `Tracker`."""
        for name, value in line.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, *, whole: bool) -> None:
        """See `Tracker`."""
        self._writer.close()


class MLflow:
    """A run in a SQLite file: `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`.

    Several runs may share the file (`mlflow_file`); a run that goes on finds itself again by `MLFLOW_RUN_FILE`.

    Args:
        folder: The run.
        first: Step that the run goes on from.
    """

    def __init__(self, folder: TrackedRun, first: int) -> None:
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}  # before the first import
        self._mlflow = import_module("mlflow")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        file = (folder.config.mlflow_file or folder.path / "mlflow.db").resolve()
        make_private_file(file)
        store = f"sqlite:///{file}"
        self._client = self._mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
        self._run = self._earlier_run(folder) or self._begin(folder, file)
        history = self._client.get_metric_history(self._run, "images_per_second")
        # Lines of a process that died after the last checkpoint are in the file already; their values are identical.
        self._last = max((entry.step for entry in history), default=0)

    def log(self, step: int, line: MetricsRow) -> None:
        """See `Tracker`."""
        if step > self._last:
            now = int(1000 * time.time())
            metrics = [self._mlflow.entities.Metric(name, value, now, step) for name, value in line.items()]
            self._client.log_batch(self._run, metrics=metrics)

    def close(self, *, whole: bool) -> None:
        """See `Tracker`."""
        self._client.set_terminated(self._run, "FINISHED" if whole else "FAILED")

    def _earlier_run(self, folder: TrackedRun) -> str | None:
        note = folder.path / MLFLOW_RUN_FILE
        if not note.exists():
            return None
        run = str(read_json(note, what="number of a run in MLflow")["run"])
        try:
            self._client.update_run(run, status="RUNNING")
        except self._mlflow.exceptions.MlflowException:
            return None  # the file was deleted
        return run

    def _begin(self, folder: TrackedRun, file: Path) -> str:
        existing = self._client.get_experiment_by_name("heart2heart")
        where = (file.parent / "mlflow_artifacts").as_uri()
        experiment = existing.experiment_id if existing else self._client.create_experiment("heart2heart", where)
        run = str(self._client.create_run(experiment, run_name=folder.path.resolve().name).info.run_id)
        settings = folder.config.model_dump(mode="json", exclude={"data", "mlflow_file"})
        params = [self._mlflow.entities.Param(key, str(value)) for key, value in flatten_config(settings)]
        for start in range(0, len(params), MLFLOW_BATCH):
            self._client.log_batch(run, params=params[start : start + MLFLOW_BATCH])
        write_json(folder.path / MLFLOW_RUN_FILE, {"run": run})
        return run


TRACKERS: Mapping[TrackerName, type[TensorBoard] | type[MLflow]] = {"tensorboard": TensorBoard, "mlflow": MLflow}
"""Trackers by their name in a configuration."""


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        MissingInputError: one is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            remedy = f"Run: pip install 'heart2heart[{name}]', or leave it out of `trackers`"
            raise MissingInputError(f"{name} is not installed", remedy=remedy)


@contextmanager
def open_trackers(names: Sequence[TrackerName], folder: TrackedRun, first: int) -> Iterator[list[Tracker]]:
    """Open the trackers for the block, and close them at its end."""
    trackers: list[Tracker] = [TRACKERS[name](folder, first) for name in names]
    whole = False
    try:
        yield trackers
        whole = True
    finally:
        for tracker in trackers:
            tracker.close(whole=whole)
