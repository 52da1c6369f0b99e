"""A subgroup is called less accurate only if the interval for all subgroups at once excludes zero."""

from __future__ import annotations

import pytest

from heart2heart.reporting.fairness_sentences import describe_subgroups, judge_subgroup
from heart2heart.reporting.numbers import MINUS
from heart2heart.schema.metrics import Metrics, Simultaneous
from heart2heart.schema.site_metrics import Estimate, Stratum


def estimate(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, n=90, clusters=40, few_clusters=False)


def stratum(own: tuple[float, float], joint: tuple[float, float]) -> Stratum:
    return Stratum(
        factor="sex", level="F", views=("A4C",), balanced_accuracy=estimate(0.6, 0.8),
        difference=estimate(*own), simultaneous=estimate(*joint),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("own", "joint", "kind"),
    [
        ((-0.3, -0.1), (-0.35, -0.05), "worse"),
        ((0.1, 0.3), (0.05, 0.35), "better"),
        ((-0.2, -0.01), (-0.25, 0.04), "open"),
    ],
)
def test_judge_subgroup_rests_on_the_joint_interval(
    own: tuple[float, float], joint: tuple[float, float], kind: str
) -> None:
    verdict = judge_subgroup(stratum(own, joint))
    assert verdict is not None
    assert verdict.kind == kind
    assert ("excludes zero, but not the one for all subgroups at once" in verdict.text) == (kind == "open")


def test_judge_subgroup_is_silent_where_zero_is_included() -> None:
    assert judge_subgroup(stratum((-0.2, 0.1), (-0.3, 0.2))) is None
    assert judge_subgroup(stratum((-0.2, 0.1), (-0.3, 0.2)).model_copy(update={"difference": None})) is None


def test_describe_subgroups_names_the_less_accurate_ones(metrics: Metrics) -> None:
    run = metrics.runs[-1].model_copy(update={"subgroups": Simultaneous(tests=7, each=0.99)})
    quiet = run.model_copy(update={"sites": tuple(site.model_copy(update={"strata": ()}) for site in run.sites)})
    assert "none is shown: that is no proof" in describe_subgroups(quiet)
    worse = run.sites[1].model_copy(update={"strata": (stratum((-0.3, -0.1), (-0.35, -0.05)),)})
    text = describe_subgroups(run.model_copy(update={"sites": (run.sites[0], worse)}))
    text = text.replace("\xa0", " ").replace(MINUS, "-")
    assert "less accurate: sex F at east (-35.0 to -5.0 points)." in text
    assert describe_subgroups(run.model_copy(update={"subgroups": None})).startswith("No subgroup can be compared")
