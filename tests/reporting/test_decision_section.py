"""The decision as text: on the page, in the terminal, and with criteria that came after the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.evaluation.decision_sentences import (
    criterion_name,
    decision_text,
    describe_reason,
    limit_text,
    value_text,
)
from heart2heart.evaluation.hospital_decisions import make_decision
from heart2heart.reporting.decision_section import criteria_lines, decision_lines, decision_section
from heart2heart.reporting.writer import write_report
from heart2heart.schema.criteria import Criteria, CriteriaRegistration
from heart2heart.schema.decision import (
    CriterionKind,
    CriterionResult,
    DecisionKind,
    DecisionRecord,
    JudgedCriterion,
    Ranking,
    read_decision,
)
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import Estimate
from heart2heart.schema.study import Study
from tests.reporting.page import Page


def make(predictions: Predictions, metrics: Metrics, *, registered: str | None, **keys: object) -> DecisionRecord:
    criteria = Criteria.parse({"question": "May it be used?", "written_by": "A. Reader"} | keys, where="test")
    if registered:
        registration = CriteriaRegistration(registered=registered, sha256=criteria.content_sha256())
        criteria = criteria.model_copy(update={"registration": registration})
    return make_decision(predictions, metrics, criteria)


@pytest.fixture(scope="module")
def record(predictions: Predictions, metrics: Metrics) -> DecisionRecord:
    early = "2031-01-01T00:00:00+00:00"
    return make(
        predictions, metrics, registered=early, balanced_accuracy=60, sensitivity=50, patients=30, calibration=25
    )


def test_decision_section_shows_every_hospital_and_criterion(record: DecisionRecord) -> None:
    section = decision_section(record)
    assert [row.site for row in section.rows] == ["east", "south", "west"]
    assert section.lead == "“fixmatch + Fix-A-Step”: use at 1 of 3; label more patients first at 2 of 3 hospitals."
    east, south, _ = section.rows
    assert (east.verdict.kind, east.verdict.text, east.more) == (VerdictKind.BETTER, "Use", "none")
    assert south.more.endswith("by assumption")
    assert [row.name for row in east.criteria][:2] == ["Balanced accuracy", "Sensitivity of PLAX"]
    assert {row.result.text for row in east.criteria} == {"shown"}
    assert all(row.needed for row in south.criteria if row.result.text == "not shown")
    assert "All 16 intervals hold together with 95 %" in section.interval


@pytest.mark.parametrize(
    ("registered", "late"), [(None, "not registered"), ("2040-01-01T00:00:00+00:00", "written after the result")]
)
def test_decision_section_gives_no_positive_verdict_for_late_criteria(
    predictions: Predictions, metrics: Metrics, registered: str | None, late: str
) -> None:
    record = make(predictions, metrics, registered=registered, unknown_classes_auroc=50, interval="separate")
    section = decision_section(record)
    for row in section.rows:
        assert row.verdict.kind is not VerdictKind.BETTER
    assert section.rows[0].verdict.text == f"Use (criteria {late})"
    assert "confirm nothing" in section.notes[0]
    assert "on its own" in section.interval


def test_decision_lines_has_one_line_a_hospital(record: DecisionRecord) -> None:
    lines = decision_lines(record).splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["east", "south", "west"]
    assert "before the model was first tested" in lines[3]


def test_criteria_lines_joins_classes_of_one_limit(record: DecisionRecord) -> None:
    assert criteria_lines(record) == [
        "Balanced accuracy: at least 60 %",
        "Sensitivity of PLAX, PSAX, A4C and A2C: at least 50 %",
        "Mean confidence minus accuracy: at most 25 points either way",
        "Labeled patients: at least 30",
    ]


def test_write_report_begins_with_the_decision(
    predictions: Predictions, metrics: Metrics, record: DecisionRecord, tmp_path: Path
) -> None:
    study = Study(funding="Views & frames <fund>.")
    path = write_report(predictions, metrics, tmp_path / "report.html", decision=record, study=study)
    page = Page.read(path)
    assert next(attributes["id"] for tag, attributes in page.elements if tag == "section") == "decision"
    for decision in record.hospitals:
        assert decision.reason in page.text
    assert record.claim.sha256 in page.text
    assert "Views & frames <fund>. (study.yaml)" in page.text
    assert read_decision(tmp_path / "decision.json") == record
    assert json.loads(tmp_path.joinpath("decision.json").read_text())["hospitals"][0]["decision"] == "use"
    assert tmp_path.joinpath("decision.pdf").read_bytes().startswith(b"%PDF-")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page.all("caption")) == len(page.all("table"))


def test_write_report_without_criteria_has_no_decision(report: Path) -> None:
    assert not report.with_name("decision.json").exists()
    assert not report.with_name("decision.pdf").exists()
    assert 'id="decision"' not in report.read_text()


def judged(kind: CriterionKind, result: CriterionResult, **keys: object) -> JudgedCriterion:
    content = {"kind": kind, "limit": 0.8, "result": result} | keys
    return JudgedCriterion.model_validate(content)


@pytest.mark.parametrize("kind", list(CriterionKind))
def test_criterion_name_and_limit_text_know_every_kind(kind: CriterionKind) -> None:
    counted = {"count": 3, "limit": 30} if "patients" in kind else {}
    criterion = judged(kind, CriterionResult.MET, class_name="A4C", **counted)
    assert criterion_name(criterion)
    assert limit_text(criterion).startswith("at ")
    assert value_text(criterion)


def test_value_text_says_why_there_is_no_interval() -> None:
    bare = Estimate(value=0.5, low=None, high=None, n=3, clusters=1, few_clusters=True, reason="only one patient")
    text = value_text(judged(CriterionKind.SENSITIVITY, CriterionResult.NOT_SHOWN, estimate=bare))
    assert text == "50.0 %, no interval: only one patient"
    loss = Estimate(value=-0.0001, low=-0.05, high=0.05, n=30, clusters=30, few_clusters=False)
    text = value_text(judged(CriterionKind.LOSS, CriterionResult.NOT_SHOWN, estimate=loss))
    assert text == "0.0 points (\N{MINUS SIGN}5.0 to 5.0)"


def test_describe_reason_names_rankings_and_too_few_patients() -> None:
    missed = judged(CriterionKind.SENSITIVITY, CriterionResult.MISSED, class_name="A4C")
    few = judged(CriterionKind.PATIENTS, CriterionResult.NOT_SHOWN, limit=30, count=12)
    unknown = Ranking(class_name="A4C", auroc=None, low=None, needed=0.88)
    reason = describe_reason(DecisionKind.REFUSE, [missed], [unknown], None, "patient")
    assert "AUROC of A4C not estimable" in reason
    reason = describe_reason(DecisionKind.LABEL, [missed, few], [], None, "patient")
    assert reason.endswith("but too few patients are labeled: labeled patients 12 (at least 30).")
    many = describe_reason(DecisionKind.LABEL, [few] * 5, [], None, "study")
    assert many.endswith("labeled studys 12 (at least 30); and 2 more.") or "and 2 more" in many


def test_decision_text_counts_patients() -> None:
    assert decision_text(DecisionKind.LABEL, 1, 100, 5, "patient") == "Label 1 more patient first"
    assert decision_text(DecisionKind.REFUSE, 0, 100, 5, "patient") == "Do not use"
