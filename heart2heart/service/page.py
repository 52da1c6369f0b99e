"""The page of the service: the last studies with the views found, the models beside each other, and the inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from heart2heart.evaluation.drift import MonitorState
from heart2heart.reporting.monitor_page import amount, capital_chart, headline, statistic_title
from heart2heart.reporting.run_chart import RunChart, RunLine
from heart2heart.schema.service import ClipState, ReportState
from heart2heart.service.monitoring import CHANGED, WORTH_A_LOOK, Agreement, InputShift, weekly_agreement
from heart2heart.service.queue import ServiceQueue

STUDIES = 50
"""Studies that the page lists."""
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --muted: #6b6b6b; --line: #d0d0d0; --series-1: #1f6fb2;
  --series-2: #b25a1f; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --muted: #a5a5a5; --line: #444444; --paper: #161616;
  --series-1: #6db3ee; --series-2: #eea26d; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
code { font-size: 0.85em; }
.alarm { border: 2px solid var(--series-2); padding: 0.5rem 1rem; font-weight: bold; }
.scroll { overflow-x: auto; }
svg { max-width: 100%; height: auto; }
"""


def service_page(queue: ServiceQueue, shifts: Sequence[InputShift], drift: MonitorState | None = None) -> str:
    """Return the page, HTML without scripts; studies are keyed hashes.

    Args:
        queue: The queue.
        shifts: The measures of the last clips beside the reference.
        drift: What the journal of the drift test shows; None: there is no test.
    """
    parts = [
        _alarm(drift),
        _state_table(queue),
        _study_table(queue),
        _failed_table(queue),
        _agreement_section(weekly_agreement(queue), queue.active),
        _shift_section(shifts),
        _drift_section(drift),
    ]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>heart2heart service</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="style.css">'
        f"</head><body><main><h1>heart2heart service</h1><p>Active model: {escape(queue.active)}. {now}. Reload for"
        f" newer numbers.</p>{''.join(parts)}</main></body></html>"
    )


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2><p>None.</p>"
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    name = escape(title)
    return f'<h2>{name}</h2><div class="scroll" tabindex="0" role="region" aria-label="{name}">{table}</div>'


def _state_table(queue: ServiceQueue) -> str:
    clips = {state: queue.count(state) for state in ClipState}
    reports = dict(queue.rows("SELECT state, count(*) FROM reports GROUP BY state"))
    return _table(
        "Now",
        ("clips waiting", "answered, report to come", "done", "reports waiting", "reports stored", "reports refused"),
        [[*(str(clips[state]) for state in ClipState), *(str(reports.get(state, 0)) for state in ReportState)]],
    )


def _study_table(queue: ServiceQueue) -> str:
    sql = (
        "SELECT study, max(answered), count(*) FROM clips WHERE study IS NOT NULL GROUP BY study"
        " ORDER BY max(answered) DESC LIMIT ?"
    )
    rows = []
    for study, latest, clips in queue.rows(sql, STUDIES):
        views = queue.rows("SELECT view, count(*) FROM clips WHERE study = ? GROUP BY view ORDER BY 2 DESC, 1", study)
        states = queue.rows("SELECT DISTINCT state FROM reports WHERE study = ? ORDER BY state", study)
        listed = ", ".join(view if count == 1 else f"{view} ({count})" for view, count in views)
        rows.append(
            [study[:12], _time(latest), str(clips), listed, ", ".join(state for (state,) in states) or "to come"]
        )
    return _table("Last studies", ("study", "last answer", "clips", "views", "report"), rows)


def _failed_table(queue: ServiceQueue) -> str:
    sql = (
        "SELECT status, count(*), max(answered) FROM clips WHERE status LIKE '%:%' GROUP BY status"
        " ORDER BY 2 DESC LIMIT 50"
    )
    rows = [[status, str(count), _time(last)] for status, count, last in queue.rows(sql)]
    return _table("Files without frames", ("status", "files", "last"), rows)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _agreement_section(points: Sequence[Agreement], active: str) -> str:
    title = "<h2>Silent models</h2>"
    models = sorted({each.model for each in points})
    if not models:
        return f"{title}<p>None has given an answer.</p>"
    weeks = sorted({each.week for each in points})
    parts = [title]
    for model in models:
        own = [each for each in points if each.model == model]
        line = [(weeks.index(each.week), each.same / each.clips) for each in own]
        words = f"Share of clips by week to which {model} gives the view of {active}"
        shares = [share for _, share in line]
        chart = RunChart(weeks=weeks, lines=[RunLine(line, 2)], level=sorted(shares)[len(shares) // 2])
        last = own[-1]
        parts.append(
            f"<figure>{chart.draw(words, width=640)}<figcaption>{escape(words)}; dashed: the median. {last.week}: "
            f"{last.same} of {last.clips}.</figcaption></figure>"
        )
    return "".join(parts)


def _shift_section(shifts: Sequence[InputShift]) -> str:
    def note(shift: float) -> str:
        return "changed" if shift > CHANGED else "worth a look" if shift > WORTH_A_LOOK else ""

    rows = [
        [each.name, _number(each.reference), _number(each.live), f"{each.shift:.3f}", note(each.shift)]
        for each in shifts
    ]
    heads = ("measure", "median of the validation", "median of the last clips", "stability index", "")
    return _table("Inputs and confidence beside the validation", heads, rows)


def _alarm(drift: MonitorState | None) -> str:
    """Return the line at the top of the page; empty without an alarm."""
    if drift is None or not drift.alarms:
        return ""
    words = f"{headline(drift)}. Find out what changed, and validate the model again."
    return f'<p class="alarm" role="alert">{escape(words)}</p>'


def _drift_section(drift: MonitorState | None) -> str:
    if drift is None:
        return "<h2>Drift by week</h2><p>No test: the reference has too few patients, or there is none.</p>"
    rows = [
        [
            test.kind, amount(test.capital[-1]) if test.capital else "", amount(test.threshold),
            f"since {test.alarm}" if test.alarm else "", statistic_title(test.leading),
        ]
        for test in drift.tests
    ]  # fmt: skip
    heads = ("test", "capital", "capital of an alarm", "alarm", "statistic that changed most")
    weeks, patients = drift.journal.weeks(), drift.journal.start.patients
    facts = f"{headline(drift)}. {len(weeks)} weeks beside {patients} patients of the validation."
    chart = capital_chart(drift)["wide"] if any(test.capital for test in drift.tests) else ""
    return _table("Drift by week", heads, rows) + f"<p>{escape(facts)}</p>{chart}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
