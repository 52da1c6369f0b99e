"""The plan of a validation and its registered margin, from the verb to the report."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from heart2heart.api.planning import plan_validation
from heart2heart.cli import app
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions, margin_claim
from heart2heart.reporting.page import report_content
from heart2heart.schema.margin import MarginVerdict, RegisteredMargin, judge_margin, read_margin
from heart2heart.schema.metrics_files import read_metrics, write_metrics
from tests.evaluation.factory import HOSPITALS, make_predictions

BEFORE, AFTER = "2031-11-30T10:00:00+00:00", "2031-12-02T10:00:00+00:00"


def registered(margin: float = 30, time: str = BEFORE) -> RegisteredMargin:
    return RegisteredMargin(margin=margin, question="May it be used?", registered_by="AB", registered=time)


def test_plan_validation_prints_a_table_and_draws_a_curve(tmp_path: Path) -> None:
    curve = tmp_path / "plan.svg"
    line = ["plan", "--margin", "10", "--out", str(curve), "--studies", "60", "--patients", "20", "--patients", "120"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "SIMULATED studies, 60 for each number of patients" in done.output
    assert done.output.splitlines()[0].split()[0] == "patients"
    text = curve.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "Power to show no more than 10 points lost: 20 patients" in text


def test_plan_validation_of_a_pilot_uses_its_patients(tmp_path: Path) -> None:
    metrics = evaluate_predictions(make_predictions(hospitals=HOSPITALS[:2]), replicates=100)
    pilot = tmp_path / "metrics.json"
    write_metrics(metrics, pilot)
    plan = plan_validation(tmp_path / "p.svg", margin=20, pilot=pilot, patients=(30,), studies=50)
    assert plan.design.frames == pytest.approx(3)
    assert len(plan.design.accuracy) == 4
    other = plan_validation(
        tmp_path / "p.svg", margin=20, pilot=pilot, site="east", frames=8, patients=(30,), studies=50
    )
    assert other.design.frames == 8
    assert other.design.accuracy != plan.design.accuracy
    with pytest.raises(ConfigError, match="the pilot has 4 classes"):
        plan_validation(tmp_path / "p.svg", margin=20, pilot=pilot, classes=3)


def test_plan_validation_says_when_the_power_is_not_reached(tmp_path: Path) -> None:
    plan = plan_validation(tmp_path / "p.svg", margin=2, patients=(10, 20), studies=50)
    assert plan.needed is None
    assert plan.sentence.startswith("Not reached with 20 patients")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"margin": -1.0}, "impossible"), ({"margin": 100.0}, "impossible"), ({"margin": 5.0, "loss": 5.0}, "not below"),
     ({"margin": 5.0, "power": 1.0}, "impossible"), ({"margin": 5.0, "studies": 3}, "too few"),
     ({"margin": 5.0, "patients": (1,)}, "4 or more"), ({"margin": 5.0, "site": "B"}, "without a pilot"),
     ({"margin": 5.0, "accuracy": 1.5}, "no possible value"), ({"margin": 5.0, "claims": 0}, "too few"),
     ({"margin": 90.0, "loss": 88.0}, "no class can lose")],
)  # fmt: skip
def test_plan_validation_refuses_contradictions(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_validation(tmp_path / "p.svg", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "p.svg").exists()


def test_register_margin_by_the_verb(tmp_path: Path) -> None:
    path = tmp_path / "margin.json"
    line = ["plan", "--margin", "5", "--register", str(path), "--question", "May it be used?", "--by", "AB"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert read_margin(path).digest() in done.output.replace("\n", "")
    assert isinstance(CliRunner().invoke(app, line[:5]).exception, Exception)


def test_margin_claim_knows_what_came_first() -> None:
    provenance = make_predictions(hospitals=HOSPITALS[:2]).provenance
    assert margin_claim(provenance) is None
    for time, after in ((BEFORE, False), (AFTER, True)):
        claim = margin_claim(provenance, registered(time=time))
        assert claim is not None
        assert claim.after_look is after
    # The test frames were predicted before, by other runs: the margin came after that look.
    opened = provenance.split.model_copy(update={"first_test_access": "2031-11-01T00:00:00+00:00"})
    claim = margin_claim(provenance.model_copy(update={"split": opened}), registered())
    assert claim is not None
    assert claim.after_look
    recorded = provenance.model_copy(update={"margin": registered(5)})
    assert margin_claim(recorded) is not None
    with pytest.raises(EvaluationError, match="judged by a margin of 5 points, not 30"):
        margin_claim(recorded, registered(30))


def test_report_content_judges_every_hospital_by_the_margin(tmp_path: Path) -> None:
    predictions = make_predictions()
    metrics = evaluate_predictions(predictions, replicates=100, margin=registered(30))
    gaps = metrics.methods[-1].generalisation.gaps
    for gap in gaps:
        judged = gap.simultaneous
        assert judged is not None
        assert judged.low is not None
        assert judged.high is not None
        assert gap.margin is judge_margin(judged.low, judged.high, 0.3)
        assert gap.gap.low is not None
        assert judged.low < gap.gap.low
    write_metrics(metrics, tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "metrics.json") == metrics
    content = report_content(predictions, metrics)
    first = content["summary"][0]
    assert "within 30 points" in first.verdict.text or "more than 30 points" in first.verdict.text
    assert any("before the test frames were first predicted" in sentence for sentence in first.sentences)
    words = {
        MarginVerdict.CARRIES_OVER: "carries over within 30 points",
        MarginVerdict.NOT_SHOWN: "not shown to carry over within 30 points",
        MarginVerdict.LOSES_MORE: "loses more than 30 points",
    }
    for card, gap in zip(content["cards"], gaps, strict=True):
        assert gap.margin is not None
        assert any(words[gap.margin] in sentence for sentence in card.sentences)
    late = evaluate_predictions(predictions, replicates=100, margin=registered(90, AFTER))
    first = report_content(predictions, late)["summary"][0]
    assert first.verdict.text.endswith("(margin registered after the look)")
    assert first.verdict.kind != "better"
    assert any("registered after the look" in sentence for sentence in first.sentences)
