"""Agreement of raters on image quality, and tables of quality, marked frames and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from heart2heart.errors import ConfigError
from heart2heart.labels.agreement_coefficients import weighted_kappa
from heart2heart.labels.clip_events import ClipEvent, latest_values, parse_marks
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.table_files import write_rows
from heart2heart.schema.enums import ClipEventKind, ImageQuality

SCALE = tuple(quality.value for quality in ImageQuality)
"""Image quality, best first."""


@dataclass(frozen=True)
class QualityAgreement:
    """Agreement of two raters on image quality.

    Attributes:
        raters: The two raters.
        clips: Number of clips that both rated.
        same: Number of clips with the same quality.
        kappa: Weighted kappa with quadratic weights; None when it is not estimable.
    """

    raters: tuple[str, str]
    clips: int
    same: int
    kappa: float | None


def quality_agreement(events: Sequence[ClipEvent]) -> list[QualityAgreement]:
    """Return the agreement of each two raters who rated the same clips.

    Args:
        events: Events in the order in which they were recorded.
    """
    tables: dict[tuple[str, str], np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
    for by_rater in latest_values(events, ClipEventKind.QUALITY).values():
        for first, second in combinations(sorted(by_rater), 2):
            table = tables.setdefault((first, second), np.zeros((len(SCALE), len(SCALE))))
            table[SCALE.index(by_rater[first]), SCALE.index(by_rater[second])] += 1
    agreements = []
    for raters, table in sorted(tables.items()):
        kappa = float(weighted_kappa(table))
        agreements.append(
            QualityAgreement(raters, int(table.sum()), int(np.trace(table)), None if np.isnan(kappa) else kappa)
        )
    return agreements


SECOND_COLUMNS = {
    ClipEventKind.QUALITY: ("clip", "rater", "quality", "at"),
    ClipEventKind.MARKS: ("clip", "rater", "phase", "frame", "at"),
    ClipEventKind.NOTE: ("clip", "rater", "note", "at"),
}
"""Columns of the tables that `second_rows` makes, by kind."""


def second_rows(events: Sequence[ClipEvent], kind: ClipEventKind) -> list[tuple[str | int, ...]]:
    """Return one row for each rater's present quality or note of a clip, or for each marked frame.

    Args:
        events: Events in the order in which they were recorded.
        kind: A key of `SECOND_COLUMNS`.
    """
    times = {(event.clip, event.rater): event.at for event in events if event.kind == kind}
    rows: list[tuple[str | int, ...]] = []
    for clip, by_rater in sorted(latest_values(events, kind).items()):
        for rater, value in sorted(by_rater.items()):
            at = times[clip, rater]
            if kind == ClipEventKind.MARKS:
                marks = parse_marks(value)
                rows += [(clip, rater, phase, frame, at) for phase in marks for frame in marks[phase]]
            else:
                rows.append((clip, rater, value, at))
    return rows


def export_clip_events(label_store: LabelStore, out: Path, kind: ClipEventKind) -> int:
    """Write quality, marked frames or notes as a table, and return the number of rows.

    Args:
        label_store: The label store.
        out: CSV or Parquet file to write; an existing file is replaced.
        kind: A key of `SECOND_COLUMNS`.

    Raises:
        ConfigError: the format is not clear from the name.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError("this table is written as CSV or Parquet", where=out, remedy="Name a .csv or .parquet file")
    rows = second_rows([event for _, event in label_store.clip_events()], kind)
    write_rows(out, SECOND_COLUMNS[kind], rows, parquet=out.suffix == ".parquet")
    return len(rows)
