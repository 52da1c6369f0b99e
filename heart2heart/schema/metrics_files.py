"""What `folds.json` holds, as types, and the reading and writing of `metrics.json` and `folds.json`.

`folds.json` describes methods over several splits of the same data; docs/metrics.md has the prose.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.margin import MarginClaim, MarginVerdict
from heart2heart.schema.metrics import SCHEMA_VERSION, Metrics, SeedSpread, Simultaneous
from heart2heart.schema.site_metrics import Estimate
from heart2heart.schema.validation import DEFAULT_TASK
from heart2heart.utils import read_json, write_json

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
    """Two-sided p-value: 1 minus the confidence at which the interval just contains zero."""
    p_holm: float | None
    """The same after Holm's correction over the rows of this comparison."""
    simultaneous: Estimate | None = None
    """The difference with an interval that holds together with all others of `FoldMetrics.simultaneous`; null in older
    files."""
    p_joint: float | None = None
    """The p-value adjusted for all tests of `FoldMetrics.simultaneous`."""
    margin: MarginVerdict | None = None
    """Whether the candidate loses no more than `FoldMetrics.margin` against the reference; null without a margin or an
    interval."""
    pairs: SeedSpread
    """Spread of the difference over pairs of runs of the same split and seed."""

    @property
    def judged(self) -> Estimate:
        """The estimate that a claim rests on: the simultaneous one where there is one."""
        return self.simultaneous or self.difference


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
    simultaneous: Estimate | None = None
    """The same with a simultaneous interval; null in older files."""


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
    task: str = DEFAULT_TASK
    """Noun of what the classes are, e.g. `view` or `pneumonia`; other fields name them views for every task."""
    cases: bool = False
    """The rows are cases of a table, not frames of clips."""
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
    simultaneous: Simultaneous | None = None
    """The differences that are judged together; null in older files."""
    margin: MarginClaim | None = None
    """The largest acceptable loss; null: none was registered."""
    methods: tuple[FoldMethod, ...]
    """Every method that every split has."""
    comparisons: tuple[FoldComparison, ...]
    """Each later method against the first; each combined method against its base method, as
    `VAT + Fix-A-Step` against `VAT`; the two with the highest means over the held-out hospitals. No pair twice."""
    left_out: tuple[str, ...]
    """Methods that some split does not have, and that are therefore not summarised."""


def write_folds(metrics: FoldMetrics, path: Path) -> None:
    """Write `folds.json`, whole or not at all."""
    write_json(path, metrics.model_dump(mode="json"))


def read_folds(path: Path) -> FoldMetrics:
    """Read a `folds.json`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    what = "folds.json"
    return read_versioned(
        path, FoldMetrics, version=FOLD_SCHEMA_VERSION, what=what, verb="folds", upgrade=_upgrade_folds
    )


def _upgrade_folds(content: dict[str, Any]) -> dict[str, Any] | None:
    """Return version 1 in the layout of version 2: its titles alone say which method extends which."""
    if content.get("schema_version") != 1:
        return None
    titles = [method["method"] for method in content["methods"]]
    methods = []
    for method in content["methods"]:
        base = max((title for title in titles if method["method"].startswith(f"{title} + ")), key=len, default=None)
        addition = method["method"].removeprefix(f"{base} + ") if base else None
        methods.append({**method, "extends": base, "addition": addition})
    return {**content, "schema_version": FOLD_SCHEMA_VERSION, "methods": methods}


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write `metrics.json`, whole or not at all."""
    write_json(path, metrics.to_json())


def read_metrics(path: Path) -> Metrics:
    """Read a `metrics.json`.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    return read_versioned(
        path, Metrics, version=SCHEMA_VERSION, what="metrics file", verb="evaluate", upgrade=_upgrade_metrics
    )


def _upgrade_metrics(content: dict[str, Any]) -> dict[str, Any] | None:
    """Return version 2 in the layout of version 3, which only adds fields; the intervals stay."""
    return {**content, "schema_version": SCHEMA_VERSION} if content.get("schema_version") == 2 else None


M = TypeVar("M", bound=Config)


def read_versioned(
    path: Path,
    kind: type[M],
    *,
    version: int,
    what: str,
    verb: str,
    upgrade: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
) -> M:
    """Read a JSON file into its model.

    Args:
        path: The file.
        kind: The model.
        version: The schema version it must have.
        what: What a message calls the file.
        verb: The verb that writes it.
        upgrade: Returns the content of an older version in today's layout, or None if it cannot.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    content = read_json(path, what=what)
    if upgrade and isinstance(content, dict) and content.get("schema_version") != version:
        try:
            content = upgrade(content) or content
        except (KeyError, TypeError, AttributeError) as error:
            raise EvaluationError("these metrics are damaged", where=path, remedy="Evaluate again") from error
    if not isinstance(content, dict) or content.get("schema_version") != version:
        remedy = f"This version reads schema {version}; run `heart2heart {verb}` again"
        raise EvaluationError("these metrics have another schema version", where=path, remedy=remedy)
    try:
        return kind.parse(content, where=path)
    except ConfigError as error:
        raise EvaluationError("these metrics are damaged", where=path, remedy="Evaluate again") from error
