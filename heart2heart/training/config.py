"""The configuration of one training run; the page Configuration of the documentation is made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from heart2heart.config import Config
from heart2heart.registry import NamedPartConfig, Registry, check_name
from heart2heart.schema.enums import POOL_MODES, ClipMode
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.augment.extra import check_pipeline, read_pipeline
from heart2heart.training.augment.policy import LABELED, STRONG, WEAK, Policy
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.losses import LossScale
from heart2heart.training.networks.build import NetworkConfig
from heart2heart.training.optimiser import OptimiserConfig, ScheduleConfig, UnlabeledWeightConfig
from heart2heart.utils import sha256_json

Precision = Literal["auto", "float32", "bfloat16"]


Compile = Literal["off", "auto", "on"]


Balance = Literal["none", "site", "view", "site_and_view"]
TrackerName = Literal["tensorboard", "mlflow"]


class DataConfig(Config):
    """What is learned from."""

    stores: tuple[Path, ...] = Field(min_length=1)
    """Folders of the frame stores that the split was made over."""
    split: Path
    """Folder of the frozen, certified split."""


class AlgorithmConfig(NamedPartConfig):
    """The method."""

    registry: ClassVar[Registry[Any]] = ALGORITHMS

    name: str = "labels_only"
    """A method of `heart2heart.training.algorithms`, or a plugin's; the sections on methods list them."""


class FixAStepConfig(Config):
    """Fix-A-Step, in its two halves; each works with any method, and alone."""

    mixing: bool = False
    """Mix the labeled batch with unlabeled frames and their soft guesses."""
    clean: bool = False
    """With `mixing`: learn from the labeled frames as they are as well, in one batch with the mixed ones."""
    gradient: str = Field("sum", json_schema_extra=lambda schema: schema.update(enum=list(GRADIENT_RULES)))
    """The gradient rule: `sum` adds both gradients, `fix_a_step` drops the unlabeled one where they conflict; `pcgrad`
    projects both; `per_layer` decides tensor by tensor, `running_mean` against the mean of past labeled gradients,
    `per_frame` and `per_frame_mean` frame by frame (with `_head` by the last layer alone, which is cheaper);
    `held_out_gradient`, `held_out_loss` and `held_out_head_mean` (frame by frame) judge by labels that they keep out of
    training; or a plugin's."""
    temperature: float = Field(0.5, gt=0)
    """Sharpening of the soft guesses; below 1 sharpens."""
    alpha: float = Field(0.5, gt=0)
    """Both parameters of the Beta distribution that the mixing share is drawn from."""

    @field_validator("gradient")
    @classmethod
    def _check_gradient(cls, value: str) -> str:
        return check_name(GRADIENT_RULES, value)


class LossConfig(Config):
    """The loss of labeled frames."""

    class_weights: bool = True
    """Weight classes by inverse frequency, summing to 1."""
    scale: LossScale = "sum_of_weights"
    """What the sum over frames is divided by: `sum_of_weights`, or as in the authors' code `official`, which differs
    between runs with and without mixing."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of every target, mixed or not, that is spread evenly over all classes."""


class BatchConfig(Config):
    """Frames a step; several processes share them evenly."""

    labeled: int = Field(64, ge=1)
    """Labeled frames; where fewer exist, frames repeat within a batch."""
    unlabeled: int = Field(64, ge=1)
    """Unlabeled frames; the paper's FixMatch takes 320."""
    balance: Balance = "none"
    """Draw labeled frames in equal numbers from each hospital (`site`), `view`, or view of a hospital
    (`site_and_view`); `none` draws every frame equally often. Class weights follow what is drawn."""
    balance_unlabeled: Literal["none", "site"] = "none"
    """Draw unlabeled frames in equal numbers from each hospital (`site`); `none` draws every frame equally often."""


class AugmentationConfig(Config):
    """How frames are augmented."""

    labeled: Policy | None = LABELED
    """The view of labeled frames: by default weak, with another background and overlays outside the sector, which
    carries over best (docs/results/carry-over.md); null is the weak view."""
    weak: Policy = WEAK
    """The weak view: of guesses and of mixing, and of labeled frames where `labeled` is null."""
    strong: Policy = STRONG
    """The strong view."""
    driver: Literal["batched", "albumentations"] = "batched"
    """`batched` works on batches on the device; `albumentations` frame by frame on the CPU, with the same result."""
    extra: dict[str, Any] | None = None
    """A pipeline of your own, applied to the frames of every view before its policy: the file that
    `albumentations.save` writes, as YAML or JSON. It runs frame by frame on the CPU. The resolved configuration
    holds its content."""

    @field_validator("extra", mode="before")
    @classmethod
    def _read_extra(cls, value: Any) -> Any:
        """Read a file that is named; the digest of a run then covers the content, wherever the file lies."""
        if value is None:
            return None
        return read_pipeline(value) if isinstance(value, str | Path) else check_pipeline(value)


class UnlabeledPoolConfig(Config):
    """The unlabeled pool."""

    modes: tuple[ClipMode, ...] = POOL_MODES
    """Modes that it takes: b_mode, colour, tissue_doppler, m_mode, spectral, other."""
    transductive: tuple[str, ...] = ()
    """Held-out hospitals whose unlabeled frames join the pool, of patients who are never scored there; their labels are
    not read. Results at these hospitals are then of a method that saw their pictures, and the report says so."""
    placement: Literal["auto", "device", "memory_map"] = "auto"
    """Where pixels lie: `auto` puts them on an accelerator when they fill at most half of its free memory."""


class TrainConfig(Config):
    """One training run."""

    def digest(self) -> str:
        """Return the hash of all resolved values; the weights of `network.init` count by their hash, not their path."""
        pinned = self.network.init_sha256 is not None
        content = self.model_dump(mode="json", exclude={"network": {"init", "init_licence"}} if pinned else None)
        # Later keys, without which the hashes of earlier runs stay as they are.
        if not self.fix_a_step.clean:
            del content["fix_a_step"]["clean"]
        if not self.network.init_scored:
            del content["network"]["init_scored"]
        return sha256_json(content)

    data: DataConfig
    """What is learned from."""
    network: NetworkConfig = NetworkConfig()
    """The network."""
    method: AlgorithmConfig = AlgorithmConfig()
    """The method."""
    fix_a_step: FixAStepConfig = FixAStepConfig()
    """Fix-A-Step, around the method."""
    loss: LossConfig = LossConfig()
    """The loss of labeled frames."""
    unlabeled_weight: UnlabeledWeightConfig = UnlabeledWeightConfig()
    """The weight of the unlabeled loss (lambda_u)."""
    optimiser: OptimiserConfig = OptimiserConfig()
    """The optimiser."""
    schedule: ScheduleConfig = ScheduleConfig()
    """The learning rate over the run."""
    batch: BatchConfig = BatchConfig()
    """Frames a step."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How frames are augmented."""
    pool: UnlabeledPoolConfig = UnlabeledPoolConfig()
    """The unlabeled pool."""
    alignment_batches: int = Field(0, ge=0)
    """Distribution alignment: guesses are matched to the shares of the labels by their mean over this many recent
    batches (ReMixMatch: 128). 0 leaves them alone. It assumes a pool as balanced as the labels."""
    batch_norm: Literal["labeled", "separate", "joint"] = "labeled"
    """`labeled` and `separate` pass labeled and unlabeled frames apart, in two graphs: `labeled` keeps the running
    statistics of labeled frames alone, `separate` those of every pass. `joint` passes all as one batch, as the authors'
    code does, at a higher cost. See docs/decisions/0003."""
    batch_norm_record: Literal["auto", "running", "labeled", "clean"] = "auto"
    """Batch-norm statistics of the weights that are validated and shipped: `running` keeps the moving mean of training,
    by weights that have changed since. `labeled` records the mean and variance anew, with the averaged weights, on the
    labeled training frames under their augmentation; `clean` does so on these frames as they are. `auto` is `clean`
    from scratch, and `running` where `network.init` or the options load weights. A frozen encoder keeps its statistics.
    See docs/training.md."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are validated, selected and shipped."""
    steps: int = Field(25_000, ge=1)
    """Length of the run."""
    evaluate_every: int = Field(200, ge=1)
    """Steps between validations; the last step is always validated."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints."""
    log_every: int = Field(50, ge=1)
    """Steps between lines of metrics; only then the host waits for the device."""
    selection: Literal["validation", "perturbed", "last"] = "last"
    """Which weights are shipped: those of the last step (`last`), which carry over best where validation has few
    patients; those with the best balanced accuracy on source validation frames (`validation`); or with the best mean of
    it over these frames and a fixed set of acoustic perturbations of them (`perturbed`). Of equal scores the lower loss
    wins, then the later step."""
    average_last: int = Field(5, ge=0)
    """The uniform average of the weights of this many last validations, at most half of all, is a candidate of the
    selection as well; 0 leaves it out, and so does `selection: last`. A run that stops early has none."""
    early_stop: int | None = Field(None, ge=1)
    """Validations in a row without a higher score after which the run ends; null goes to the last step."""
    trackers: tuple[TrackerName, ...] = ()
    """Who is told the metrics beside `metrics.jsonl`: `tensorboard` (event files in the run's folder), `mlflow`. Each
    needs the extra of its name; nothing is sent over a network."""
    mlflow_file: Path | None = None
    """SQLite file that `mlflow` writes to, which several runs may share; null is `mlflow.db` in the run's folder."""
    seed: int = Field(0, ge=0)
    """Root seed of every random stream."""
    device: str = "auto"
    """`auto` (an NVIDIA GPU if there is one), `cpu`, `cuda` or `cuda:1`."""
    precision: Precision = "auto"
    """`auto` (bfloat16 on an accelerator that has it), `float32` or `bfloat16`."""
    compile: Compile = "off"
    """Compile the network with `torch.compile`: `off`, `on`, or `auto` (for runs of 5,000 steps and more). Without a
    compiler, and in several processes, the network is called as it is; the run's record says so."""

    @property
    def statistics_record(self) -> Literal["running", "labeled", "clean"]:
        """What `batch_norm_record` stands for in this run.

        Examples:
            >>> TrainConfig.parse({"data": {"stores": ["a"], "split": "b"}}, where="x").statistics_record
            'clean'
        """
        if self.batch_norm_record != "auto":
            return self.batch_norm_record
        return "running" if self.network.is_pretrained else "clean"

    @model_validator(mode="after")
    def _check_combinations(self) -> TrainConfig:
        if self.selection == "last" and self.early_stop is not None:
            raise ValueError("early_stop needs a selection by score: choose selection=validation or perturbed")
        return self
