"""What `metrics.json` holds of one method over all hospitals, and of two methods compared."""

from __future__ import annotations

from heart2heart.config import Config
from heart2heart.schema.margin import MarginVerdict
from heart2heart.schema.site_metrics import Estimate


class SiteGap(Config):
    """How much is lost between the source and one held-out site."""

    site: str
    """The held-out hospital."""
    views: tuple[str, ...]
    """Views present at the source and there: the gap is taken over these."""
    gap: Estimate
    """Balanced accuracy at the source minus there; positive is a loss."""
    simultaneous: Estimate | None = None
    """The same with an interval that holds together with all others of `Metrics.simultaneous`; null in older files and
    without a gap."""

    margin: MarginVerdict | None = None
    """What the simultaneous interval shows about `Metrics.margin`; null without a margin or an interval."""

    @property
    def judged(self) -> Estimate:
        """The estimate that a claim rests on: the simultaneous one where there is one."""
        return self.simultaneous or self.gap


class WorstCell(Config):
    """One view at one held-out site, among those with at least `Metrics.few_clusters_below` clusters."""

    site: str
    """The held-out hospital."""
    view: str
    """The view."""
    sensitivity: Estimate
    """Mean over the method's runs. Since the cell is chosen for being low, the interval is one that holds for all
    `cells` at once (Bonferroni)."""
    cells: int = 1
    """Cells that it was chosen among."""


class RandomEffects(Config):
    """Held-out sites as a sample of hospitals: DerSimonian-Laird with the Hartung-Knapp interval."""

    mean: float | None
    """Mean balanced accuracy of such hospitals."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    """Upper end."""
    between: float | None
    """Standard deviation between hospitals."""
    prediction_low: float | None
    """Lower end of the 95 % prediction interval of one new hospital."""
    prediction_high: float | None
    """Upper end."""
    sites: int
    """Held-out sites with an interval."""
    reason: str | None = None
    """Why it is missing."""


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
    worst_cell: WorstCell | None
    """The view and held-out site with the smallest sensitivity; null if no cell has enough clusters."""
    random_effects: RandomEffects
    """What hospitals like these may do, from five held-out sites on."""


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
    """Two-sided p-value: 1 minus the confidence at which the interval just contains zero."""
    p_holm: float | None
    """The same after Holm's correction over the sites of this comparison."""
    simultaneous: Estimate | None = None
    """The difference with an interval that holds together with all others of `Metrics.simultaneous`; null in older
    files."""
    p_joint: float | None = None
    """The p-value adjusted for all tests of `Metrics.simultaneous`."""
    margin: MarginVerdict | None = None
    """Whether the candidate loses no more than `Metrics.margin` against the reference; null without a margin or an
    interval."""
    seeds: SeedSpread
    """Spread of the difference over seeds that both methods have."""

    @property
    def judged(self) -> Estimate:
        """The estimate that a claim rests on: the simultaneous one where there is one."""
        return self.simultaneous or self.difference


class Comparison(Config):
    """Two methods at every site."""

    reference: str
    """The method compared against: the first in the file."""
    candidate: str
    """The method compared."""
    sites: tuple[SiteDifference, ...]
    """One for each site."""
