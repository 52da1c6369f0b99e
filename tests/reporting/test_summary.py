"""The summary follows from the metrics by rule and states its limits; the table on the terminal."""

from __future__ import annotations

import pytest

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.score_table import summary_table
from heart2heart.reporting.sections import site_cards
from heart2heart.reporting.sentences import at_chance
from heart2heart.reporting.summary import SummarySection, summary
from heart2heart.schema.metrics import Metrics, RandomEffects, SeedSpread
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows


def ask(metrics: Metrics) -> list[SummarySection]:
    return list(summary(metrics.methods[-1], metrics.runs[-1], metrics.comparisons[-1], metrics))


@pytest.fixture(scope="module")
def real(rich_metrics: Metrics) -> Metrics:
    sites = tuple(
        site.model_copy(update={"clusters": 40, "view_clusters": dict.fromkeys(site.views, 40)})
        for site in rich_metrics.sites
    )
    return rich_metrics.model_copy(update={"synthetic": False, "sites": sites})


def test_summary_asks_its_questions_and_names_synthetic_data_first(rich_metrics: Metrics) -> None:
    carry, sure, fails, better = ask(rich_metrics)
    assert [one.question for one in (carry, sure, fails)] == [
        "Is it accurate at other hospitals?", "How certain are the results?", "Where does it fail?",
    ]  # fmt: skip
    assert better.question == "Is it better than “labels only”?"
    assert sure.verdict.text == "Synthetic data"
    assert sure.sentences[0].startswith("Synthetic data, not patients")
    assert all(name in carry.sentences[0] for name in ("east", "south", "west"))


def test_summary_certainty_falls_with_few_patients_and_one_training(rich_metrics: Metrics, real: Metrics) -> None:
    few = rich_metrics.model_copy(update={"synthetic": False})
    assert ask(few)[1].verdict.text == "Few patients"
    text = " ".join(ask(few)[1].sentences).replace("\xa0", " ")
    assert "The rarest class comes from 9 patients at west" in text
    assert "fewer than 30: one or two others can move the result." in text
    assert ask(real)[1].verdict.text == "Trained once"
    method = real.methods[-1].model_copy(update={"runs": ("a", "b", "c")})
    sections = summary(method, real.runs[-1], None, real)
    assert len(sections) == 3
    assert sections[1].verdict.kind == "better"
    assert "The model was trained 3 times." in sections[1].sentences


def test_summary_predicts_another_hospital_only_with_an_interval(real: Metrics) -> None:
    assert any("Too few hospitals" in sentence for sentence in ask(real)[1].sentences)
    known = {"mean": 0.8, "low": 0.75, "high": 0.85, "between": 0.05, "prediction_low": 0.64, "prediction_high": 0.96}
    for effects, expected in (
        (
            RandomEffects(**known, sites=6),
            "from 64.0 to 96.0 % is plausible. The range is too narrow: in simulations, one hospital in ten",
        ),
        (RandomEffects(**dict.fromkeys(known), sites=6, reason="no spread"), "is not estimable: no spread."),
    ):
        general = real.methods[-1].generalisation.model_copy(update={"random_effects": effects})
        method = real.methods[-1].model_copy(update={"generalisation": general})
        assert any(expected in sentence for sentence in summary(method, real.runs[-1], None, real)[1].sentences)


def test_summary_names_the_worst_cell_the_threshold_and_the_background(rich_metrics: Metrics) -> None:
    text = " ".join(ask(rich_metrics)[2].sentences)
    cell = rich_metrics.methods[-1].generalisation.worst_cell
    assert cell is not None
    assert f"{cell.view} at {cell.site}" in text
    risks = {site.site: site.selective.risk.value or 0 for site in rich_metrics.runs[-1].sites[1:] if site.selective}
    worst = max(risks, key=risks.__getitem__)
    assert f"of the kept frames are still wrong at {worst}, the worst hospital" in text
    assert "without the scan (blacked out), the accuracy exceeds chance at" in text
    assert "views that the model does not know" in text


def test_summary_of_a_constant_model() -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2])
    blind = with_rows(predictions, [row | {"logits": [1.0, 0.0, 0.0, 0.0]} for row in predictions.table.to_pylist()])
    metrics = evaluate_predictions(blind, replicates=100)
    assert metrics.methods[-1].generalisation.gaps[0].gap.value == 0.0  # no loss, since there was nothing to lose
    carry = ask(metrics)[0]
    assert (carry.verdict.kind, carry.verdict.text) == ("worse", "Not shown to exceed chance")
    text = " ".join(carry.sentences).replace("\xa0", " ")
    assert "predicting the same view for every frame gives 25.0 %. This includes the source north" in text
    assert "no loss is shown" not in text
    (card,) = site_cards(metrics.methods[-1], None, metrics.runs[-1], metrics)
    assert card.verdict.text == "Not shown to exceed chance"
    assert card.sentences[0].replace("\xa0", " ") == "Predicting the same view for every frame would reach 25.0 %."


def test_at_chance_counts_the_views_present(rich_metrics: Metrics) -> None:
    method = rich_metrics.methods[-1]
    row = method.sites[1]
    estimate = row.balanced_accuracy.model_copy(update={"low": 0.45})
    changed = method.model_copy(
        update={"sites": (method.sites[0], row.model_copy(update={"balanced_accuracy": estimate}), *method.sites[2:])}
    )
    east = rich_metrics.sites[1]
    for views, chance_by_site in (({"A2C": 9, "A4C": 9}, {east.site: 0.5}), ({"A4C": 9}, {}), (dict(east.views), {})):
        sites = (rich_metrics.sites[0], east.model_copy(update={"views": views}), *rich_metrics.sites[2:])
        assert at_chance(changed, rich_metrics.model_copy(update={"sites": sites})) == chance_by_site
    assert ask(rich_metrics)[0].verdict.text != "Not shown to exceed chance"


@pytest.mark.parametrize(
    ("low", "high", "kind", "text"),
    [
        ((0.1, -0.3), (0.2, -0.1), "open", "Better at 1, worse at 1 of 2 hospitals"),
        ((-0.2, -0.3), (-0.1, -0.1), "worse", "No: worse at 2 of 2 hospitals"),
        ((-0.2, -0.3), (0.1, -0.1), "worse", "No: worse at 1 of 2 hospitals"),
        ((-0.2, 0.1), (0.1, 0.3), "better", "Better at 1 of 2 hospitals"),
        ((-0.2, -0.1), (0.1, 0.3), "open", "Not shown"),
    ],
)
def test_summary_reports_harm_as_well_as_benefit(
    rich_metrics: Metrics, low: tuple[float, ...], high: tuple[float, ...], kind: str, text: str
) -> None:
    final = rich_metrics.comparisons[-1]
    rows = [
        row.model_copy(
            update={"difference": row.difference.model_copy(update={"low": least, "high": most}), "simultaneous": None}
        )
        for row, least, most in zip(final.sites, low, high, strict=False)
    ]
    changed = final.model_copy(update={"sites": tuple(rows)})
    verdict = summary(rich_metrics.methods[-1], rich_metrics.runs[-1], changed, rich_metrics)[-1].verdict
    assert (verdict.kind, verdict.text.replace("\xa0", " ")) == (kind, text)


def test_summary_table_holds_the_main_numbers(metrics: Metrics) -> None:
    text = summary_table(metrics)
    assert text.isascii()
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["hospital", "patients"]
    for index, site in enumerate(metrics.sites):
        start = next(position for position, line in enumerate(lines) if line.startswith(site.site))
        assert f" {site.clusters} " in lines[start]
        for method, line in zip(metrics.methods, lines[start:], strict=False):
            assert f"  {method.method}  " in line
            assert f"{100 * (method.sites[index].balanced_accuracy.value or 0):.1f} (" in line
        assert f"{100 * (metrics.comparisons[0].sites[index].difference.value or 0):+.1f} (" in lines[start + 1]
        assert "+" not in lines[start].partition(metrics.methods[0].method)[2]
    assert len([line for line in lines if " (held out) " in line]) == sum(site.held_out for site in metrics.sites)
    assert "* the rarest class comes from fewer than 30 patients." in text
    assert "SYNTHETIC data: north, east, south, west" in text
    assert max(len(line) for line in lines) <= 120


def test_summary_table_does_not_mark_real_data_as_synthetic(metrics: Metrics) -> None:
    assert "SYNTHETIC" not in summary_table(metrics.model_copy(update={"synthetic": False}))


def test_summary_table_marks_a_mean_over_seeds(metrics: Metrics) -> None:
    first = metrics.methods[0]
    several = metrics.model_copy(
        update={"methods": (first.model_copy(update={"runs": ("a", "b")}), *metrics.methods[1:])}
    )
    lines = summary_table(several).splitlines()
    assert sum(f"  {first.method} (2 seeds)  " in line for line in lines) == len(metrics.sites)
    assert "seeds" not in summary_table(metrics)


def test_summary_table_shows_the_standard_deviation_over_seeds(metrics: Metrics) -> None:
    first, *others = metrics.methods
    spread = SeedSpread(n=2, standard_deviation=0.0345, low=0.5, high=0.6)
    sites = (first.sites[0].model_copy(update={"seeds": spread}), *first.sites[1:])
    several = metrics.model_copy(update={"methods": (first.model_copy(update={"sites": sites}), *others)})
    lines = summary_table(several).splitlines()
    assert sum(" SD 3.5" in line for line in lines) == 1
    assert "SD: standard deviation over the seeds, in points." in lines
    alone = SeedSpread(n=1, standard_deviation=None, low=0.5, high=0.5)
    sites = tuple(site.model_copy(update={"seeds": alone}) for site in first.sites)
    single = {"methods": (first.model_copy(update={"sites": sites}),), "comparisons": ()}
    assert " SD " not in summary_table(metrics.model_copy(update=single))
