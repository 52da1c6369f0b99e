"""The page of a monitor: its headline, its charts, and what a browser shows of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.few_labels import simulate_year
from benchmarks.simulated_cases import SKILLS, simulate_cases
from heart2heart.evaluation.cases import Cases
from heart2heart.evaluation.drift import MonitorState, assess_journal
from heart2heart.reporting.monitor_page import amount, headline, page_content, statistic_title, write_monitor_page
from tests.reporting.page import Page
from tests.reporting.test_browser import visit


def _clips(generator: np.random.Generator, week: int) -> Cases:
    return simulate_cases(generator, 15, SKILLS[0.70] if week > 4 else SKILLS[0.85])


@pytest.fixture(scope="module")
def alarmed() -> MonitorState:
    return simulate_year(np.random.default_rng(0), _clips, weeks=10)


@pytest.fixture(scope="module")
def empty(alarmed: MonitorState) -> MonitorState:
    return assess_journal(alarmed.journal.model_copy(update={"records": ()}))


def test_headline_names_the_alarms_and_their_week(alarmed: MonitorState, empty: MonitorState) -> None:
    assert alarmed.alarms
    assert headline(alarmed).startswith(f"Alarm: confidence since {alarmed.alarms[0].alarm}")
    assert headline(empty) == "No alarm: no week was added yet"


def test_statistic_title_is_for_readers() -> None:
    assert statistic_title("accuracy") == "audited accuracy"
    assert statistic_title("share:PLAX") == "share predicted PLAX"


def test_page_content_has_a_chart_of_every_statistic(alarmed: MonitorState, empty: MonitorState) -> None:
    charts = page_content(alarmed)["charts"]
    assert len(charts) == len(alarmed.journal.start.statistics) + 1
    assert any(chart.alarm for chart in charts)
    assert "at least 0.800 is needed" in charts[-1].caption
    assert (page_content(empty)["charts"], page_content(empty)["capital"]) == ([], None)


def test_write_monitor_page_is_accessible_and_the_same_twice(
    alarmed: MonitorState, empty: MonitorState, tmp_path: Path
) -> None:
    first = write_monitor_page(alarmed, tmp_path / "one.html").read_text(encoding="utf-8")
    assert write_monitor_page(alarmed, tmp_path / "two.html").read_text(encoding="utf-8") == first
    nothing = write_monitor_page(empty, tmp_path / "none.html").read_text(encoding="utf-8")
    for page in (Page(first), Page(nothing)):
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert all(cell.get("scope") for cell in page.all("th"))
        assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in page.all("svg"))
        assert {(link["href"] or "")[1:] for link in page.all("a")} <= set(ids)
        assert len(page.all("caption")) == len(page.all("table"))
    assert "2026-W10 week 15 5" in Page(first).text
    assert "No week was added yet" in Page(nothing).text


def test_amount_of_large_capitals_is_bounded() -> None:
    assert [amount(value) for value in (0.004, 9.994, 60.4, 2e6)] == ["0.00", "9.99", "60", "more than a million"]


def test_write_monitor_page_opens_in_a_browser(alarmed: MonitorState, tmp_path: Path) -> None:
    visited = visit(write_monitor_page(alarmed, tmp_path / "monitor.html"), tmp_path)
    assert (visited.console, visited.requests) == ([], [])
    assert headline(alarmed) in visited.document
