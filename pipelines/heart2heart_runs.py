"""The runs of the Heart2Heart table: seven ways to learn, three folds, each run one job on one device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from heart2heart.config import configs_folder
from heart2heart.errors import DivergedError, RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.utils import read_json, sha256_json, write_json
from pipelines.study_jobs import process_device

if TYPE_CHECKING:
    from heart2heart.schema.predictions import Predictions
    from heart2heart.training.config import TrainConfig

CONFIGS = configs_folder() / "heart2heart"
VARIANTS = (
    "labels_only",
    "pi_model",
    "pi_model_fix_a_step",
    "vat",
    "vat_fix_a_step",
    "fixmatch",
    "fixmatch_fix_a_step",
)
"""The studies of `CONFIGS`, in the order of the table; the first is what the others are compared with."""
FOLDS = (0, 1, 2)
SYNTHETIC_STEPS = 400
"""Steps of a synthetic run."""


@dataclass(frozen=True)
class BenchmarkStudy:
    """The runs of a study and their folders.

    Attributes:
        out: Folder of everything that is made.
        sites: Hospitals, the source first.
        folds: Folds to run.
        variants: Names of `WAYS`.
        synthetic: Simulated hospitals and a small network instead of the real ones.
        clean_pool: Pool frames of evaluated patients are left out of the official splits.
        overrides: Training overrides for every run.
    """

    out: Path
    sites: tuple[str, ...]
    folds: tuple[int, ...] = FOLDS
    variants: tuple[str, ...] = VARIANTS
    synthetic: bool = False
    clean_pool: bool = False
    overrides: tuple[str, ...] = ()

    @property
    def stores(self) -> list[Path]:
        """One store for each hospital."""
        return [self.out / "stores" / site for site in self.sites]

    @property
    def labels(self) -> Path:
        """The label store of all hospitals."""
        return self.out / "labels.db"

    def split(self, fold: int) -> Path:
        """Return the folder of a fold's split."""
        return self.out / "splits" / ("clean" if self.clean_pool else "official") / f"fold{fold}"

    def runs(self) -> list[BenchmarkRun]:
        """Return every run, fold by fold, so that a study that is stopped has whole folds."""
        return [BenchmarkRun(self, fold, way) for fold in self.folds for way in self.variants]


@dataclass(frozen=True)
class BenchmarkRun:
    """One run: one way on one fold."""

    study: BenchmarkStudy
    fold: int
    variant: str

    @property
    def name(self) -> str:
        """Name of the job in the plan."""
        return f"fold{self.fold}/{self.variant}"

    @property
    def path(self) -> Path:
        """Folder of its run."""
        return self.study.out / "runs" / f"fold{self.fold}" / self.variant

    @property
    def predictions(self) -> Path:
        """Folder of its predictions."""
        return self.path / "predictions.parquet"

    @cached_property
    def config(self) -> TrainConfig:
        """Its configuration: the file of the study, the changes of the fold, and the overrides."""
        from heart2heart.training.config import TrainConfig

        changes = yaml.safe_load((CONFIGS / "folds.yaml").read_text(encoding="utf-8"))[self.variant].get(self.fold, {})
        config = TrainConfig.load(
            CONFIGS / f"{self.variant}.yaml",
            [
                f"data.stores={[str(store) for store in self.study.stores]}",
                f"data.split='{self.study.split(self.fold)}'",
                *(f"{key}={value}" for key, value in changes.items()),
            ],
        )
        return (synthetic_config(config) if self.study.synthetic else config).with_overrides(self.study.overrides)

    @cached_property
    def digest(self) -> str:
        """Hash of its configuration without paths and device."""
        return sha256_json(self.config.model_dump(mode="json", exclude={"data", "device"}))

    def result(self) -> dict[str, Any] | None:
        """Return its line of results; None if it is not finished.

        Raises:
            RunError: the result in its folder is of other settings.
        """
        path = self.path / "result.json"
        if not path.exists():
            return None
        line: dict[str, Any] = read_json(path, what="result of a run")
        if line["config_sha256"] != self.digest:
            remedy = "Give the options of then, or another --out"
            raise RunError("this run was made with other settings", where=self.path, remedy=remedy)
        return line

    def state(self) -> str:
        """Return its state in a few words."""
        from heart2heart.training.run_directory import RunDirectory

        line = self.result()
        if line is not None:
            return "diverged" if line["diverged"] else "done"
        if not (self.path / "run.json").exists():
            return "to do"
        folder = RunDirectory.read(self.path)
        if folder.record.finished:
            return "trained, to be tested"
        steps = [int(each["step"]) for each in folder.metrics.read()]
        return f"to do from step {max(steps, default=0)} of {folder.config.steps}"


def synthetic_config(config: TrainConfig) -> TrainConfig:
    """Return a run of CPU size with the same method and optimiser; a ramp keeps its share of the run."""
    ramp = round(config.unlabeled_weight.ramp * SYNTHETIC_STEPS / config.steps)
    pool = 32 if config.batch.unlabeled > config.batch.labeled else 16
    return config.with_overrides(
        [
            "network.options={depth: 10, widen: 1, norm_momentum: 0.05}",
            f"unlabeled_weight.ramp={ramp}",
            "batch.labeled=16",
            f"batch.unlabeled={pool}",
            "ema=0.95",  # batch statistics are copied, not averaged, and must fit the weights of a short run
            f"steps={SYNTHETIC_STEPS}",
            f"evaluate_every={SYNTHETIC_STEPS // 8}",
            f"checkpoint_every={SYNTHETIC_STEPS // 8}",
            "log_every=20",
        ]
    )


def train_and_test(job: BenchmarkRun, device: str, progress: Progress | None = None) -> dict[str, Any]:
    """Train one run, or continue it, and predict the test frames once with the weights that validation selected.

    Returns:
        Its line of results, which its folder keeps as well; a run that diverged is a result too.

    Raises:
        RunError: the folder holds a run of other settings or of another split.
    """
    from heart2heart.training.train import train

    line = job.result()
    if line is not None:
        return line
    config = job.config.with_overrides([f"device={device}"])
    line = {"fold": job.fold, "way": job.variant, "config_sha256": job.digest, "diverged": False}
    try:
        train(config, job.path, progress=progress)
    except DivergedError:
        line["diverged"] = True
    else:
        line |= _test_run(job, device)
    write_json(job.path / "result.json", line)
    return line


def _test_run(job: BenchmarkRun, device: str) -> dict[str, Any]:
    from heart2heart.api.evaluation import describe_sites
    from heart2heart.schema.predictions import Predictions
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.provenance import with_demographics
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.training.predict import predict_split
    from heart2heart.training.run import Run

    stores, split = FrameStores.open(job.study.stores), SplitManifest.load(job.study.split(job.fold))
    run = Run.load(job.path, device=device)
    sites = describe_sites(job.study.stores, split, job.study.labels)
    predictions = predict_split(run, stores, split, sites, command="python -m pipelines.heart2heart")
    predictions = with_demographics(Predictions.concat([predictions]), stores)
    predictions.write(job.predictions)
    record = run.directory.record
    return {
        "method": predictions.provenance.runs[0].method,
        "split_sha256": split.sha256,
        "selected_step": record.selected_step,
        "validation": record.selected_score,
        "seconds": record.seconds,
        "device": record.device,
        "test": balanced_accuracies(predictions),
    }


def balanced_accuracies(predictions: Predictions) -> dict[str, float]:
    """Return by hospital the mean recall over the views that its test frames have."""
    import torch

    from heart2heart.training.validation import balanced_accuracy

    classes = list(predictions.provenance.classes)
    names = ("site", "role", "truth")
    site, role, truth = (predictions.table[name].to_numpy(zero_copy_only=False) for name in names)
    scored = (role == "test") & np.isin(truth.astype(str), classes)
    logits = torch.from_numpy(predictions.logits)
    targets = torch.tensor([classes.index(view) if view in classes else -1 for view in truth])
    each = {name: torch.from_numpy(scored & (site == name)) for name in sorted(set(site[scored]))}
    return {name: balanced_accuracy(logits[own_rows], targets[own_rows]) for name, own_rows in each.items()}


def train_on_own_device(job: BenchmarkRun) -> dict[str, Any]:
    """Train and test one run on the device that this process has taken (`pipelines.study_jobs.run_all`)."""
    return train_and_test(job, process_device(), NoProgress())
