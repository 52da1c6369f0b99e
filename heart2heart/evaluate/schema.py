"""What `metrics.json` holds, as types; docs/metrics.md describes every field in prose.

A number that the data cannot give is null with a `reason`, never 0.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from heart2heart.config import Config

SCHEMA_VERSION = 1


class Estimate(Config):
    """A statistic with its sampling interval and what it rests on."""

    value: float | None
    """The statistic on the sample, or null when it is not estimable."""
    low: float | None
    """Lower end of the interval, or null when the interval is not estimable."""
    high: float | None
    """Upper end of the interval."""
    n: int
    """Frames (or clips, for a vote) in the denominator."""
    clusters: int
    """Patients those come from."""
    few_clusters: bool
    """Fewer clusters than the interval needs to keep its promise (`Metrics.few_clusters_below`)."""
    reason: str | None = None
    """Why the value or the interval is missing, or what weakens it."""

    @model_validator(mode="after")
    def _says_why(self) -> Estimate:
        assert (self.low is None) == (self.high is None), "an interval has two ends or none"
        assert self.low is None or self.value is not None, "an interval needs a value"
        assert self.reason or self.low is not None, "a missing number needs a reason"
        return self


class Calibration(Config):
    """How far the probabilities can be taken at their word."""

    nll: Estimate
    """Mean negative log-likelihood of the true view, nats."""
    brier: Estimate
    """Mean squared distance between the probabilities and the truth, summed over the classes, 0 to 2."""
    ece: float | None
    """Class-wise expected calibration error, equal-mass bins, mean over the classes."""


class ReliabilityBin(Config):
    """One point of the reliability diagram: frames of similar top probability."""

    confidence: float
    """Mean probability of the predicted view."""
    accuracy: float
    """Share of the frames whose predicted view is right."""
    n: int
    """Frames."""


class OpenSet(Config):
    """How well the largest probability tells frames of scored views from frames outside the taxonomy."""

    auroc: Estimate
    """Probability that a frame of a scored view has the larger maximum probability; ties count one half."""
    outside: dict[str, int]
    """Frames outside the scored views, by true view."""


class SiteMetrics(Config):
    """One run at one site."""

    site: str
    """The hospital."""
    balanced_accuracy: Estimate
    """Primary: mean sensitivity over the views present at the site, frames, every class may be predicted."""
    balanced_accuracy_common: Estimate
    """The same over the views present at every site."""
    clip_balanced_accuracy: Estimate
    """The same over clips, by a vote: the mean of the frames' log-probabilities."""
    macro_f1: Estimate
    """Mean F1 over the views present at the site."""
    sensitivity: dict[str, Estimate]
    """By view: share of its frames that are called so."""
    ppv: dict[str, Estimate]
    """By view: share of the frames called so that are it, among frames of scored views; null for an absent view."""
    confusion: tuple[tuple[int, ...], ...]
    """Frames by true view (row) and predicted view (column), in the order of `Metrics.classes`."""
    clip_confusion: tuple[tuple[int, ...], ...]
    """Clips, likewise."""
    calibration: Calibration | None
    """From the raw logits; null without scored frames."""
    calibration_scaled: Calibration | None
    """After division of the logits by the run's temperature; null without one."""
    reliability: tuple[ReliabilityBin, ...]
    """Reliability diagram of the raw probabilities: 2 to 15 equal-mass bins, about 25 frames or more in each."""
    open_set: OpenSet
    """Frames outside the taxonomy."""


class SiteGap(Config):
    """How much is lost between the source and one held-out site."""

    site: str
    """The held-out hospital."""
    views: tuple[str, ...]
    """Views present at the source and there: the gap is taken over these."""
    gap: Estimate
    """Balanced accuracy at the source minus there; positive is a loss."""


class Generalisation(Config):
    """One method over the sites. Conditional on these sites: nothing is inferred about hospitals in general."""

    gaps: tuple[SiteGap, ...]
    """A gap for each held-out site."""
    mean: Estimate
    """Unweighted mean of balanced accuracy over the held-out sites."""
    lowest: float | None
    """Smallest balanced accuracy among the held-out sites."""
    highest: float | None
    """Largest balanced accuracy among the held-out sites."""
    worst_site: str | None
    """The held-out site with the smallest."""


class Temperature(Config):
    """One number that divides the logits."""

    value: float | None
    """Minimises the negative log-likelihood on source validation frames; null when there are none."""
    n: int
    """Frames it was fitted on."""
    reason: str | None = None
    """Why it is missing."""


class RunMetrics(Config):
    """One run at every site."""

    run: str
    """The run's name."""
    method: str
    """Label of the method that it belongs to."""
    seed: int
    """The seed that it was trained with."""
    temperature: Temperature
    """Fitted on source validation only."""
    sites: tuple[SiteMetrics, ...]
    """One for each site, in the order of `Metrics.sites`."""


class SeedSpread(Config):
    """Spread over training seeds; says nothing about the sampling of patients."""

    n: int
    """Seeds."""
    standard_deviation: float | None
    """Sample standard deviation; null with fewer than two seeds."""
    low: float | None
    """Smallest value over the seeds; null when the statistic is not estimable."""
    high: float | None
    """Largest value."""


class MethodSite(Config):
    """One method at one site."""

    site: str
    """The hospital."""
    balanced_accuracy: Estimate
    """Mean over the seeds; the interval is of patient sampling, with these seeds fixed."""
    seeds: SeedSpread
    """Spread over the seeds."""


class MethodMetrics(Config):
    """Runs that differ only in their seed."""

    method: str
    """What a reader calls it."""
    runs: tuple[str, ...]
    """Its runs."""
    sites: tuple[MethodSite, ...]
    """One for each site."""
    generalisation: Generalisation
    """Summary over the held-out sites."""


class SiteDifference(Config):
    """Candidate minus reference at one site, paired by cluster."""

    site: str
    """The hospital."""
    difference: Estimate
    """Difference of balanced accuracy; positive favours the candidate."""
    p: float | None
    """Two-sided bootstrap p-value."""
    p_holm: float | None
    """The same after Holm's correction over the sites of this comparison."""
    seeds: SeedSpread
    """Spread of the difference over seeds that both methods have."""


class Comparison(Config):
    """Two methods at every site."""

    reference: str
    """The method compared against: the first in the file."""
    candidate: str
    """The method compared."""
    sites: tuple[SiteDifference, ...]
    """One for each site."""


class SiteSummary(Config):
    """What was scored at one site."""

    site: str
    """The hospital."""
    held_out: bool
    """No frame of it was trained on."""
    synthetic: bool
    """Its data are simulated, not from patients."""
    frames: int
    """Test frames with a scored truth."""
    clips: int
    """Clips with such frames that agree on one view."""
    mixed_clips: int
    """Clips whose frames carry more than one scored view: scored by frame, left out of the vote."""
    clusters: int
    """Patients of the scored frames."""
    views: dict[str, int]
    """Scored frames by view present."""
    view_clusters: dict[str, int]
    """Patients by view present."""
    outside: dict[str, int]
    """Test frames by view outside the taxonomy: not scored, used for `open_set`."""
    unlabeled: int
    """Test frames without a truth: not scored."""
    reason: str | None = None
    """Why nothing is scored here."""


class Metrics(Config):
    """Everything computed from one `predictions.parquet`."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    predictions_sha256: str
    """Hash of the predictions' content and provenance."""
    split_sha256: str
    """Hash of the split manifest."""
    synthetic: bool
    """At least one site is simulated."""
    classes: tuple[str, ...]
    """Views the model can predict, in the order of the logits."""
    common_views: tuple[str, ...]
    """Views present at every site that has scored frames."""
    unit: str = "patient"
    """What is resampled."""
    confidence: float
    """Nominal coverage of every interval."""
    interval: str
    """How intervals are made."""
    replicates: int
    """Bootstrap replicates."""
    seed: int
    """Seed of the bootstrap."""
    few_clusters_below: int
    """An estimate on fewer clusters than this is flagged."""
    ece_bins: int
    """Equal-mass bins of the calibration error."""
    sites: tuple[SiteSummary, ...]
    """What was scored, by site."""
    runs: tuple[RunMetrics, ...]
    """Every run at every site."""
    methods: tuple[MethodMetrics, ...]
    """Runs grouped over their seeds."""
    comparisons: tuple[Comparison, ...]
    """Each later method against the first."""

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON types."""
        return self.model_dump(mode="json")
