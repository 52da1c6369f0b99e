"""The configuration of one pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.registry import NamedPartConfig, Registry
from heart2heart.representation.methods import PRETRAIN_METHODS
from heart2heart.training.augment.acoustic import AcousticPolicy
from heart2heart.training.augment.policy import Policy
from heart2heart.training.config import Precision, TrackerName, UnlabeledPoolConfig
from heart2heart.training.networks.build import NetworkConfig
from heart2heart.training.optimiser import OptimiserConfig, ScheduleConfig

PAIR_VIEW = Policy(draws=2, acoustic=AcousticPolicy())
"""The default view: flip, crop, two operations of RandAugment, and all of the acoustic policy."""


class PretrainDataConfig(Config):
    """What is learned from; no label is read."""

    stores: tuple[Path, ...] = Field(min_length=1)
    """Folders of the frame stores."""
    split: Path | None = None
    """Folder of a certified split: patients whom it scores (validation, test) are left out, and so is what is not in
    it. Null reads every frame of the stores; `train` then refuses a split that scores one of these patients."""
    scored_patients: bool = False
    """Read patients whom the split scores as well. The encoder has then seen pictures that it is tested on, without
    labels; the record says so, and `train` takes it only with `network.init_scored`."""

    @model_validator(mode="after")
    def _check_scored(self) -> PretrainDataConfig:
        if self.scored_patients and self.split is None:
            raise ValueError("scored_patients: without a split nobody is known to be scored; leave it false")
        return self


class PretrainMethodConfig(NamedPartConfig):
    """The method."""

    registry: ClassVar[Registry[Any]] = PRETRAIN_METHODS

    name: str = "barlow_twins"
    """`simclr`, `moco`, `byol`, `barlow_twins`; or a plugin's."""


class PairAugmentationConfig(Config):
    """How the two frames of a pair are augmented, each by itself."""

    view: Policy = PAIR_VIEW
    """The policy of both."""
    driver: Literal["batched", "albumentations"] = "batched"
    """`batched` works on batches on the device; `albumentations` frame by frame on the CPU, with the same result."""


class CollapseConfig(Config):
    """When a representation counts as collapsed: it then says nearly the same of every frame."""

    frames: int = Field(512, ge=8, le=65_536)
    """Most frames of the pool that the features are measured on, always the same ones."""
    rank: float = Field(1.5, ge=0)
    """Smallest effective rank that is accepted."""
    deviation: float = Field(0.01, ge=0)
    """Smallest spread of the directions that is accepted; see `representation.collapse`."""
    patience: int = Field(3, ge=1)
    """Evaluations in a row below a limit after which the pretraining is refused; the last one decides alone."""


class PretrainConfig(Config):
    """One pretraining."""

    data: PretrainDataConfig
    """What is learned from; no label is read."""
    network: NetworkConfig = NetworkConfig()
    """The network whose encoder is trained; its head is left out."""
    layer: str | None = None
    """Module whose output is the representation; null takes the input of the network's head."""
    method: PretrainMethodConfig = PretrainMethodConfig()
    """The method."""
    positives: Literal["views", "frames"] = "views"
    """What makes a pair: two `views` of one frame, or two different `frames` of one clip (USCL, Chen et al. 2021), of
    which each clip then gives one pair a pass."""
    pairs: int = Field(128, ge=2, le=65_536)
    """Pairs a step."""
    optimiser: OptimiserConfig = OptimiserConfig(name="adam", lr=1e-3, weight_decay=1e-4)
    """The optimiser."""
    schedule: ScheduleConfig = ScheduleConfig()
    """The learning rate over the run."""
    augmentation: PairAugmentationConfig = PairAugmentationConfig()
    """How the two frames of a pair are augmented, each by itself."""
    pool: UnlabeledPoolConfig = UnlabeledPoolConfig()
    """The frames that pairs are made of."""
    collapse: CollapseConfig = CollapseConfig()
    """When a representation counts as collapsed: it then says nearly the same of every frame."""
    steps: int = Field(10_000, ge=1)
    """Length of the run."""
    evaluate_every: int = Field(500, ge=1)
    """Steps between measurements of the collapse."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints."""
    log_every: int = Field(50, ge=1)
    """Steps between lines of metrics."""
    trackers: tuple[TrackerName, ...] = ()
    """Who is told the metrics beside `metrics.jsonl`: `tensorboard`, `mlflow`; see the training."""
    mlflow_file: Path | None = None
    """SQLite file that `mlflow` writes to; null is `mlflow.db` in the run's folder."""
    seed: int = Field(0, ge=0)
    """Root seed of every random stream."""
    device: str = "auto"
    """`auto` (an NVIDIA GPU if there is one), `cpu`, `cuda` or `cuda:1`."""
    precision: Precision = "auto"
    """`auto` (bfloat16 on an accelerator that has it), `float32` or `bfloat16`."""

    @model_validator(mode="after")
    def _check_combinations(self) -> PretrainConfig:
        if self.network.freeze != "none" or self.network.encoder_lr != 1:
            raise ValueError("network: pretraining trains the encoder; leave network.freeze and network.encoder_lr")
        if self.pool.transductive and self.data.split is None:
            raise ValueError("pool.transductive: without a split no hospital is held out; leave it empty")
        return self
