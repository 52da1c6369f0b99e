"""The first screens show every hospital, with intervals that hold together."""

from __future__ import annotations

from heart2heart.reporting.numbers import interval
from heart2heart.reporting.screens import answer_rows, cohort_rows, study_facts
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions


def test_answer_rows_rest_on_the_joint_intervals(metrics: Metrics) -> None:
    method, final = metrics.methods[-1], metrics.comparisons[-1]
    rows = answer_rows(method, final, metrics)
    assert [row.site for row in rows] == ["east", "south", "west", "north"]
    gaps = {gap.site: gap for gap in method.generalisation.gaps}
    differences = {row.site: row for row in final.sites}
    for row in rows:
        assert interval(differences[row.site].judged, sign=True) in row.difference
        if row.role == "source":
            assert (row.loss, row.verdict) == ("", None)
            continue
        gap = gaps[row.site]
        assert gap.simultaneous is not None
        assert interval(gap.simultaneous, sign=True) in row.loss
        assert interval(gap.gap, sign=True) not in row.loss
    alone = answer_rows(method, None, metrics)
    assert all(row.difference == "" and row.compared is None for row in alone)


def test_answer_rows_say_why_a_hospital_has_no_number(metrics: Metrics) -> None:
    method = metrics.methods[-1]
    gap = method.generalisation.gaps[0]
    nothing = gap.gap.model_copy(update={"value": None, "low": None, "high": None, "reason": "no shared view"})
    gaps = (gap.model_copy(update={"gap": nothing, "simultaneous": None}), *method.generalisation.gaps[1:])
    general = method.generalisation.model_copy(update={"gaps": gaps})
    (east, *_) = answer_rows(method.model_copy(update={"generalisation": general}), None, metrics)
    assert east.loss == "not estimable: no shared view"
    assert east.verdict is not None
    assert east.verdict.text == "Cannot be judged"


def test_cohort_rows_and_facts_count_what_was_scored(predictions: Predictions, metrics: Metrics) -> None:
    rows = cohort_rows(predictions.provenance, metrics)
    assert [row.patients for row in rows] == ["33 of 44", "34 of 34", "31 of 31", "9 of 9"]
    facts = dict(study_facts(metrics.methods[-1], predictions.provenance, metrics))
    assert facts["Trained at"] == "north"
    assert "warnings: metadata probe" in facts["Checks"]
    assert metrics.simultaneous is not None
    assert f"for all {metrics.simultaneous.tests} of them at once" in facts["Intervals"]
