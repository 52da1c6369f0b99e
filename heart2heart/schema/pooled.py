"""What `heart2heart pool` makes of several hospitals' counts: `pooled.json`."""

from __future__ import annotations

from heart2heart.config import Config
from heart2heart.schema.counts import HospitalCounts
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.site_metrics import Estimate

POOLED_SCHEMA_VERSION = 1

FROM_COUNTS = (
    "From counts: the hospitals released counts and no rows. Cells of fewer than five patients are hidden, and numbers "
    "that need rows are missing."
)
"""What a reader must know first."""


class PooledMethod(Config):
    """One method at one hospital."""

    method: str
    """Label of the method."""
    sensitivity: dict[str, Estimate]
    """By class: mean over the method's runs of the share of its frames that are right."""
    clip_balanced_accuracy: Estimate
    """Balanced accuracy by clip over the shown classes."""


class PooledHospital(Config):
    """One hospital."""

    site: str
    """The hospital."""
    sha256: str
    """Hash of its file of counts."""
    methods: tuple[PooledMethod, ...]
    """One for each method."""
    shares: dict[str, float] | None
    """Share of each class among its frames; null where a class is hidden."""
    shift: float | None
    """Total variation distance of these shares from those of the source, 0 to 1; null without a source or shares."""


class PooledMetrics(Config):
    """Everything computed from several files of counts."""

    schema_version: int = POOLED_SCHEMA_VERSION
    """Version of this layout."""
    note: str = FROM_COUNTS
    """What a reader must know first."""
    metrics: Metrics
    """Balanced accuracies, losses, differences and claims; `runs` is empty, since runs by frame need rows. Counts of a
    hospital with a hidden class are those of its shown classes."""
    hospitals: tuple[PooledHospital, ...]
    """In the order of `metrics.sites`."""
    counts: tuple[HospitalCounts, ...]
    """The files, in the same order; their runs are ordered as those of the first."""
