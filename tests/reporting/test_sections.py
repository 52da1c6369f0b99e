"""The report shows all metrics: each section with its figure, its table and its numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cross_split import evaluate_folds
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.checklist import SECTIONS
from heart2heart.reporting.numbers import interval
from heart2heart.reporting.writer import write_report
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import Estimate
from tests.evaluation.factory import HOSPITALS, certify, make_predictions
from tests.reporting.page import Page


def shown(estimate: Estimate) -> str:
    assert estimate.value is not None
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}".replace("-", "\N{MINUS SIGN}")


def part(page: Path, name: str) -> Page:
    text = page.read_text(encoding="utf-8")
    start = text.index(f'<section id="{name}"')
    return Page(text[start : text.index("</section>", start)])


def test_write_report_lists_every_section(rich_page: Page) -> None:
    sections = [section["id"] for section in rich_page.all("section")]
    assert sections == [name for name in SECTIONS if name not in ("decision", "splits")]
    links = [(link["href"] or "")[1:] for link in rich_page.all("a")]
    assert links[1 : len(sections) + 1] == sections


@pytest.mark.parametrize(
    ("section", "figures"),
    [("hospitals", 2), ("results", 4), ("comparison", 2), ("probabilities", 4), ("selective", 4), ("outside", 3),
     ("shift", 4), ("subgroups", 4), ("shortcuts", 4), ("training", 3)],
)  # fmt: skip
def test_write_report_draws_and_describes_every_figure(rich_report: Path, section: str, figures: int) -> None:
    drawn = part(rich_report, section).all("svg")
    assert len(drawn) == figures
    for figure in drawn:
        assert figure["role"] == "img"
        assert len(figure["aria-label"] or "") > 60
        assert re.search(r"\d", figure["aria-label"] or "")


def test_write_report_shows_selective_prediction(rich_report: Path, rich_metrics: Metrics) -> None:
    text = part(rich_report, "selective").text
    for run in rich_metrics.runs:
        for site in run.sites:
            assert site.selective is not None
            for estimate in (site.selective.augrc, site.selective.aurc, site.selective.coverage, site.selective.risk):
                assert shown(estimate) in text
            assert f"{site.selective.threshold:.3f}" in text


def test_write_report_shows_the_open_set(rich_report: Path, rich_metrics: Metrics) -> None:
    text = part(rich_report, "outside").text
    for run in rich_metrics.runs:
        for site in run.sites:
            for name, scores in site.open_set.scores.items():
                assert name.replace("_", " ") in text
                for score in (scores.auroc, scores.aupr, scores.fpr95):
                    assert score.value is None or shown(score) in text
    assert "south none" in text
    assert "not estimable" in text


def test_write_report_shows_votes_views_and_the_worst_cell(rich_report: Path, rich_metrics: Metrics) -> None:
    text = part(rich_report, "results").text
    for run in rich_metrics.runs:
        for site in run.sites:
            estimates = [site.clip_balanced_accuracy, site.study_balanced_accuracy, site.macro_f1, *site.auroc.values()]
            assert all(shown(one) in text for one in estimates if one.value is not None)
    cell = rich_metrics.methods[-1].generalisation.worst_cell
    assert cell is not None
    assert f"{cell.view} at {cell.site}: {100 * (cell.sensitivity.value or 0):.1f}" in text
    assert "not estimable: 3 held-out hospitals with an interval" in text


def test_write_report_shows_shift_and_confounding(rich_report: Path, rich: Predictions, rich_metrics: Metrics) -> None:
    text = part(rich_report, "shift").text
    for info in rich.provenance.sites:
        assert all(
            f"{frames} {100 * frames / sum(info.labels.values()):.0f} %" in text for frames in info.labels.values()
        )
    for site in rich_metrics.runs[-1].sites:
        assert site.label_shift is not None
        assert f"{site.label_shift.distance:.2f}" in text
        if site.label_shift.balanced_accuracy_adjusted is None:
            assert str(site.label_shift.reason) in text
        else:
            assert f"{100 * site.label_shift.balanced_accuracy_adjusted:.1f}" in text


def test_write_report_orders_the_subgroups(rich_report: Path, rich_metrics: Metrics) -> None:
    text = part(rich_report, "subgroups").text
    positions = [
        text.index(level) for level in ("lowest third", "middle third", "highest third", "under 40", "40 to 59")
    ]
    assert positions == sorted(positions)
    for run in rich_metrics.runs:
        for site in run.sites:
            assert {stratum.factor for stratum in site.strata} >= {"quality", "sex", "age", "maker"}
            for stratum in site.strata:
                assert stratum.balanced_accuracy.value is None or shown(stratum.balanced_accuracy) in text


def test_write_report_shows_shortcuts(rich_report: Path, rich_metrics: Metrics, report: Path) -> None:
    text = part(rich_report, "shortcuts").text
    for run in rich_metrics.runs:
        for site in run.sites:
            assert [probe.alteration for probe in site.probes] == ["sector_masked", "background_swapped"]
            assert all(shown(probe.balanced_accuracy) in text for probe in site.probes)
    assert "The model uses the image outside the scan" in part(rich_report, "failures").text
    assert "Not reported: no altered frames were evaluated." in part(report, "shortcuts").text


def test_write_report_shows_patients_and_vocabularies(rich_report: Path, report: Path) -> None:
    text = part(rich_report, "tested").text
    assert "“apical 4 chamber” and “apical four chamber” → A4C" in text
    assert "public data set, vocabulary “camus”" in text
    assert re.search(r"F 12, M 11, not reported 11", text)
    assert "west not reported not reported" in text
    assert "Sex of test patients not reported" in part(report, "tested").text


def test_write_report_names_bca_intervals(rich: Predictions, tmp_path: Path) -> None:
    path = write_report(rich, evaluate_predictions(rich, replicates=100, bca=True), tmp_path / "bca.html")
    assert "BCa" in part(path, "methods").text


def test_write_report_shows_several_splits(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2], seeds=(0, 1))
    provenance = predictions.provenance
    split = certify(provenance.split.model_copy(update={"name": "fold-1", "sha256": "77" * 32}))
    other = Predictions(predictions.table, provenance.model_copy(update={"split": split}))
    folds = evaluate_folds([predictions, other], replicates=100)
    metrics = evaluate_predictions(predictions, replicates=100)
    text = part(write_report(predictions, metrics, tmp_path / "report.html", folds=folds), "splits")
    assert len(text.all("svg")) == 4
    assert "SYNTHETIC DATA" in text.text
    for method in folds.methods:
        for site in method.sites:
            assert shown(site.balanced_accuracy) in text.text
    (comparison,) = folds.comparisons
    for row in comparison.sites:
        assert interval(row.difference, sign=True).replace("\xa0", " ") in text.text
    assert f"{comparison.candidate} against {comparison.reference}, over all splits" in text.text

    foreign = folds.model_copy(update={"splits": {"elsewhere": "00" * 32}})
    with pytest.raises(EvaluationError, match="do not contain the split"):
        write_report(predictions, metrics, tmp_path / "none.html", folds=foreign)
    assert not (tmp_path / "none.html").exists()


def test_write_report_is_accessible_with_every_section(rich_page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in rich_page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(cell.get("scope") for cell in rich_page.all("th"))
    assert len(rich_page.all("caption")) == len(rich_page.all("table"))
    regions = [part for part in rich_page.all("div") if part.get("class") == "scroll"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    ids = [attributes["id"] for _, attributes in rich_page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_write_report_shows_the_reason_beside_a_temperature(rich_report: Path, rich_metrics: Metrics) -> None:
    value = rich_metrics.runs[-1].temperature.value
    assert value is not None
    assert f"{value:.2f} (at the end of the search)" in rich_report.read_text(encoding="utf-8")
