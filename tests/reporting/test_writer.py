"""The whole report: self-contained, safe, deterministic, and with the numbers of the metrics."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.writer import write_report
from heart2heart.schema.flags_rule import read_flags_rule
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, Hospital, make_predictions
from tests.reporting.page import Page


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page(report.read_text(encoding="utf-8"))


def test_write_report_is_deterministic(
    predictions: Predictions, metrics: Metrics, report: Path, tmp_path: Path
) -> None:
    again = write_report(predictions, metrics, tmp_path / "again.html")
    assert again.read_bytes() == report.read_bytes()
    for name in ("MODEL_CARD.md", "checklist_tripod_cluster.md", "checklist_claim.md"):
        assert (tmp_path / name).read_bytes() == report.with_name(name).read_bytes()


def test_write_report_loads_nothing_and_runs_only_its_own_script(report: Path, page: Page) -> None:
    text = report.read_text(encoding="utf-8")
    assert "//" not in re.sub(r"data:image/png;base64,[\w+/=]+", "", text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert page.all("script") == [{}]
    assert not page.all("link")
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;]*)", policy["content"] or "") == [f"'sha256-{digest}'"]
    for image in page.all("img"):
        assert (image["src"] or "").startswith("data:image/png;base64,")
    for link in page.all("a"):
        assert (link["href"] or "").startswith("#")


def test_write_report_folds_all_but_three_screens(page: Page) -> None:
    sections = [section for section in page.all("section") if section.get("id") != "decision"]
    classes = [section["class"] for section in sections]
    assert classes[:3] == ["screen"] * 3
    assert set(classes[3:]) == {"folded"}
    assert len(page.all("details")) == len(sections) - 3
    assert not any("open" in fold for fold in page.all("details"))
    assert len([span for span in page.all("span") if span.get("class") == "inside"]) == len(sections) - 3


def test_write_report_is_accessible(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in page.all("svg"))
    assert page.all("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(link["href"] or "")[1:] for link in page.all("a")} <= set(ids)
    assert len(page.all("caption")) == len(page.all("table"))


def test_write_report_shows_the_main_numbers(page: Page, metrics: Metrics) -> None:
    for method in metrics.methods:
        for site in method.sites:
            estimate = site.balanced_accuracy
            assert estimate.low is not None
            assert estimate.high is not None
            assert f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}" in page.text
    for digest in (metrics.predictions_sha256, metrics.split_sha256):
        assert digest in page.text
    for words in (
        "excluded: not ultrasound",
        "metadata probe",
        "Steps whose gradients conflict",
        "No difference shown",
    ):
        assert words in page.text


def test_write_report_marks_synthetic_results(page: Page) -> None:
    assert "SYNTHETIC DATA. Every hospital in this report is simulated." in page.text
    assert page.text.count("SYNTHETIC DATA") > 15
    assert all("Synthetic frame" in (image["alt"] or "") for image in page.all("img"))


def test_write_report_does_not_mark_real_data(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2], synthetic=False)
    path = write_report(predictions, evaluate_predictions(predictions, replicates=100), tmp_path / "report.html")
    assert "synthetic" not in Page(path.read_text(encoding="utf-8")).text.lower()
    assert "synthetic" not in (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8").lower()


def test_write_report_escapes_names(tmp_path: Path) -> None:
    evil = Hospital("<script>alert(1)</script>|&", True, 6, ("PLAX", "A4C"), (), (2.0, 2.0), ('"><img src=x>',))
    predictions = make_predictions(hospitals=[HOSPITALS[0], evil])
    path = write_report(predictions, evaluate_predictions(predictions, replicates=100), tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert page.all("script") == [{}]  # that of the folds
    assert evil.name in page.text
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "<script" not in card.replace("\\<", "")


def test_write_report_of_seeds_of_one_method_and_of_an_empty_hospital(tmp_path: Path) -> None:
    empty = Hospital("none", True, 3, (), ("A3C",), (2.0, 2.0), ("Maker",))
    predictions = make_predictions(hospitals=[HOSPITALS[0], HOSPITALS[1], empty], seeds=(0, 1))
    metrics = evaluate_predictions(predictions, replicates=100)
    path = write_report(predictions, metrics, tmp_path / "seeds.html")
    text = " ".join(Page(path.read_text(encoding="utf-8")).text.split())
    values = [run.sites[0].balanced_accuracy.value for run in metrics.runs if run.method == metrics.methods[0].method]
    low, high = sorted(100 * value for value in values if value is not None)
    assert f"2 seeds: {low:.1f} to {high:.1f}, SD {(high - low) / 2**0.5:.1f}" in text.replace(" ,", ",")
    assert "At none, there is no labeled test frame of a scored view." in text

    provenance = predictions.provenance
    alone = provenance.model_copy(update={"runs": provenance.runs[:1]})
    rows = [row for row in predictions.table.to_pylist() if row["run"] == provenance.runs[0].run]
    single = Predictions(predictions.table.schema.empty_table().from_pylist(rows, predictions.table.schema), alone)
    path = write_report(single, evaluate_predictions(single, replicates=100), tmp_path / "one.html")
    assert not [s for s in Page(path.read_text(encoding="utf-8")).all("section") if s.get("id") == "comparison"]


def test_write_report_refuses_metrics_of_other_predictions(metrics: Metrics, tmp_path: Path) -> None:
    other = make_predictions(hospitals=HOSPITALS[:2])
    with pytest.raises(EvaluationError, match="belong to other predictions"):
        write_report(other, metrics, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_write_report_model_card_lists_what_is_not_reported(report: Path, metrics: Metrics) -> None:
    card = report.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: fixmatch + Fix-A-Step\n")
    assert "**SYNTHETIC DATA.**" in card
    assert card.count("not reported") >= 2
    assert f"`{metrics.predictions_sha256}`" in card
    tables = [line for line in card.splitlines() if line.startswith("| west")]
    assert [line.count(" | ") for line in tables] == [7, 2]


def test_write_report_compares_each_method_with_the_first(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2], seeds=(0, 1))
    provenance = predictions.provenance
    runs = tuple(run.model_copy(update={"method": f"method {index}"}) for index, run in enumerate(provenance.runs))
    four = Predictions(predictions.table, provenance.model_copy(update={"runs": runs}))
    path = write_report(four, evaluate_predictions(four, replicates=100), tmp_path / "four.html")
    text = Page(path.read_text(encoding="utf-8")).text
    for index in (1, 2, 3):
        assert f"method {index} against method 0" in text
    assert "Only the first and the last method are shown." in text


def test_write_report_states_the_flags_rule_of_the_split(
    predictions: Predictions, report: Path, tmp_path: Path
) -> None:
    assert "Flags rule" not in report.read_text(encoding="utf-8")
    rule = read_flags_rule("strict")
    provenance = predictions.provenance
    split = provenance.split.model_copy(update={"flags_rule": rule})
    ruled = replace(predictions, provenance=provenance.model_copy(update={"split": split}))
    ruled.write(tmp_path / "predictions.parquet")
    back = Predictions.read(tmp_path / "predictions.parquet")
    assert back.provenance.split.flags_rule == rule
    assert back.provenance.digest_text() != provenance.digest_text()
    assert "flags_rule" not in provenance.digest_text()
    page = write_report(back, evaluate_predictions(back, replicates=100), tmp_path / "report.html")
    assert rule.sentence() in page.read_text(encoding="utf-8")
