"""Agreement of raters on image quality, and the rows of tables of quality, marked frames and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from heart2heart.labels.agreement_coefficients import weighted_kappa
from heart2heart.labels.clip_events import ClipEvent, current_events, latest_values, parse_marks
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
    rows: list[tuple[str | int, ...]] = []
    for event in current_events(events, [kind]):
        if kind == ClipEventKind.MARKS:
            marks = parse_marks(event.value)
            rows += [(event.clip, event.rater, phase, frame, event.at) for phase in marks for frame in marks[phase]]
        else:
            rows.append((event.clip, event.rater, event.value, event.at))
    return rows
