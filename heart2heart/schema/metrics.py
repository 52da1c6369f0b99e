"""What `metrics.json` holds, as types; docs/metrics.md describes every field in prose.

A number that the data cannot give is null with a `reason`, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heart2heart.config import Config
from heart2heart.notebook import data_frame, html_card, html_table
from heart2heart.schema.margin import MarginClaim
from heart2heart.schema.method_metrics import (
    Comparison,
    Generalisation,
    MethodMetrics,
    MethodSite,
    RandomEffects,
    SeedSpread,
    SiteDifference,
    SiteGap,
    WorstCell,
)
from heart2heart.schema.site_metrics import Calibration, Estimate, OpenSet, ReliabilityBin, SiteMetrics, Temperature
from heart2heart.schema.validation import DEFAULT_TASK, TrainingData

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA_VERSION",
    "Calibration",
    "Comparison",
    "Estimate",
    "Generalisation",
    "MethodMetrics",
    "MethodSite",
    "Metrics",
    "OpenSet",
    "RandomEffects",
    "ReliabilityBin",
    "RunMetrics",
    "SeedSpread",
    "Simultaneous",
    "SiteDifference",
    "SiteGap",
    "SiteMetrics",
    "SiteSummary",
    "Temperature",
    "WorstCell",
]

SCHEMA_VERSION = 3
"""3: intervals of accuracies by cluster Wilson and MOVER, simultaneous intervals, margins.
2: study votes, AUROC by view, debiased calibration, selective prediction, three open-set scores with AUPR and FPR,
label shift, strata, probes, worst cell and random effects."""


class Simultaneous(Config):
    """Claims that are judged together, as one family with one error rate."""

    tests: int
    """Claims that have an interval. In a report: losses (methods by held-out hospitals) and differences (later methods
    by hospitals)."""
    each: float
    """Nominal coverage of each simultaneous interval: all of them hold at once with `Metrics.confidence`."""


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
    subgroups: Simultaneous | None = None
    """The differences of subgroups at all sites, as one family; null in older files."""


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
    task: str = DEFAULT_TASK
    """Noun of what the classes are, e.g. `view` or `pneumonia`; other fields name them views for every task."""
    training_data: TrainingData | None = None
    """Of a validation: what of the training data was compared with it; null: an evaluation of a split."""
    training_data_note: str | None = None
    """The same in one sentence."""
    unit: str = "patient"
    """What is resampled."""
    confidence: float
    """Nominal coverage of every interval."""
    interval: str
    """How intervals are made."""
    simultaneous: Simultaneous | None = None
    """The claims that are judged together; null in older files."""
    margin: MarginClaim | None = None
    """The largest acceptable loss; null: none was registered."""
    kept_on_validation: float
    """Share of the source validation frames that the frozen confidence threshold keeps."""
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

    def scores(self) -> list[dict[str, Any]]:
        """Return one row a hospital and method: balanced accuracy with its interval, 0 to 1."""
        return [
            {"method": method.method, "site": site.site, "part": "held out" if summary.held_out else "source",
             "synthetic": summary.synthetic, f"{self.unit}s": summary.clusters,
             "balanced_accuracy": site.balanced_accuracy.value, "low": site.balanced_accuracy.low,
             "high": site.balanced_accuracy.high}
            for method in self.methods
            for summary, site in zip(self.sites, method.sites, strict=True)
        ]  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """Return `scores` as a pandas DataFrame.

        Examples:
            >>> from heart2heart import read_metrics
            >>> read_metrics("evaluation/metrics.json").to_frame()["site"].tolist()
            ['A', 'B']
        """
        return data_frame(self.scores())

    def __repr__(self) -> str:
        """Return methods and hospitals in one line."""
        methods, sites = (
            ", ".join(names) for names in ([m.method for m in self.methods], [s.site for s in self.sites])
        )
        return f"<Metrics: {methods} at {sites}{' (SYNTHETIC data)' if self.synthetic else ''}>"

    def _repr_html_(self) -> str:
        """Return the balanced accuracy of each method and hospital, for a notebook."""
        rows = self.scores()
        table = html_table(list(rows[0]) if rows else (), [list(row.values()) for row in rows])
        return html_card(f"Balanced accuracy, {100 * self.confidence:.0f} % intervals over {self.unit}s", table)

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON types."""
        return self.model_dump(mode="json")
