"""What may leave a hospital where rows may not: counts by hospital, and the report on several hospitals' counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.errors import ConfigError, ExistsError, UnknownNameError
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.schema.counts import HospitalCounts
    from heart2heart.schema.decision import DecisionRecord
    from heart2heart.schema.metrics import Metrics
    from heart2heart.schema.pooled import PooledMetrics
    from heart2heart.schema.predictions import Predictions

RELEASES = ("counts",)
"""What may be released."""

MAX_FILES = 1000
"""Largest number of files that are pooled."""


@dataclass(frozen=True)
class PooledReport:
    """The report on several hospitals' counts, on disk.

    Attributes:
        path: The HTML page; `pooled.json` and `metrics.json` are in the same folder.
        pooled: The numbers that it shows.
        table: The scores as a text table.
        decision: Whether the model may be used, by hospital; None without criteria.
    """

    path: Path
    pooled: PooledMetrics
    table: str
    decision: DecisionRecord | None = None

    @property
    def decisions(self) -> str:
        """The decision of each hospital in lines; empty without criteria."""
        from heart2heart.reporting.decision_section import decision_lines

        return decision_lines(self.decision) if self.decision else ""

    def __repr__(self) -> str:
        """Return the name of the page and its scores in one line."""
        return f"<PooledReport({self.path.name!r}): {self.pooled.metrics!r}>"

    def _repr_html_(self) -> str:
        """Return the scores, for a notebook."""
        return self.pooled.metrics._repr_html_()


def check_release(release: str | None) -> None:
    """Raise UnknownNameError unless `release` is None or a name of `RELEASES`.

    Examples:
        >>> from heart2heart.api.release import check_release
        >>> check_release("counts")
    """
    if release is not None and release not in RELEASES:
        raise UnknownNameError.among("release", release, list(RELEASES))


@audited(AuditAction.RELEASE, beside="folder", writes=["folder"])
def write_release(predictions: Predictions, folder: Path) -> Metrics:
    """Write the counts of each hospital of some predictions, and nothing else.

    Args:
        predictions: Certified predictions.
        folder: Folder for `counts_HOSPITAL.json`.

    Returns:
        The scores that follow from the counts.

    Raises:
        ExistsError: a file of counts is already there.
        EvaluationError: nothing of a hospital may leave it; no file is written.

    Examples:
        >>> from heart2heart.api.release import write_release
        >>> from heart2heart.api.validation_tables import certified_table
        >>> lines = [f"{i},p{i // 2},E,{'ab'[i % 2]},0.{1 + i % 9},0.{9 - i % 9}" for i in range(60)]
        >>> _ = Path("leaving.csv").write_text(chr(10).join(["case,patient,site,truth,a,b", *lines]))
        >>> options = {"task": "severity", "name": None, "synthetic": True, "command": "example"}
        >>> _ = write_release(certified_table(Path("leaving.csv"), None, **options), Path("leaving"))
        >>> [path.name for path in Path("leaving").iterdir()]
        ['counts_E.json']
    """
    from heart2heart.evaluation.pooling import pool_counts
    from heart2heart.evaluation.release import release_counts
    from heart2heart.schema.counts import write_counts

    if any(folder.glob("counts_*.json")):
        what = (
            "counts are already in this folder; a second release of nearly the same patients gives away the difference"
        )
        raise ExistsError(what, where=folder, remedy="Name another folder, and send only one of the two files")
    counts = release_counts(predictions)
    for each in counts:
        write_counts(each, folder / counts_file(each))
    return pool_counts(counts).metrics


def counts_file(counts: HospitalCounts) -> str:
    """Return the name of a hospital's file of counts.

    Examples:
        >>> from types import SimpleNamespace
        >>> from heart2heart.api.release import counts_file
        >>> counts_file(SimpleNamespace(site="E")), counts_file(SimpleNamespace(site="St. E/2"))
        ('counts_E.json', 'counts_St.-E-2_17f4cbd2.json')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", counts.site)[:80]
    ending = "" if plain == counts.site else f"_{sha256(counts.site.encode()).hexdigest()[:8]}"
    return f"counts_{plain}{ending}.json"


def pool(
    files: str | Path | Sequence[str | Path], out: str | Path, *, accept: str | Path | None = None
) -> PooledReport:
    """Score several hospitals from their counts, and write the report; no hospital shows a row.

    Where nothing is hidden, the accuracies, intervals, losses and claims are those of `evaluate` on the rows.

    Args:
        files: Files of `validate(..., release="counts")`, one a hospital.
        out: New folder for `report.html`, `pooled.json` and `metrics.json`.
        accept: Criteria (`write_criteria_template`): the report begins with the decision whether the model may be used
            at each hospital, and `decision.json` and `decision.pdf` are written beside it.

    Returns:
        The page, and the numbers that it shows.

    Raises:
        EvaluationError: a file that was changed after it was written; two files of one hospital; or files of other
            models, classes, tasks, margins or training splits; or criteria that contradict the counts.
        ConfigError: criteria that are impossible or contradict each other, or an unknown key.
        ExistsError: the folder holds a pooled report.

    Examples:
        >>> import heart2heart as h2h
        >>> for site, number in (("E", 9), ("F", 7)):
        ...     rows = [f"{i},p{i // 2},{site},{'ab'[i % 2]},0.{1 + i % number},0.{9 - i % number}" for i in range(60)]
        ...     _ = Path(f"{site}.csv").write_text(chr(10).join(["case,patient,site,truth,a,b", *rows]))
        ...     _ = h2h.validate(f"{site}.csv", site, task="severity", name="M", release="counts")
        >>> h2h.pool(["E/counts_E.json", "F/counts_F.json"], "pooled")
        <PooledReport('report.html'): <Metrics: M at E, F>>
    """
    from heart2heart.evaluation.pooled_decision import make_pooled_decision
    from heart2heart.evaluation.pooling import pool_counts
    from heart2heart.reporting.counts_page import write_counts_page
    from heart2heart.reporting.score_table import summary_table
    from heart2heart.reporting.writer import write_decision
    from heart2heart.schema.counts import read_counts
    from heart2heart.schema.criteria import read_criteria
    from heart2heart.schema.metrics_files import write_metrics
    from heart2heart.utils import write_json

    folder = Path(out)
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if len(paths) > MAX_FILES:
        raise ConfigError(f"{len(paths)} files are more than {MAX_FILES}", remedy="Pool fewer hospitals at a time")
    if (folder / "pooled.json").exists():
        raise ExistsError("a pooled report is already in this folder", where=folder, remedy="Name another folder")
    criteria = read_criteria(Path(accept)) if accept else None
    pooled = pool_counts([read_counts(path) for path in paths])
    decision = make_pooled_decision(pooled, criteria) if criteria else None
    write_json(folder / "pooled.json", pooled.model_dump(mode="json"))
    write_metrics(pooled.metrics, folder / "metrics.json")
    page = write_counts_page(pooled, folder / "report.html", decision=decision)
    if decision:
        write_decision(decision, folder)
    return PooledReport(page, pooled, summary_table(pooled.metrics), decision)
