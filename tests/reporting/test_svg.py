"""Figures are inline, use the colours of the page, and are deterministic."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest

from heart2heart.reporting.curves import learning_figures, reliability_figure
from heart2heart.reporting.forest import (
    NARROW,
    WIDE,
    ForestBlock,
    ForestLine,
    accuracy_blocks,
    difference_blocks,
    forest,
)
from heart2heart.reporting.svg import new_figure, style, to_svg
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions


def figures(predictions: Predictions, metrics: Metrics) -> list[str]:
    blocks = accuracy_blocks(metrics)
    drawn = [
        forest(blocks, name, "words & <words>", width=width, reference=0.25)
        for name, width in (("a", WIDE), ("b", NARROW))
    ]
    drawn.append(
        forest(
            difference_blocks(metrics.comparisons[0], metrics), "c", "words", width=WIDE, reference=0, difference=True
        )
    )
    reliability = reliability_figure("d", [(0, metrics.runs[0].sites[0])], "words")
    assert reliability is not None
    return [*drawn, reliability, *(figure for _, figure in learning_figures(predictions.provenance.runs, metrics))]


def test_to_svg_is_clean_and_deterministic(predictions: Predictions, metrics: Metrics) -> None:
    first = figures(predictions, metrics)
    assert first == figures(predictions, metrics)
    for figure in first:
        assert figure.startswith("<svg viewBox=")
        assert 'role="img" aria-label="' in figure
        assert "#0101" not in figure
        assert "#0102" not in figure
        assert "http" not in figure
        assert "<style" not in figure
        assert "var(--series-" in figure
        ElementTree.fromstring(figure.replace("xlink:href", "href"))


def test_to_svg_ids_are_unique(predictions: Predictions, metrics: Metrics) -> None:
    ids = [name for figure in figures(predictions, metrics) for name in re.findall(r'\bid="([^"]+)"', figure)]
    assert len(ids) > 10
    assert len(ids) == len(set(ids))


def test_forest_prints_every_number(metrics: Metrics) -> None:
    drawn = forest(accuracy_blocks(metrics), "x", "words", width=WIDE, reference=0.25).replace("\xa0", " ")
    for method in metrics.methods:
        for site in method.sites:
            assert f"{100 * (site.balanced_accuracy.value or 0):.1f} (" in drawn


def test_forest_shortens_a_long_name(metrics: Metrics) -> None:
    estimate = metrics.methods[0].sites[0].balanced_accuracy
    block = ForestBlock(
        "The Very Long Name of a Teaching Hospital in the Far North",
        "held out, 34 patients",
        (ForestLine(estimate, 0),),
    )
    assert "…" in forest([block], "x", "words", width=NARROW, reference=0.25)
    assert "Far North" in forest([block], "x", "words", width=WIDE, reference=0.25)


def test_to_svg_keeps_the_weight_of_each_text() -> None:
    with style():
        figure = new_figure(200, 100)
        for height, weight in ((0.2, "normal"), (0.5, "bold"), (0.8, 700)):
            figure.text(0.1, height, f"text {weight}", fontweight=weight, fontsize=13)
        drawn = to_svg(figure, "x", "words")
    parts = drawn.split("</text>")[:3]
    assert [re.findall(r"font-weight: (\w+)", part) for part in parts] in (
        [[], ["700"], ["700"]],  # Matplotlib from 3.11 on names no weight that is normal
        [["400"], ["bold"], ["700"]],
    )
    assert "font-family" not in drawn


def test_to_svg_keeps_the_weight_of_the_short_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older Matplotlib writes `font: bold 13px ...`; the weight is kept, and a missing one is 400."""

    def savefig(_: object, buffer: io.StringIO, **__: object) -> None:
        buffer.write("<svg><text style=\"font: bold 13px 'A', serif\"/><text style=\"font: 12px 'A'\"/></svg>")

    figure = new_figure(10, 10)
    monkeypatch.setattr(type(figure), "savefig", savefig)
    drawn = to_svg(figure, "x", "words")
    assert "font-size: 13px; font-weight: bold" in drawn
    assert "font-size: 12px; font-weight: 400" in drawn
