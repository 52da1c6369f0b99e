"""What `folds.json` holds: methods over several splits of the same data, as types; docs/metrics.md has the prose."""

from __future__ import annotations

from heart2heart.config import Config
from heart2heart.schema.metrics import SeedSpread
from heart2heart.schema.site_metrics import Estimate

FOLD_SCHEMA_VERSION = 2


class FoldSite(Config):
    """One method at one hospital, over the splits in which the hospital has this part."""

    site: str
    """The hospital."""
    held_out: bool
    """Whether it was held out in these splits, or a source."""
    balanced_accuracy: Estimate
    """Mean over splits and, in each, over seeds; the interval is of patient sampling, with splits and seeds fixed."""
    by_fold: dict[str, float]
    """By split: mean over its seeds."""
    folds: SeedSpread
    """Spread of those over the splits."""
    seeds: SeedSpread
    """Spread over seeds within a split: deviations from the split's mean, pooled; `low` and `high` are deviations."""


class FoldMethod(Config):
    """One method over all splits."""

    method: str
    """Title for readers."""
    extends: str | None = None
    """The method that this one adds something to, e.g. `VAT` for `VAT + Fix-A-Step`; null: none that was run."""
    addition: str | None = None
    """What it adds, e.g. `Fix-A-Step`."""
    runs: int
    """Runs over all splits."""
    sites: tuple[FoldSite, ...]
    """Each hospital, and each part that it has."""
    held_out: Estimate
    """Unweighted mean over the hospitals where they are held out."""


class FoldDifference(Config):
    """Candidate minus reference at one hospital, paired by cluster, split and, where both have them, seeds."""

    site: str
    """The hospital."""
    held_out: bool
    """Whether it was held out in these splits, or a source."""
    difference: Estimate
    """Difference of the mean over splits and seeds; positive favours the candidate."""
    p: float | None
    """Two-sided bootstrap p-value."""
    p_holm: float | None
    """The same after Holm's correction over the rows of this comparison."""
    pairs: SeedSpread
    """Spread of the difference over pairs of runs of the same split and seed."""


class FoldComparison(Config):
    """Two methods over all splits."""

    reference: str
    """The method compared against."""
    candidate: str
    """The method compared."""
    sites: tuple[FoldDifference, ...]
    """Each hospital, and each part that it has."""
    held_out: Estimate
    """Difference of the unweighted means over the hospitals where they are held out."""


class FoldMetrics(Config):
    """Everything computed from the predictions of several splits."""

    schema_version: int = FOLD_SCHEMA_VERSION
    """Version of this layout."""
    splits: dict[str, str]
    """By split its hash."""
    synthetic: bool
    """At least one hospital is simulated."""
    classes: tuple[str, ...]
    """Views the models can predict, in the order of the logits."""
    unit: str
    """What is resampled."""
    confidence: float
    """Nominal coverage of every interval."""
    replicates: int
    """Bootstrap replicates."""
    seed: int
    """Seed of the bootstrap."""
    few_clusters_below: int
    """An estimate on fewer clusters than this is flagged."""
    methods: tuple[FoldMethod, ...]
    """Every method that every split has."""
    comparisons: tuple[FoldComparison, ...]
    """Each later method against the first; each combined method against its base method, as
    `VAT + Fix-A-Step` against `VAT`; the two with the highest means over the held-out hospitals. No pair twice."""
    left_out: tuple[str, ...]
    """Methods that some split does not have, and that are therefore not summarised."""
