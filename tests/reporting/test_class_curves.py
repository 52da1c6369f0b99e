"""The curves of every hospital are drawn, told in words, and have their numbers beside them."""

from __future__ import annotations

from pathlib import Path

from heart2heart.evaluation.class_curves import class_curves
from heart2heart.reporting.class_curves import class_legend, site_curves
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from tests.reporting.page import Page


def test_site_curves_describe_their_numbers(predictions: Predictions, metrics: Metrics) -> None:
    run = metrics.runs[-1]
    drawn = site_curves(class_curves(predictions, run.run), run, metrics.classes)
    assert [item.site for item in drawn] == [site.site for site in metrics.sites]
    for item, site in zip(drawn, run.sites, strict=True):
        page = Page(item.roc + item.precision_recall)
        roc, trade = (svg["aria-label"] or "" for svg in page.all("svg"))
        for row in item.rows:
            assert row.auroc == site.auroc[row.view]
            assert f"{row.view} {100 * (row.auroc.value or 0):.1f}" in roc.replace("\xa0", " ")
            assert f"{row.view} {100 * row.average_precision:.1f}" in trade.replace("\xa0", " ")
    assert [view for _, _, view in class_legend(metrics.classes)] == list(metrics.classes)


def test_write_report_shows_the_curves(rich_report: Path) -> None:
    text = rich_report.read_text(encoding="utf-8")
    section = text[text.index('<section id="curves"') :]
    page = Page(section[: section.index("</section>")])
    assert len(page.all("svg")) == 8
    assert len(page.all("table")) == 4
