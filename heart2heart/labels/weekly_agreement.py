"""Agreement of each rater with the other raters of the same clips, by week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from heart2heart.labels.agreement_coefficients import Floats, gwet_ac1
from heart2heart.labels.events import LabelEvent, active_events, is_time
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.utils import random_stream

REPLICATES = 1000
_TAIL_PROBABILITY = 0.025
_MIN_STUDIES = 2


@dataclass(frozen=True)
class WeeklyAgreement:
    """Agreement of one rater in one week.

    Attributes:
        rater: Name of the rater.
        week: Week of ISO 8601 in which the rater read, such as `2026-W48`.
        pairs: Number of pairs of this rater's reading and another rater's of the same clip.
        same: Number of pairs with the same answer.
        value: Gwet's AC1; None when it is not estimable.
        low: Lower end of the 95 % interval over studies; None with fewer than two studies.
        high: Upper end of the interval.
    """

    rater: str
    week: str
    pairs: int
    same: int
    value: float | None
    low: float | None
    high: float | None


def iso_week(at: str) -> str:
    """Return the week of ISO 8601 of a time; empty for an unknown time.

    Examples:
        >>> iso_week("2026-11-28T12:00:00Z")
        '2026-W48'
    """
    if not at or not is_time(at):
        return ""
    year, week, _ = datetime.fromisoformat(at).isocalendar()
    return f"{year}-W{week:02d}"


def weekly_agreement(
    events: Sequence[LabelEvent], studies: Mapping[str, str], *, replicates: int = REPLICATES, seed: int = 0
) -> list[WeeklyAgreement]:
    """Return Gwet's AC1 of each rater with the others, by week of the rater's reading, oldest week first.

    The answer `unsure` is a missing reading; decisions of adjudicators are not readings. The percentile bootstrap
    resamples studies, because the clips of one study are similarly hard to read.

    Args:
        events: Label events in the order in which they were recorded.
        studies: Study by clip; a clip without one is a study of its own.
        replicates: Number of resamples.
        seed: Seed of the resamples.
    """
    last: dict[str, dict[str, LabelEvent]] = {}
    for event in active_events(events):
        if event.kind == EventKind.LABEL and not event.frame:
            last.setdefault(event.clip, {})[event.rater] = event
    pairs: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for clip, by_rater in last.items():
        known = {rater: event for rater, event in by_rater.items() if event.answer != LabelAnswer.UNSURE}
        for rater, event in known.items():
            for other, other_event in known.items():
                if other != rater:
                    row = (studies.get(clip, clip), event.value, other_event.value)
                    pairs.setdefault((rater, iso_week(event.at)), []).append(row)
    values = sorted({value for rows in pairs.values() for _, *both in rows for value in both})
    return [_agreement(rater, week, rows, values, replicates, seed) for (rater, week), rows in sorted(pairs.items())]


def _agreement(
    rater: str, week: str, rows: Sequence[tuple[str, str, str]], values: Sequence[str], replicates: int, seed: int
) -> WeeklyAgreement:
    studies = sorted({study for study, _, _ in rows})
    size = max(2, len(values))  # of one value alone, the agreement is full
    tables = np.zeros((len(studies), size, size))
    for study, own, other in rows:
        tables[studies.index(study), values.index(own), values.index(other)] += 1
    total: Floats = tables.sum(0)
    value = float(gwet_ac1(total))
    low = high = None
    if len(studies) >= _MIN_STUDIES:
        generator = random_stream(seed, "weekly agreement", rater, week)
        weights = generator.multinomial(len(studies), np.full(len(studies), 1 / len(studies)), size=replicates)
        resampled = gwet_ac1(np.tensordot(weights.astype(np.float64), tables, axes=1))
        low, high = (float(end) for end in np.nanquantile(resampled, (_TAIL_PROBABILITY, 1 - _TAIL_PROBABILITY)))
    same = int(np.trace(total))
    return WeeklyAgreement(rater, week, len(rows), same, None if np.isnan(value) else value, low, high)
