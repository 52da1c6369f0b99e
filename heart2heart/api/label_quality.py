"""How good labels are: the agreement of raters, and labels that a model contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.labels import open_label_store
from heart2heart.api.splits import open_stores

if TYPE_CHECKING:
    from heart2heart.labels.agreement import Agreement
    from heart2heart.labels.label_errors import LabelIssues
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_tables import FrameTables


@dataclass(frozen=True)
class AgreementResult:
    """Agreement of raters.

    Attributes:
        measures: Every measure, hospital and view.
        rows: Cells of a table; `*` marks an interval over few patients.
        few_patients: Intervals over fewer patients are probably too narrow.
        has_few: Whether a row has such an interval.
    """

    measures: list[Agreement]
    rows: list[tuple[object, ...]]
    few_patients: int
    has_few: bool


def measure_agreement(
    labels: str | Path | LabelStore,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    unsure: str = "missing",
    unusable: str = "word",
    replicates: int = 2000,
    seed: int = 0,
    by_view: bool = False,
    out: str | Path | None = None,
) -> AgreementResult:
    """Measure how far raters agree beyond chance, with 95 % intervals over patients.

    Args:
        labels: The label store.
        store: The stores with the clips.
        unsure: Count `unsure` as `missing`, or as a `word` like a view.
        unusable: Count `unusable` as `missing`, or as a `word` like a view.
        replicates: Resamples of patients.
        seed: Seed of the resamples.
        by_view: Return the rows of each view as well.
        out: File for all measures (CSV or Parquet).

    Examples:
        >>> from heart2heart.api import measure_agreement
        >>> agreement = measure_agreement("labels.db", "store", replicates=200, out="agreement.csv")
        >>> agreement.few_patients > 0
        True
    """
    from heart2heart.labels.agreement import ALL_VIEWS, FEW_PATIENTS, Agreement, measure_agreement, unit_locations
    from heart2heart.labels.agreement_coefficients import ReadingMatrix
    from heart2heart.labels.table_files import write_rows

    readings = ReadingMatrix.from_events(open_label_store(labels).events(), unsure=unsure, unusable=unusable)
    measures = measure_agreement(readings, unit_locations(open_stores(store)), replicates=replicates, seed=seed)
    if out is not None:
        cells = (
            [", ".join(cell) if isinstance(cell, tuple) else cell for cell in astuple(measure)] for measure in measures
        )
        target = Path(out)
        write_rows(target, [field.name for field in fields(Agreement)], cells, parquet=target.suffix == ".parquet")
    shown = [measure for measure in measures if by_view or measure.view == ALL_VIEWS]
    few = any(measure.low is not None and measure.patients < FEW_PATIENTS for measure in shown)
    return AgreementResult(measures, [_agreement_row(measure, FEW_PATIENTS) for measure in shown], FEW_PATIENTS, few)


def _agreement_row(measure: Agreement, few: int) -> tuple[object, ...]:
    mark = "*" if measure.patients < few else ""
    interval = "" if measure.low is None or measure.high is None else f"{measure.low:.2f} to {measure.high:.2f}{mark}"
    value, raters = "" if measure.value is None else f"{measure.value:.3f}", ", ".join(measure.raters)
    names = (measure.measure, measure.site, measure.view, raters)
    return (*names, measure.units, measure.patients, value, interval, measure.note)


def label_errors(
    out: str | Path,
    predictions: Sequence[str | Path],
    labels: str | Path | LabelStore,
    *,
    rule: str = "latest",
    most: int | None = None,
    judge: str = "confident_learning",
) -> tuple[LabelIssues, int]:
    """Rank labels that a model contradicts on clips it did not train on, and queue them for another reading.

    Args:
        out: Queue to write (CSV or Parquet).
        predictions: `predictions.parquet` of each split.
        labels: The label store.
        rule: How a clip's events become one label.
        most: Largest number of clips to write. None writes all.
        judge: `confident_learning` or `cleanlab`.

    Returns:
        The likely errors, and the number of clips written.

    Examples:
        >>> from heart2heart.api import label_errors
        >>> errors, written = label_errors("review.csv", ["evaluation/predictions.parquet"], "labels.db")
        >>> errors.clips >= len(errors.issues) == written
        True
    """
    from heart2heart.labels.label_errors import find_label_errors, write_review_queue
    from heart2heart.labels.task_labels import task_events
    from heart2heart.schema.predictions import Predictions

    tables = [Predictions.read(Path(path)) for path in predictions]
    classes = tables[0].provenance.classes if tables else ()
    issues = find_label_errors(tables, task_events(open_label_store(labels), classes), rule, judge)
    return issues, write_review_queue(issues.issues[:most], Path(out))
