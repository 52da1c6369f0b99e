"""The table of forced adaptation: its thresholds, and the published lines that the check of gain rests on."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.adaptation_gain import RATIOS, table
from heart2heart.training.adaptation_check import MIN_GAIN

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def test_table_adapts_only_where_information_rises_enough() -> None:
    lines = [
        {"before": 0.9, "after": 0.84, "information": 1.02},
        {"before": 0.6, "after": 0.72, "information": 1.3},
    ]
    by_ratio = {row.split("|")[1].strip(): row for row in table(lines).splitlines()[2:]}
    assert by_ratio["0"] == "| 0 | 2 of 2 | +3.0 | -6.0 | 1 |"
    assert by_ratio["1.15"] == "| 1.15 | 1 of 2 | +6.0 | +0.0 | 0 |"


def test_table_of_the_published_lines_is_that_of_the_page() -> None:
    assert MIN_GAIN in RATIOS
    page = (RESULTS / "fresh-hospitals.md").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in (RESULTS / "adaptation_gain.jsonl").read_text().splitlines()]
    for row in table(lines).splitlines()[3:]:
        ratio, adapted, mean, worst, harmed = (cell.strip() for cell in row.split("|")[1:-1])
        published = [mean, worst.replace("+0.0", "0.0"), harmed]
        assert f"| {float(ratio):.2f}" in page
        assert f"| {adapted.split()[0]} | {' | '.join(published)} |" in page
