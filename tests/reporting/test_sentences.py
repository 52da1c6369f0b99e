"""Sentences follow from intervals by rule, and never describe an interval that includes zero as "no difference"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from heart2heart.evaluation.intervals import not_estimable
from heart2heart.reporting import sentences
from heart2heart.reporting.page import pooled
from heart2heart.reporting.verdicts import judge_difference, judge_transfer
from heart2heart.schema.metrics import Metrics, SeedSpread, SiteDifference, SiteGap
from heart2heart.schema.predictions import MethodFacts, Predictions
from heart2heart.schema.site_metrics import Estimate


def est(value: float, low: float | None, high: float | None, clusters: int = 40) -> Estimate:
    reason = None if low is not None else "only one patient"
    return Estimate(
        value=value, low=low, high=high, n=100, clusters=clusters, few_clusters=clusters < 30, reason=reason
    )


@pytest.mark.parametrize(
    ("gap", "kind", "expected"),
    [
        (est(0.2, 0.1, 0.3), "worse", "20.0 points below the source (loss of 10.0 to 30.0): the interval exc"),
        (est(0.05, -0.1, 0.2), "open", "includes zero and a loss of up to 20.0."),
        (est(-0.1, -0.2, -0.05), "better", "10.0 points above the source"),
        (est(0.1, None, None), "unknown", "no interval can be computed: only one patient."),
        (not_estimable("no view in common with the source"), "unknown", "cannot be estimated: no view in common"),
    ],
)
def test_describe_gap_of_each_kind_of_interval(gap: Estimate, kind: str, expected: str) -> None:
    row = SiteGap(site="B", views=("A2C",), gap=gap)
    assert judge_transfer(row).kind == kind
    assert expected in sentences.describe_gap(row, tests=1).replace("\xa0", " ")


def test_describe_gap_says_why_a_loss_is_not_shown() -> None:
    row = SiteGap(site="B", views=("A2C",), gap=est(0.2, 0.1, 0.3), simultaneous=est(0.2, -0.1, 0.5))
    text = sentences.describe_gap(row, tests=10).replace("\xa0", " ")
    assert text.endswith("excludes zero on its own, but not for all 10 comparisons of this report at once.")
    shown = row.model_copy(update={"simultaneous": est(0.2, 0.05, 0.35)})
    assert "also for all 10 comparisons" in sentences.describe_gap(shown, tests=10)


def difference(own: Estimate, together: Estimate | None = None) -> SiteDifference:
    seeds = SeedSpread(n=0, standard_deviation=None, low=None, high=None)
    return SiteDifference(site="B", difference=own, simultaneous=together, p=None, p_holm=None, seeds=seeds)


@pytest.mark.parametrize(
    ("own", "together", "kind", "expected"),
    [
        (est(0.1, 0.05, 0.15), est(0.1, 0.01, 0.19), "better", "excludes zero, also for all 3 comparisons"),
        (est(0.1, 0.01, 0.15), est(0.1, -0.01, 0.2), "open", "excludes zero on its own, but not for all 3"),
        (est(-0.1, -0.2, -0.05), est(-0.1, -0.2, -0.01), "worse", "excludes zero"),
        (est(0.0, -0.1, 0.1), None, "open", "the interval includes zero."),
        (est(0.1, None, None), None, "unknown", "no interval can be computed"),
        (not_estimable("nothing there"), None, "unknown", "Not estimable: nothing there."),
    ],
)
def test_describe_difference_of_each_kind_of_interval(
    own: Estimate, together: Estimate | None, kind: str, expected: str
) -> None:
    row = difference(own, together)
    assert judge_difference(row).kind == kind
    sentence = sentences.describe_difference(row, 3)
    assert expected in sentence.replace("\xa0", " ")
    assert "no difference" not in sentence


def test_describe_difference_of_one_test_mentions_no_others() -> None:
    assert sentences.describe_difference(difference(est(0.1, 0.05, 0.15)), 1).endswith("the interval excludes zero.")


def test_describe_failures_names_the_worst_view(metrics: Metrics) -> None:
    site = metrics.runs[1].sites[2]
    views = {view: estimate.value for view, estimate in site.sensitivity.items() if estimate.value is not None}
    worst = min(views, key=lambda view: views[view] or 0)
    assert sentences.describe_failures(site, metrics.classes).startswith(f"Lowest sensitivity: {worst}, ")


def test_caution_is_given_for_few_patients_only(metrics: Metrics) -> None:
    assert sentences.caution(est(0.5, 0.4, 0.6), metrics) is None
    few = est(0.5, 0.4, 0.6, clusters=9)
    assert "Fewer than 30 patients" in (sentences.caution(few, metrics) or "")
    rare = est(0.5, 0.4, 0.6).model_copy(update={"rarest": 4, "few_clusters": True})
    assert "The rarest class comes from 4 patients" in (sentences.caution(rare, metrics) or "").replace("\xa0", " ")


def test_headline_sorts_the_hospitals_by_their_intervals(metrics: Metrics) -> None:
    method = metrics.methods[-1]
    text = " ".join(sentences.headline(method, metrics))
    assert "trained at north, was tested at 3\xa0hospitals" in text
    for gap in method.generalisation.gaps:
        start = text.index(gap.site, text.index("At "))
        kind = judge_transfer(gap).kind
        after = {"worse": "less accurate", "open": "no loss is shown", "better": "more accurate", "unknown": "judged"}
        assert after[kind] in text[start:]


def test_compare_headline_names_hospitals_without_a_difference(metrics: Metrics) -> None:
    text = sentences.compare_headline(metrics.comparisons[0])
    assert "not shown to differ at" in text
    assert "south" in text[text.index("not shown to differ") :]


def test_compare_headline_distinguishes_one_and_several_intervals(metrics: Metrics) -> None:
    shared = metrics.comparisons[0].sites[0]
    differences = {"a": est(0.2, 0.1, 0.3), "b": est(-0.2, -0.3, -0.1), "c": est(0.3, 0.2, 0.4)}
    sites = tuple(
        shared.model_copy(update={"site": site, "difference": d, "simultaneous": None})
        for site, d in differences.items()
    )
    text = sentences.compare_headline(metrics.comparisons[0].model_copy(update={"sites": sites}))
    assert "more accurate at a and c (each interval excludes zero)" in text
    assert "less accurate at b (the interval excludes zero)" in text


def test_headline_mentions_a_pool_from_held_out_hospitals(predictions: Predictions, metrics: Metrics) -> None:
    method = metrics.methods[-1]
    assert sentences.headline(method, metrics)[0].endswith("without a part in training.")
    assert pooled(predictions, method.runs) == []
    provenance = predictions.provenance
    sites = [
        site.model_copy(update={"roles": site.roles | {"unlabeled": 9}}) if site.held_out else site
        for site in provenance.sites
    ]
    pooled_predictions = replace(predictions, provenance=provenance.model_copy(update={"sites": tuple(sites)}))
    held = [site.site for site in sites if site.held_out]
    assert pooled(pooled_predictions, method.runs) == held
    first = sentences.headline(method, metrics, held)[0]
    assert "without a part" not in first
    assert all(name in first for name in held)
    facts = MethodFacts(base="labels_only", title="Labels only", unlabeled=False)
    runs = tuple(run.model_copy(update={"facts": facts}) for run in provenance.runs)
    without = replace(pooled_predictions, provenance=pooled_predictions.provenance.model_copy(update={"runs": runs}))
    assert pooled(without, method.runs) == []
