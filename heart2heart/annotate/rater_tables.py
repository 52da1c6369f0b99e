"""The page of the raters: each rater's agreement over time, the readings of gold clips, and the work of today."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Any

from heart2heart.annotate.progress_tables import PageTable
from heart2heart.annotate.reading_state import ReadingState
from heart2heart.labels.events import active_events
from heart2heart.labels.gold import gold_scores
from heart2heart.labels.quality import quality_agreement
from heart2heart.labels.reading_time import active_seconds
from heart2heart.labels.weekly_agreement import weekly_agreement
from heart2heart.schema.enums import EventKind

_BAR = 20  # characters of a bar for an agreement of 1


def rater_tables(state: ReadingState) -> list[PageTable]:
    """Return the tables of the page of the raters, which only an adjudicator may see."""
    return [_over_time(state), _gold(state), _quality(state)]


def _over_time(state: ReadingState) -> PageTable:
    studies = {clip: entry.study for clip, entry in state.catalog.clips.items()}
    rows = [
        (
            agreement.rater,
            agreement.week or "not known",
            str(agreement.pairs),
            str(agreement.same),
            "not estimable" if agreement.value is None else f"{agreement.value:.2f}",
            _interval(agreement.low, agreement.high),
            "" if agreement.value is None else "▪" * round(_BAR * max(0.0, agreement.value)),
        )
        for agreement in weekly_agreement(state.events(), studies)
    ]
    note = (
        "Gwet's AC1 of a rater's readings and those of others of the same clips, by week of the rater's reading, "
        "before adjudication. 0 is chance, 1 full agreement. The interval resamples studies, if there are two or more."
    )
    columns = ("rater", "week", "pairs", "same", "AC1", "95 % interval", "as a bar")
    return PageTable("Each rater over time", note, columns, tuple(rows))


def _gold(state: ReadingState) -> PageTable:
    rows = [
        (
            score.rater,
            score.view,
            str(score.read),
            str(score.right),
            str(score.unsure),
            f"{100 * score.right / score.read:.0f} %" if score.read else "not known",
            _interval(score.low, score.high),
        )
        for score in gold_scores(state.notes.gold, state.gold.all_readings())
    ]
    note = (
        f"{len(state.notes.gold)} gold clips. Readings of clips with a known label, by raters who could not know it: "
        "they are no labels. The interval is Wilson's."
    )
    columns = ("rater", "view", "read", "right", "unsure", "share", "95 % interval")
    return PageTable("Gold clips", note, columns, tuple(rows))


def _quality(state: ReadingState) -> PageTable:
    rows = [
        (*agreement.raters, str(agreement.clips), str(agreement.same),
         "not estimable" if agreement.kappa is None else f"{agreement.kappa:.2f}")
        for agreement in quality_agreement(state.notes.clip_events)
    ]  # fmt: skip
    note = "Weighted kappa with quadratic weights, of clips whose image quality both raters gave, blind to each other."
    return PageTable("Image quality", note, ("rater", "rater", "both rated", "same", "kappa"), tuple(rows))


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def today_counts(state: ReadingState, rater: str, now: datetime) -> dict[str, Any]:
    """Return the clips that a rater read today, those left, and the minutes left at the rater's own median.

    Args:
        state: The clips and their readings.
        rater: Name of the rater.
        now: Present time, UTC; the day begins at midnight UTC.
    """
    readings = [*active_events(state.events()), *state.gold.all_readings()]
    own = [event for event in readings if event.rater == rater and event.kind != EventKind.ADJUDICATION]
    today = now.date().isoformat()
    times = active_seconds(own).get(rater, [])
    left = len(state.clips_left(rater))
    minutes = None if not times else round(left * median(times) / 60, 1)
    return {"today": len({event.clip for event in own if event.at[:10] == today}), "left": left, "minutes": minutes}
