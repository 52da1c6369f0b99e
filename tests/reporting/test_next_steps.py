"""What to do follows by rule from intervals and counts."""

from __future__ import annotations

from heart2heart.reporting.next_steps import next_steps, ranked_well
from heart2heart.schema.metrics import Metrics, RunMetrics
from heart2heart.schema.site_metrics import Estimate


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=90, clusters=40, few_clusters=False)


def with_view(run: RunMetrics, index: int, view: str, sensitivity: Estimate, auroc: Estimate) -> RunMetrics:
    site = run.sites[index]
    changed = site.model_copy(
        update={"sensitivity": {**site.sensitivity, view: sensitivity}, "auroc": {**site.auroc, view: auroc}}
    )
    return run.model_copy(update={"sites": (*run.sites[:index], changed, *run.sites[index + 1 :])})


def test_ranked_well_needs_a_low_sensitivity_a_high_auroc_and_a_held_out_hospital(metrics: Metrics) -> None:
    run, never, well = metrics.runs[-1], estimate(0.0, 0.0, 0.1), estimate(0.97, 0.94, 0.99)
    before = ranked_well(run, metrics)
    assert ("east", "A4C", 0.97) in ranked_well(with_view(run, 1, "A4C", never, well), metrics)
    assert ranked_well(with_view(run, 0, "A4C", never, well), metrics) == before
    assert ranked_well(with_view(run, 1, "A4C", estimate(0.4, 0.2, 0.6), well), metrics) == before
    assert ranked_well(with_view(run, 1, "A4C", never, estimate(0.97, 0.85, 0.99)), metrics) == before


def test_next_steps_names_what_the_numbers_call_for(metrics: Metrics) -> None:
    method = metrics.methods[-1]
    run = with_view(metrics.runs[-1], 1, "A4C", estimate(0.0, 0.0, 0.1), estimate(0.976, 0.95, 0.99))
    text = " ".join(next_steps(method, run, metrics)).replace("\xa0", " ")
    assert text.startswith("Decide nothing about care: the data are synthetic.")
    assert "A4C at east (97.6 %) is ranked well (AUROC), but most of its frames are called something else." in text
    assert "PLAX at west (9 patients)" in text or "at west (9 patients)" in text
    for gap in method.generalisation.gaps:
        assert gap.site in text
    real = metrics.model_copy(update={"synthetic": False})
    assert "synthetic" not in " ".join(next_steps(method, run, real))
