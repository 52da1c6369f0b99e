"""Reads clips with predictions, and labels of some of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import EvaluationError, MissingInputError

if TYPE_CHECKING:
    from heart2heart.evaluation.cases import Cases


def read_cases(path: str | Path, *, site: str | None = None) -> Cases:
    r"""Read the clips of predictions, with or without labels.

    Args:
        path: `predictions.parquet` or its folder; a table of predictions, CSV or Parquet; or the CSV of
            `heart2heart predict`.
        site: Hospital: of all clips of a table without a column `site`, else the only one to keep.

    Raises:
        MissingInputError: no such file.
        EvaluationError: no predictions, or none of this hospital.

    Examples:
        >>> from heart2heart.api import read_cases
        >>> read_cases("evaluation", site="B").sites
        ['B']
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from heart2heart.evaluation.case_table import read_case_table
    from heart2heart.evaluation.cases import cases_of_predictions
    from heart2heart.schema.predictions import Predictions

    file = Path(path)
    file = file / "predictions.parquet" if file.is_dir() else file
    evaluated = False
    if file.suffix.lower() == ".parquet":
        try:
            evaluated = b"heart2heart" in (pq.read_schema(file).metadata or {})
        except FileNotFoundError as error:
            remedy = "Make them with `heart2heart evaluate`, `predict --format csv` or `queue --predictions`"
            raise MissingInputError("no predictions here", where=file, remedy=remedy) from error
        except (OSError, ValueError, pa.ArrowException) as error:
            raise EvaluationError("this file is damaged, or not Parquet", where=file, remedy="Copy it again") from error
    cases = cases_of_predictions(Predictions.read(file)) if evaluated else read_case_table(file, site=site)
    return cases if site is None else cases.at(site)


def read_audit_labels(path: str | Path) -> dict[str, str]:
    r"""Read the view of each clip, from a label store or from a table with the columns `clip` and `truth`.

    Args:
        path: Label store; or CSV or Parquet, where `case`, `file` or `view` may be the names of the columns too.

    Returns:
        Name of the clip to class; a clip that was read as unusable has the class `unusable`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: no such column, or a clip with two labels.

    Examples:
        >>> _ = Path("audited.csv").write_text("clip,truth\nc1,A4C\nc2,\n")
        >>> read_audit_labels("audited.csv")
        {'c1': 'A4C'}
    """
    file = Path(path)
    if file.suffix.lower() not in (".csv", ".parquet"):
        from heart2heart.labels.consensus import consensus_labels
        from heart2heart.labels.events import active_events
        from heart2heart.labels.label_store import LabelStore

        events = active_events(LabelStore(file).events())
        agreed = consensus_labels(events)
        of_frames = {event.clip: agreed[event.frame] for event in events if event.frame and event.frame in agreed}
        return of_frames | {event.clip: agreed[event.clip] for event in events if event.clip in agreed}
    from heart2heart.evaluation.table_file import read_text_table

    table = read_text_table(file)
    columns = dict(zip(table.header, table.columns, strict=True))
    name = next((columns[key] for key in ("clip", "case", "file") if key in columns), None)
    truth = next((columns[key] for key in ("truth", "view") if key in columns), None)
    if name is None or truth is None:
        remedy = "Give the columns clip and truth"
        raise EvaluationError("this table of labels lacks a column", where=file, remedy=remedy)
    labels: dict[str, str] = {}
    for row, clip, value in zip(table.row_numbers, name, truth, strict=True):
        if value and labels.setdefault(clip, value) != value:
            remedy = "Keep one label a clip"
            raise EvaluationError("this clip has another label before", where=f"{file}, row {row}", remedy=remedy)
    return labels
