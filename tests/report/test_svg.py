"""Figures are inline, follow the page's colours, and do not vary."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from heart2heart.evaluate import Metrics
from heart2heart.predictions import Predictions
from heart2heart.report.curves import learning_figures, reliability_figure
from heart2heart.report.forest import NARROW, WIDE, Block, Line, accuracy_blocks, difference_blocks, forest


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


def test_every_figure_is_clean_and_the_same_each_time(predictions: Predictions, metrics: Metrics) -> None:
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


def test_ids_do_not_collide(predictions: Predictions, metrics: Metrics) -> None:
    ids = [found for figure in figures(predictions, metrics) for found in re.findall(r'\bid="([^"]+)"', figure)]
    assert len(ids) > 10
    assert len(ids) == len(set(ids))


def test_forest_prints_every_number(metrics: Metrics) -> None:
    drawn = forest(accuracy_blocks(metrics), "x", "words", width=WIDE, reference=0.25).replace("\xa0", " ")
    for method in metrics.methods:
        for site in method.sites:
            assert f"{100 * (site.balanced_accuracy.value or 0):.1f} (" in drawn


def test_a_long_name_is_shortened(metrics: Metrics) -> None:
    found = metrics.methods[0].sites[0].balanced_accuracy
    block = Block(
        "The Very Long Name of a Teaching Hospital in the Far North", "held out, 34 patients", (Line(found, 0),)
    )
    assert "…" in forest([block], "x", "words", width=NARROW, reference=0.25)
    assert "Far North" in forest([block], "x", "words", width=WIDE, reference=0.25)
