"""The first screen answers by rule, and says what it cannot say."""

from __future__ import annotations

import pytest

from heart2heart.evaluate import Metrics
from heart2heart.evaluate.schema import RandomEffects
from heart2heart.report.answer import Answer, answers


def ask(metrics: Metrics) -> list[Answer]:
    return list(answers(metrics.methods[-1], metrics.runs[-1], metrics.comparisons[-1], metrics))


@pytest.fixture(scope="module")
def real(rich_metrics: Metrics) -> Metrics:
    sites = tuple(site.model_copy(update={"clusters": 40}) for site in rich_metrics.sites)
    return rich_metrics.model_copy(update={"synthetic": False, "sites": sites})


def test_questions_and_synthetic_first(rich_metrics: Metrics) -> None:
    carry, sure, fails, better = ask(rich_metrics)
    assert [one.question for one in (carry, sure, fails)] == [
        "Does it carry over?", "How sure are we?", "Where does it fail?",
    ]  # fmt: skip
    assert better.question == "Is it better than “labels only”?"
    assert sure.verdict.text == "Synthetic data"
    assert sure.sentences[0].startswith("Synthetic data, not patients")
    assert all(name in carry.sentences[0] for name in ("east", "south", "west"))


def test_certainty_falls_with_few_patients_and_one_training(rich_metrics: Metrics, real: Metrics) -> None:
    few = rich_metrics.model_copy(update={"synthetic": False})
    assert ask(few)[1].verdict.text == "Few patients"
    assert any("west (below 30)" in sentence for sentence in ask(few)[1].sentences)
    assert ask(real)[1].verdict.text == "Trained once"
    method = real.methods[-1].model_copy(update={"runs": ("a", "b", "c")})
    found = answers(method, real.runs[-1], None, real)
    assert len(found) == 3
    assert found[1].verdict.kind == "better"
    assert "It was trained 3 times." in found[1].sentences


def test_another_hospital_only_with_a_prediction_interval(real: Metrics) -> None:
    assert any("Too few hospitals" in sentence for sentence in ask(real)[1].sentences)
    known = {"mean": 0.8, "low": 0.75, "high": 0.85, "between": 0.05, "prediction_low": 0.64, "prediction_high": 0.96}
    for effects, said in (
        (RandomEffects(**known, sites=6), "For one more hospital like these 6, balanced accuracy from 64.0 to 96.0 %"),
        (RandomEffects(**dict.fromkeys(known), sites=6, reason="no spread"), "is not estimable: no spread."),
    ):
        general = real.methods[-1].generalisation.model_copy(update={"random_effects": effects})
        method = real.methods[-1].model_copy(update={"generalisation": general})
        assert any(said in sentence for sentence in answers(method, real.runs[-1], None, real)[1].sentences)


def test_failures_name_the_worst_cell_the_threshold_and_the_surroundings(rich_metrics: Metrics) -> None:
    text = " ".join(ask(rich_metrics)[2].sentences)
    cell = rich_metrics.methods[-1].generalisation.worst_cell
    assert cell is not None
    assert f"{cell.view} at {cell.site}" in text
    risks = {site.site: site.selective.risk.value or 0 for site in rich_metrics.runs[-1].sites[1:] if site.selective}
    worst = max(risks, key=risks.__getitem__)
    assert f"of the kept frames are still wrong at {worst}, the worst hospital" in text
    assert "with the scan blacked out it still beats guessing at" in text
    assert "views that it does not know" in text
