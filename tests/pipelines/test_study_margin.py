"""Whether a way is never worse than labels only by more than a margin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipelines.study_design import REFERENCE, StudyDesign
from pipelines.study_margin import check_margins, judge_margin, margin_lines
from pipelines.study_report import report
from pipelines.study_statistics import SeedInterval

RULE = Path("pipelines/studies/uncurated_rule.yaml")


def make_lines(design: StudyDesign, gains: dict[tuple[str, str, int], list[float]]) -> list[dict[str, Any]]:
    """Return invented lines: labels only has 60 points and the rule its gain; other ways have none."""
    lines = []
    for job in design.jobs(Path("out")):
        gain = gains[job.task, job.protocol, job.level][job.seed - design.first_seed] if (
            job.way == "prototype_match") else 0.0  # fmt: skip
        if job.way in (REFERENCE, "prototype_match") and job.protocol in ("replace", "add"):
            lines.append(job.key() | {"balanced_accuracy": (60 + gain) / 100, "confusion": [[1]], "pool": 0})
    return lines


def gains_of(design: StudyDesign, mean: float) -> dict[tuple[str, str, int], list[float]]:
    rng = np.random.default_rng(0)
    return {(task, *pool): list(rng.normal(mean, 1, design.seeds)) for task in design.tasks for pool in design.pools()}


@pytest.mark.parametrize(("mean", "low", "outcome"), [(3.0, 3.0, "shown"), (3.0, -6.0, "refuted"), (3.0, -0.5, "open")])
def test_check_margins_needs_every_pool(mean: float, low: float, outcome: str) -> None:
    design = StudyDesign.load(RULE, [])
    gains = gains_of(design, mean)
    worst = ("footwear", "add", 100)
    gains[worst] = [value - mean + low for value in gains[worst]]
    (verdict,) = check_margins(design, make_lines(design, gains))
    assert verdict.outcome == outcome
    if low < 0:
        assert verdict.worst == worst
    assert verdict.worst is not None
    assert verdict.interval is not None
    t = stats.ttest_1samp(gains[verdict.worst], 0).confidence_interval(0.95)
    assert (verdict.interval.low, verdict.interval.high) == pytest.approx((t.low, t.high))


def test_check_margins_is_open_while_a_pool_is_missing() -> None:
    design = StudyDesign.load(RULE, [])
    lines = make_lines(design, gains_of(design, 3.0))
    without = [line for line in lines if (line["task"], line["protocol"]) != ("footwear", "add")]
    assert check_margins(design, without)[0].outcome == "open"
    assert check_margins(design, [])[0].worst is None


def test_report_says_whether_the_margin_holds() -> None:
    design = StudyDesign.load(RULE, [])
    text = report(design, make_lines(design, gains_of(design, 3.0)))
    assert "**prototype_match is nowhere worse than labels_only by more than 1 points: shown.**" in text
    assert margin_lines([]) == []


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 5)), min_size=1, max_size=6), st.floats(0.1, 3))
def test_judge_margin_is_shown_only_if_every_lower_bound_is_above(
    pools: list[tuple[float, float]], margin: float
) -> None:
    intervals = {("t", "replace", index): SeedInterval(mean, mean - half, mean + half)
                 for index, (mean, half) in enumerate(pools)}  # fmt: skip
    verdict = judge_margin("way", margin, intervals)
    assert (verdict.outcome == "shown") == all(mean - half > -margin for mean, half in pools)
    assert (verdict.outcome == "refuted") == any(mean + half < -margin for mean, half in pools)
