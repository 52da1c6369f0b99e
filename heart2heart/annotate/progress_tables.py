"""The tables of the page: how far the work is, and how far the raters agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from heart2heart.annotate.assignments import Assignments
from heart2heart.labels.agreement import ALL_VIEWS, ReadingMatrix, measure_agreement
from heart2heart.labels.consensus import readings_by_target
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer

_MAX_SHOWN_MINUTES = 90.0  # from here on a time is told in hours
_MAX_READING_S = 300.0  # longer than this over one clip is a pause, and counts as so much


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Attributes:
        title: What it is about.
        note: How its numbers are made, in one sentence.
        columns: Headings.
        rows: One text a column.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def progress_tables(desk: Assignments, *, disputes: bool = True) -> list[PageTable]:
    """Return what is done and left: in all, by hospital, by rater and by view.

    Args:
        desk: Whose clips.
        disputes: Whether to tell on how many clips readers disagree.
    """
    return [_overall(desk, disputes), _by_site(desk, disputes), _by_rater(desk.events()), _by_view(desk)]


def _overall(desk: Assignments, disputes: bool) -> PageTable:
    order = desk.clip_order()
    counts = Counter(desk.status(clip) for clip in order)
    left = _readings_left(desk, order)
    paces = [event.seconds for event in desk.events() if event.kind == EventKind.LABEL and event.seconds is not None]
    pace = median(min(seconds, _MAX_READING_S) for seconds in paces) if paces else None
    minutes = 0.0 if pace is None else left * pace / 60
    time = f"{minutes:.0f} min" if minutes < _MAX_SHOWN_MINUTES else f"{minutes / 60:.1f} h"
    rows = [("Clips asked for", str(len(order))), ("Done", str(counts["agreed"] + counts["adjudicated"])),
            *([("Disagreements to decide", str(counts["disagreement"]))] if disputes else []),
            ("Readings left", str(left)),
            ("Median time of a reading", "not known yet" if pace is None else f"{pace:.1f} s"),
            ("Time left, one person", "not known yet" if pace is None else time)]  # fmt: skip
    note = "Time left is the readings left at the median time of a reading; decisions on disagreements come on top."
    return PageTable("All clips", note, ("", "now"), tuple(rows))


def _readings_left(desk: Assignments, clips: Iterable[str]) -> int:
    open_ = (clip for clip in clips if desk.status(clip) in ("unread", "half"))
    return sum(desk.readings_wanted(clip) - len(desk.state(clip).readings) for clip in open_)


def _by_site(desk: Assignments, disputes: bool) -> PageTable:
    by_site: dict[str, list[str]] = {}
    for clip in desk.clip_order():
        by_site.setdefault(desk.catalog.clips[clip].site, []).append(clip)
    rows = []
    for site, clips in sorted(by_site.items()):
        counts = Counter(desk.status(clip) for clip in clips)
        done = counts["agreed"] + counts["adjudicated"]
        share = f"{100 * done / len(clips):.0f} %"
        left = str(_readings_left(desk, clips))
        rows.append((site, str(len(clips)), str(done), share, left, str(counts["disagreement"])))
    columns = ("hospital", "clips", "done", "share", "readings left", "disagreements")
    kept = len(columns) if disputes else -1
    note = "A clip is done when its readers agree or an adjudicator decided."
    return PageTable("By hospital", note, columns[:kept], tuple(row[:kept] for row in rows))


def _by_rater(events: Sequence[LabelEvent]) -> PageTable:
    rows = []
    said = [event for event in active_events(events) if not event.frame]
    for rater in sorted({event.rater for event in said}):
        mine = [event for event in said if event.rater == rater]
        readings = {event.clip: event for event in mine if event.kind == EventKind.LABEL}
        rulings = {event.clip for event in mine if event.kind == EventKind.ADJUDICATION}
        spent = [min(event.seconds, _MAX_READING_S) for event in readings.values() if event.seconds is not None]
        pace = f"{3600 * len(spent) / sum(spent):.0f}" if sum(spent) > 0 else "not known"
        words = Counter(event.value for event in readings.values())
        counts = (
            len(readings),
            words[LabelAnswer.UNSURE],
            words[LabelAnswer.UNUSABLE],
            len(rulings),
            len(rulings & readings.keys()),
        )
        rows.append((rater, *map(str, counts), pace))
    columns = ("rater", "clips read", "unsure", "unusable", "decided", "of own clips", "clips per hour")
    note = (
        "Decided: disagreements; of own clips: those that the adjudicator had read as well. "
        f"Clips per hour over the time that clips were on the screen, at most {_MAX_READING_S:.0f} s counted for one."
    )
    return PageTable("By rater", note, columns, tuple(rows))


def _by_view(desk: Assignments) -> PageTable:
    words: Counter[str] = Counter()
    for clip in desk.clip_order():
        state = desk.state(clip)
        if desk.status(clip) in ("agreed", "adjudicated"):
            words[state.adjudication or next(iter(state.readings.values()))] += 1
    rows = [(word, str(count)) for word, count in sorted(words.items())]
    return PageTable("By view", "Clips that are done.", ("view", "clips"), tuple(rows))


def pairwise_agreement(events: Sequence[LabelEvent]) -> PageTable:
    """Return for each two raters how many clips both read and how many they called the same.

    Unsure is no opinion and not counted; a ruling is not a reading.
    """
    both: Counter[tuple[str, str]] = Counter()
    same: Counter[tuple[str, str]] = Counter()
    for said in readings_by_target(events).values():
        for pair in combinations(sorted(said.readings), 2):
            both[pair] += 1
            same[pair] += said.readings[pair[0]] == said.readings[pair[1]]
    rows = tuple(
        (*pair, str(count), str(same[pair]), f"{100 * same[pair] / count:.0f} %")
        for pair, count in sorted(both.items())
    )
    columns = ("rater", "rater", "both read", "same", "share")
    return PageTable("Two raters, the same clip", "Before adjudication; not corrected for chance.", columns, rows)


def chance_corrected(events: Sequence[LabelEvent]) -> PageTable:
    """Return Krippendorff's alpha of all views and of each, and Cohen's kappa of each two raters.

    Unsure is a missing reading, unusable a word like a view; intervals need the patients: `labels agree`.
    """
    found = [
        one
        for one in measure_agreement(ReadingMatrix.from_events(events))
        if one.measure == "krippendorff" or one.view == ALL_VIEWS
    ]
    names = {"krippendorff": "Krippendorff's alpha", "cohen": "Cohen's kappa", "fleiss": "Fleiss' kappa"}
    rows = tuple(
        (names[one.measure], one.view, ", ".join(one.raters) or "all", str(one.units),
         one.note if one.value is None else f"{one.value:.2f}")
        for one in found
        if one.units
    )  # fmt: skip
    note = "Before adjudication; 0 is chance, 1 is full agreement. A view is held against all others."
    return PageTable("Corrected for chance", note, ("measure", "view", "raters", "clips", "value"), rows)


AGREEMENT_TABLES: tuple[Callable[[Sequence[LabelEvent]], PageTable], ...] = (pairwise_agreement, chance_corrected)
"""What the page shows under Agreement, in order; each takes the events of the clips that are asked for."""


def agreement_tables(events: Sequence[LabelEvent]) -> list[PageTable]:
    """Return every table of `AGREEMENT_TABLES`."""
    return [make(events) for make in AGREEMENT_TABLES]
