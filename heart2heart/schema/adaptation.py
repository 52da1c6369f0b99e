"""How a run was adapted to a hospital: the part `adaptation` of `run.json`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from heart2heart.config import Config


class StatisticsMethod(StrEnum):
    """How the statistics of batch normalisation are estimated at a hospital."""

    AUTO = "auto"
    """`plain`; where a check refuses it `prior_aware`; and the source's where a check refuses that as well."""
    PRIOR_AWARE = "prior_aware"
    """Frames are weighted by their predicted views, so that the views count as they did in training."""
    PLAIN = "plain"
    """Every frame of a patient counts the same."""
    SOURCE = "source"
    """The source's statistics are kept."""


class AdaptationSettings(Config):
    """How to adapt a run to a hospital."""

    statistics: StatisticsMethod = StatisticsMethod.AUTO
    """How the statistics of batch normalisation are estimated."""
    prior_patients: float = Field(1.0, ge=0)
    """Number of patients n0 that the source's statistics are worth: those of n patients weigh n / (n + n0)."""
    max_passes: int = Field(20, ge=1)
    """Most passes over the frames. With as many as the network has layers of batch normalisation the result is that of
    adapting layer by layer; passes end sooner when the statistics no longer change."""
    frames_per_patient: int = Field(64, ge=1)
    """Most frames of a patient, drawn with the seed."""
    entropy_steps: int = Field(0, ge=0)
    """Steps of entropy minimisation on scale and shift of batch normalisation (TENT); 0 leaves it out."""
    entropy_rate: float = Field(1e-3, gt=0)
    """Learning rate of entropy minimisation."""
    correct_prior: bool = False
    """Correct the logits for the hospital's shares of the views, which are estimated from predictions or, with labels,
    from the labels."""
    shots: int = Field(0, ge=0)
    """Number of labeled clips of adaptation patients, drawn with the seed, that fit a temperature and correct the
    shares of the views; 0 uses no label."""
    share: float = Field(0.5, gt=0, lt=1)
    """Share of the patients that adapts at a hospital that the run's split does not know; the others may be scored."""
    refuse: bool = True
    """Keep the source's statistics where a check says that the adapted ones would do harm."""
    seed: int = Field(0, ge=0)
    """Seed of all that is drawn."""


class AdaptationCheck(Config):
    """One check for harm, made without labels."""

    name: str
    """Which check, e.g. `entropy`."""
    passed: bool
    """Whether adaptation may go on."""
    detail: str
    """What the check found, as a clause."""


class PredictionSummary(Config):
    """Predictions of the adaptation frames; every patient counts once."""

    entropy: float
    """Mean entropy of the probabilities, nats."""
    information: float
    """Mutual information of frame and view: the entropy of the mean probabilities less the mean entropy, nats."""
    shares: dict[str, float]
    """Share of the frames by their likeliest view."""
    confident: float
    """Share of the frames whose likeliest view has a probability of at least .9."""


class AdaptationRecord(Config):
    """All that decided an adaptation."""

    site: str
    """The hospital."""
    settings: AdaptationSettings
    """How it was adapted."""
    source_run: str
    """Name of the folder of the run that was adapted."""
    source_weights_sha256: str
    """Hash of the file with its weights."""
    store_digest: str
    """Digest of the store with the hospital's frames."""
    chosen_by: str
    """Who chose the patients: `split`, or `seed` at a hospital that the run's split does not know."""
    patients: tuple[str, ...]
    """Pseudonyms of the patients whose frames adapted the run. They are never scored with it."""
    reserved_patients: tuple[str, ...] = ()
    """Pseudonyms of the patients left to be scored at a hospital that the run's split does not know."""
    pixel_hashes: tuple[str, ...]
    """Pixel hashes of the clips whose frames adapted the run: they find a patient that has two pseudonyms."""
    clips: int
    """Number of clips."""
    frames: int
    """Number of frames."""
    layers: int
    """Layers of batch normalisation; 0 for a network without."""
    kept_source: bool
    """Whether the source's statistics were kept."""
    statistics: StatisticsMethod = StatisticsMethod.SOURCE
    """The statistics that the run has: `plain`, `prior_aware` or `source`."""
    outcome: str
    """The outcome in one sentence."""
    checks: tuple[AdaptationCheck, ...] = ()
    """The checks for harm."""
    effective_patients: float = 0.0
    """Kish's effective number of patients under the weights of their frames."""
    weight: float = 0.0
    """Weight of the hospital's own statistics, 0 to 1; the rest is the source's."""
    passes: int = 0
    """Passes over the frames."""
    last_change: float = 0.0
    """Largest change of a mean in the last pass, in standard deviations of its channel."""
    trained_shares: dict[str, float] = Field(default_factory=dict)
    """Shares of the views among the training labels, to which frames were weighted."""
    estimated_shares: dict[str, float] = Field(default_factory=dict)
    """Shares of the views at this hospital, estimated from the predictions that its plain statistics give."""
    before: PredictionSummary | None = None
    """Predictions of the unadapted run."""
    after: PredictionSummary | None = None
    """Predictions after adaptation, also where the source's statistics were kept in the end."""
    confident_disagreement: float | None = None
    """Share of the unadapted run's confident predictions whose view changed; null: none was confident. It decides
    nothing: where adaptation helps most, the unadapted run is confident and wrong."""
    labels: int = 0
    """Labeled clips that were used."""
    temperature: float = 1.0
    """Temperature that logits are divided by."""
    logit_offset: tuple[float, ...] = ()
    """What is added to the logits afterwards, one number a class; empty: nothing."""
    seconds: float = 0.0
    """Time that it took."""

    @property
    def method(self) -> str:
        """What was done, for readers and for grouping runs: the settings, not the outcome."""
        statistics = {
            StatisticsMethod.AUTO: ["batch statistics"],
            StatisticsMethod.PRIOR_AWARE: ["prior-aware batch statistics"],
            StatisticsMethod.PLAIN: ["plain batch statistics"],
            StatisticsMethod.SOURCE: [],
        }[self.settings.statistics if self.layers else StatisticsMethod.SOURCE]
        parts = [*statistics, *(["entropy minimisation"] if self.settings.entropy_steps else [])]
        if self.settings.shots:
            parts.append(f"temperature and view shares from {self.settings.shots} labeled clips")
        elif self.settings.correct_prior:
            parts.append("view shares")
        return f"{', '.join(parts) or 'nothing'} of {self.site}"
