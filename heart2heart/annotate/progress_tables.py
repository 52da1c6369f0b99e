"""The tables of the page: progress of the labeling, and agreement of the raters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from heart2heart.annotate.assignments import Assignments
from heart2heart.labels.agreement import ALL_VIEWS, measure_agreement
from heart2heart.labels.agreement_coefficients import ReadingMatrix
from heart2heart.labels.consensus import readings_by_target
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer

_MAX_SHOWN_MINUTES = 90.0  # a longer time is shown in hours
_MAX_READING_S = 300.0  # a longer reading includes a pause, and counts as this time


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Attributes:
        title: Caption.
        note: How the numbers are computed, in one sentence.
        columns: Headings.
        rows: One text per column.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def progress_tables(assignments: Assignments, *, disputes: bool = True) -> list[PageTable]:
    """Return the tables of finished and remaining work: in all, by hospital, by rater and by view.

    Args:
        assignments: The clips and their readings.
        disputes: Whether to show the number of clips on which readers disagree.
    """
    return [
        _overall(assignments, disputes),
        _by_site(assignments, disputes),
        _by_rater(assignments.events()),
        _by_view(assignments),
    ]


def _overall(assignments: Assignments, disputes: bool) -> PageTable:
    order = assignments.clip_order()
    counts = Counter(assignments.status(clip) for clip in order)
    readings_left = _readings_left(assignments, order)
    reading_seconds = [
        event.seconds for event in assignments.events() if event.kind == EventKind.LABEL and event.seconds is not None
    ]
    median_seconds = median(min(seconds, _MAX_READING_S) for seconds in reading_seconds) if reading_seconds else None
    minutes = 0.0 if median_seconds is None else readings_left * median_seconds / 60
    time = f"{minutes:.0f} min" if minutes < _MAX_SHOWN_MINUTES else f"{minutes / 60:.1f} h"
    rows = [("Clips to label", str(len(order))), ("Done", str(counts["agreed"] + counts["adjudicated"])),
            *([("Disagreements to decide", str(counts["disagreement"]))] if disputes else []),
            ("Readings left", str(readings_left)),
            ("Median time of a reading", "not known yet" if median_seconds is None else f"{median_seconds:.1f} s"),
            ("Time left, one person", "not known yet" if median_seconds is None else time)]  # fmt: skip
    note = "Time left is the readings left times the median time of a reading, without decisions on disagreements."
    return PageTable("All clips", note, ("", "now"), tuple(rows))


def _readings_left(assignments: Assignments, clips: Iterable[str]) -> int:
    unfinished = (clip for clip in clips if assignments.status(clip) in ("unread", "half"))
    return sum(assignments.required_readings(clip) - len(assignments.state(clip).readings) for clip in unfinished)


def _by_site(assignments: Assignments, disputes: bool) -> PageTable:
    by_site: dict[str, list[str]] = {}
    for clip in assignments.clip_order():
        by_site.setdefault(assignments.catalog.clips[clip].site, []).append(clip)
    rows = []
    for site, clips in sorted(by_site.items()):
        counts = Counter(assignments.status(clip) for clip in clips)
        done = counts["agreed"] + counts["adjudicated"]
        share = f"{100 * done / len(clips):.0f} %"
        readings_left = str(_readings_left(assignments, clips))
        rows.append((site, str(len(clips)), str(done), share, readings_left, str(counts["disagreement"])))
    columns = ("hospital", "clips", "done", "share", "readings left", "disagreements")
    n_columns = len(columns) if disputes else -1
    note = "A clip is done when its readers agree or an adjudicator has decided."
    return PageTable("By hospital", note, columns[:n_columns], tuple(row[:n_columns] for row in rows))


def _by_rater(events: Sequence[LabelEvent]) -> PageTable:
    rows = []
    clip_events = [event for event in active_events(events) if not event.frame]
    for rater in sorted({event.rater for event in clip_events}):
        rater_events = [event for event in clip_events if event.rater == rater]
        readings = {event.clip: event for event in rater_events if event.kind == EventKind.LABEL}
        decisions = {event.clip for event in rater_events if event.kind == EventKind.ADJUDICATION}
        seconds_spent = [min(event.seconds, _MAX_READING_S) for event in readings.values() if event.seconds is not None]
        clips_per_hour = (
            f"{3600 * len(seconds_spent) / sum(seconds_spent):.0f}" if sum(seconds_spent) > 0 else "not known"
        )
        value_counts = Counter(event.value for event in readings.values())
        counts = (
            len(readings),
            value_counts[LabelAnswer.UNSURE],
            value_counts[LabelAnswer.UNUSABLE],
            len(decisions),
            len(decisions & readings.keys()),
        )
        rows.append((rater, *map(str, counts), clips_per_hour))
    columns = ("rater", "clips read", "unsure", "unusable", "decided", "of own clips", "clips per hour")
    note = (
        "Decided: decisions on disagreements; of own clips: those that the adjudicator had also read. "
        f"Clips per hour of the time that clips were on the screen, with at most {_MAX_READING_S:.0f} s per clip."
    )
    return PageTable("By rater", note, columns, tuple(rows))


def _by_view(assignments: Assignments) -> PageTable:
    value_counts: Counter[str] = Counter()
    for clip in assignments.clip_order():
        state = assignments.state(clip)
        if assignments.status(clip) in ("agreed", "adjudicated"):
            value_counts[state.adjudication or next(iter(state.readings.values()))] += 1
    rows = [(value, str(count)) for value, count in sorted(value_counts.items())]
    return PageTable("By view", "Finished clips.", ("view", "clips"), tuple(rows))


def pairwise_agreement(events: Sequence[LabelEvent]) -> PageTable:
    """Return the number of clips that each two raters both read, and the number with the same answer.

    The answer `unsure` is not counted, and decisions of adjudicators are not readings.
    """
    n_both: Counter[tuple[str, str]] = Counter()
    n_same: Counter[tuple[str, str]] = Counter()
    for readings in readings_by_target(events).values():
        for pair in combinations(sorted(readings.readings), 2):
            n_both[pair] += 1
            n_same[pair] += readings.readings[pair[0]] == readings.readings[pair[1]]
    rows = tuple(
        (*pair, str(count), str(n_same[pair]), f"{100 * n_same[pair] / count:.0f} %")
        for pair, count in sorted(n_both.items())
    )
    columns = ("rater", "rater", "both read", "same", "share")
    return PageTable("Two raters, the same clip", "Before adjudication; not corrected for chance.", columns, rows)


def chance_corrected(events: Sequence[LabelEvent]) -> PageTable:
    """Return Krippendorff's alpha of all views and of each, and Cohen's kappa of each two raters.

    The answer `unsure` counts as a missing reading, `unusable` as a value like a view. `labels agree` adds intervals.
    """
    agreements = [
        agreement
        for agreement in measure_agreement(ReadingMatrix.from_events(events))
        if agreement.measure == "krippendorff" or agreement.view == ALL_VIEWS
    ]
    names = {"krippendorff": "Krippendorff's alpha", "cohen": "Cohen's kappa", "fleiss": "Fleiss' kappa"}
    rows = tuple(
        (names[agreement.measure], agreement.view, ", ".join(agreement.raters) or "all", str(agreement.units),
         agreement.note if agreement.value is None else f"{agreement.value:.2f}")
        for agreement in agreements
        if agreement.units
    )  # fmt: skip
    note = "Before adjudication; 0 is chance, 1 is full agreement. A view is compared with all others together."
    return PageTable("Corrected for chance", note, ("measure", "view", "raters", "clips", "value"), rows)


AGREEMENT_TABLES: tuple[Callable[[Sequence[LabelEvent]], PageTable], ...] = (pairwise_agreement, chance_corrected)
"""Tables of the page Agreement, in order; each takes the events of the clips to label."""


def agreement_tables(events: Sequence[LabelEvent]) -> list[PageTable]:
    """Return every table of `AGREEMENT_TABLES`."""
    return [make_table(events) for make_table in AGREEMENT_TABLES]
