"""What `metrics.json` says of one run at one site, as types; docs/metrics.md describes every field in prose.

A number that the data cannot give is null with a `reason`, never 0.
"""

from __future__ import annotations

from pydantic import model_validator

from heart2heart.config import Config


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
    """Fewer clusters than `Metrics.few_clusters_below`; for a mean over classes, of the rarest class."""
    reason: str | None = None
    """Why the value or the interval is missing, or what weakens it."""
    rarest: int | None = None
    """Patients of the rarest class that the statistic averages over; null for other statistics."""

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
    """Class-wise expected calibration error, equal-mass bins, mean over the classes. Positive even for a calibrated
    model, the more so the fewer frames there are."""
    rms_debiased: float | None
    """Class-wise root-mean-square calibration error in the same bins, less what the sampling of clusters alone would
    give; null with fewer than two clusters."""


class ReliabilityBin(Config):
    """One point of the reliability diagram: frames of similar top probability."""

    confidence: float
    """Mean probability of the predicted view."""
    accuracy: float
    """Share of the frames whose predicted view is right."""
    n: int
    """Frames."""


class RiskPoint(Config):
    """One point of the risk-coverage curve."""

    coverage: float
    """Share of the frames that are kept, the most confident first."""
    risk: float
    """Share of errors among those."""


class Selective(Config):
    """What it brings to hold back the least confident frames (largest probability, raw logits)."""

    augrc: Estimate
    """Area under the generalised risk-coverage curve: the risk of an undetected error, averaged over all coverages."""
    aurc: Estimate
    """Area under the risk-coverage curve: the risk among the kept, averaged over all coverages."""
    curve: tuple[RiskPoint, ...]
    """The risk-coverage curve at twenty coverages, 5 % to 100 %."""
    threshold: float | None
    """Confidence that keeps 90 % of the source validation frames; null without such frames."""
    coverage: Estimate
    """Share of the frames here that this threshold keeps."""
    risk: Estimate
    """Share of errors among those."""


class OpenSetScore(Config):
    """How well one score tells frames of scored views (high) from frames outside the taxonomy (low)."""

    auroc: Estimate
    """Probability that a frame of a scored view has the larger score; ties count one half."""
    aupr: Estimate
    """Average precision of finding the frames outside the taxonomy; a guess reaches their share."""
    fpr95: Estimate
    """Share of the frames outside that pass where 95 % of the frames of scored views pass."""


class OpenSet(Config):
    """Frames outside the taxonomy: do the model's scores give them away?"""

    auroc: Estimate
    """That of the largest probability: `scores.max_probability.auroc`."""
    scores: dict[str, OpenSetScore]
    """`max_probability`, `max_logit`, `energy` (log of the summed exponentials of the logits)."""
    outside: dict[str, int]
    """Frames outside the scored views, by true view."""


class LabelShift(Config):
    """How far the frequencies of the views differ from the source's, and what an allowance for it brings."""

    source_shares: dict[str, float]
    """Share of each view among the source validation frames."""
    shares: dict[str, float]
    """Share of each view among the scored frames here."""
    distance: float
    """Total variation distance of the two, 0 to 1."""
    estimated_shares: dict[str, float] | None
    """Shares here as estimated without a label of this site, by adjusted counting on temperature-scaled
    probabilities; null if they are not estimable."""
    estimated_low: dict[str, float] | None = None
    """Lower limits of their intervals, over patients here and at the source."""
    estimated_high: dict[str, float] | None = None
    """Upper limits."""
    nll_adjusted: float | None
    """Mean negative log-likelihood with probabilities moved to the estimated shares. No interval: the shares would have
    to be estimated anew in every replicate."""
    balanced_accuracy_adjusted: float | None
    """Balanced accuracy of the same; no interval, likewise."""
    reason: str | None = None
    """Why the shares are not estimable: the model tells the classes apart too little, or the frames here do not look
    like those of the source."""


class Stratum(Config):
    """One level of one factor at a site, e.g. one maker."""

    factor: str
    """`maker`, `mode`, `quality` (thirds of all test frames), `sex` or `age`."""
    level: str
    """Which level; `unknown` where the file did not say."""
    views: tuple[str, ...]
    """Views present in it."""
    balanced_accuracy: Estimate
    """Mean sensitivity over those."""
    difference: Estimate | None = None
    """That minus the balanced accuracy of all other frames of the site, over the views that both have; null in older
    files, for the level `unknown`, and without such a view."""
    simultaneous: Estimate | None = None
    """The difference with an interval that holds together with all others of `RunMetrics.subgroups`."""


class Probe(Config):
    """Accuracy on altered frames: what a model can read beside the heart."""

    alteration: str
    """`sector_masked`: the scan is blacked out; `background_swapped`: all but the scan comes from another frame."""
    balanced_accuracy: Estimate
    """Mean sensitivity over the views present, altered frames."""
    change: Estimate
    """That minus the balanced accuracy of the same frames unaltered, paired by cluster."""
    chance: float
    """What guessing reaches: one over the number of views present."""


class StressPoint(Config):
    """One level of one perturbation."""

    level: float
    """From 0, unperturbed, to 1, the end of the range."""
    balanced_accuracy: Estimate
    """Mean sensitivity over the views present; one frame of each clip."""
    change: Estimate
    """That minus the balanced accuracy of the same frames unperturbed, paired by cluster."""


class StressCurve(Config):
    """Accuracy under one kind of acoustic perturbation, by its level."""

    perturbation: str
    """The kind, such as `gain` or `shadow`; `all` is the mean over the kinds."""
    points: tuple[StressPoint, ...]
    """Levels in ascending order, without level 0; empty for `all`."""
    loss: Estimate
    """Area between the curve and the unperturbed accuracy: the mean loss of balanced accuracy over the levels 0 to 1
    (trapezoidal rule); positive is a loss."""


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
    study_balanced_accuracy: Estimate
    """The same over studies: the frames of one view in one study vote together."""
    macro_f1: Estimate
    """Mean F1 over the views present at the site, whatever the model invents beside them."""
    sensitivity: dict[str, Estimate]
    """By view: share of its frames that are called so."""
    ppv: dict[str, Estimate]
    """By view: share of the frames called so that are it, among frames of scored views; null for an absent view."""
    auroc: dict[str, Estimate]
    """By view: one against the rest, by the probability of that view."""
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
    reliability_scaled: tuple[ReliabilityBin, ...]
    """The same after division of the logits by the run's temperature; empty without one."""
    selective: Selective | None
    """Holding back the least confident frames; null without scored frames."""
    open_set: OpenSet
    """Frames outside the taxonomy."""
    label_shift: LabelShift | None
    """Frequencies of the views against the source; null without scored frames here or at source validation."""
    strata: tuple[Stratum, ...]
    """By maker, mode, quality, sex and age, where more than one level occurs in the file."""
    probes: tuple[Probe, ...]
    """Shortcut probes, where altered frames were predicted."""
    stress: tuple[StressCurve, ...] = ()
    """Stress test, where perturbed frames were predicted: one curve a kind, then `all`."""


class Temperature(Config):
    """One number that divides the logits."""

    value: float | None
    """Minimises the negative log-likelihood on source validation frames; null when there are none."""
    n: int
    """Frames it was fitted on."""
    reason: str | None = None
    """Why it is missing, or what weakens it."""
