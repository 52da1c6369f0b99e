"""The tables of the page: progress of the labeling, and agreement of the raters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

from heart2heart.annotate.assignments import Assignments
from heart2heart.labels.agreement import ALL_VIEWS, measure_agreement
from heart2heart.labels.agreement_coefficients import ReadingMatrix
from heart2heart.labels.consensus import readings_by_target
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.labels.reading_time import active_seconds, median_seconds
from heart2heart.schema.enums import EventKind, LabelAnswer

_MAX_SHOWN_MINUTES = 90.0  # a longer time is shown in hours


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


def progress_tables(assignments: Assignments, *, reader: str = "") -> list[PageTable]:
    """Return the tables of finished and remaining work: in all, by hospital, by rater and by view.

    Args:
        assignments: The clips and their readings.
        reader: A reader who is no adjudicator. Then the tables leave out the clips on which readers disagree, and count
            this reader's gold clips like others, so that no number tells which clips are gold. Empty: neither.
    """
    gold = _gold_of(assignments, reader) if reader else []
    return [
        _overall(assignments, not reader, gold),
        _by_site(assignments, not reader, gold),
        _by_rater(assignments, reader),
        _by_view(assignments, gold),
    ]


def _gold_of(assignments: Assignments, rater: str) -> list[tuple[str, str | None]]:
    """Return hospital and the rater's answer of each gold clip that the rater has read or is to read."""
    due = [clip for clip in assignments.clips_left(rater) if clip in assignments.notes.gold]
    read = [event.clip for event in assignments.gold.all_readings() if event.rater == rater]
    clips = [clip for clip in dict.fromkeys([*read, *due]) if clip in assignments.catalog.clips]
    return [(assignments.catalog.clips[clip].site, assignments.own_reading(clip, rater)) for clip in clips]


def _to_label(assignments: Assignments) -> list[str]:
    """Return the clips to label; a gold clip that nobody has labeled is none of them."""
    finished = ("agreed", "adjudicated")
    gold = assignments.notes.gold
    return [clip for clip in assignments.clip_order() if clip not in gold or assignments.status(clip) in finished]


def _overall(assignments: Assignments, disputes: bool, gold: Sequence[tuple[str, str | None]]) -> PageTable:
    order = _to_label(assignments)
    counts = Counter(assignments.status(clip) for clip in order)
    n_gold_left = sum(answer is None for _, answer in gold)
    readings_left = _readings_left(assignments, order) + n_gold_left
    done = counts["agreed"] + counts["adjudicated"] + len(gold) - n_gold_left
    seconds = median_seconds(_times(assignments))
    minutes = 0.0 if seconds is None else readings_left * seconds / 60
    time = f"{minutes:.0f} min" if minutes < _MAX_SHOWN_MINUTES else f"{minutes / 60:.1f} h"
    rows = [("Clips to label", str(len(order) + len(gold))), ("Done", str(done)),
            *([("Disagreements to decide", str(counts["disagreement"]))] if disputes else []),
            ("Readings left", str(readings_left)),
            ("Median time of a reading", "not known yet" if seconds is None else f"{seconds:.1f} s"),
            ("Time left, one person", "not known yet" if seconds is None else time)]  # fmt: skip
    note = (
        "Time left is the readings left times the median of the raters' own medians, without decisions on "
        "disagreements. The time between two clips counts, and a pause does not."
    )
    return PageTable("All clips", note, ("what", "now"), tuple(rows))


def _times(assignments: Assignments) -> dict[str, list[float]]:
    return active_seconds([*active_events(assignments.events()), *assignments.gold.all_readings()])


def _readings_left(assignments: Assignments, clips: Iterable[str]) -> int:
    unfinished = (clip for clip in clips if assignments.status(clip) in ("unread", "half"))
    return sum(assignments.required_readings(clip) - len(assignments.state(clip).readings) for clip in unfinished)


def _by_site(assignments: Assignments, disputes: bool, gold: Sequence[tuple[str, str | None]]) -> PageTable:
    by_site: dict[str, list[str]] = {}
    for clip in _to_label(assignments):
        by_site.setdefault(assignments.catalog.clips[clip].site, []).append(clip)
    rows = []
    for site, clips in sorted(by_site.items()):
        counts = Counter(assignments.status(clip) for clip in clips)
        answers = [answer for name, answer in gold if name == site]
        n_gold_left = answers.count(None)
        n_clips = len(clips) + len(answers)
        done = counts["agreed"] + counts["adjudicated"] + len(answers) - n_gold_left
        readings_left = str(_readings_left(assignments, clips) + n_gold_left)
        share = f"{100 * done / n_clips:.0f} %"
        rows.append((site, str(n_clips), str(done), share, readings_left, str(counts["disagreement"])))
    columns = ("hospital", "clips", "done", "share", "readings left", "disagreements")
    n_columns = len(columns) if disputes else -1
    note = "A clip is done when its readers agree or an adjudicator has decided."
    return PageTable("By hospital", note, columns[:n_columns], tuple(row[:n_columns] for row in rows))


def _by_rater(assignments: Assignments, reader: str) -> PageTable:
    rows = []
    clip_events = [event for event in active_events(assignments.events()) if not event.frame]
    gold = assignments.gold.all_readings()
    clip_events += [replace(event, kind=EventKind.LABEL) for event in gold if event.rater == reader]
    times = _times(assignments)
    for rater in sorted({event.rater for event in clip_events}):
        rater_events = [event for event in clip_events if event.rater == rater]
        readings = {event.clip: event for event in rater_events if event.kind == EventKind.LABEL}
        decisions = {event.clip for event in rater_events if event.kind == EventKind.ADJUDICATION}
        own_times = times.get(rater, [])
        own_median = f"{median(own_times):.1f} s" if own_times else "not known"
        n_left = len(assignments.clips_left(rater)) if own_times else 0
        time_left = f"{n_left * median(own_times) / 60:.0f} min" if own_times else "not known"
        value_counts = Counter(event.value for event in readings.values())
        counts = (
            len(readings),
            value_counts[LabelAnswer.UNSURE],
            value_counts[LabelAnswer.UNUSABLE],
            len(decisions),
            len(decisions & readings.keys()),
        )
        rows.append((rater, *map(str, counts), own_median, time_left))
    columns = ("rater", "clips read", "unsure", "unusable", "decided", "of own clips", "median time", "time left")
    note = (
        "Decided: decisions on disagreements; of own clips: those that the adjudicator had also read. Time left: of "
        "all clips that this rater may read, alone, at the own median."
    )
    return PageTable("By rater", note, columns, tuple(rows))


def _by_view(assignments: Assignments, gold: Sequence[tuple[str, str | None]]) -> PageTable:
    value_counts = Counter(answer for _, answer in gold if answer is not None)
    for clip in _to_label(assignments):
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
