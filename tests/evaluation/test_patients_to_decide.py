"""The interval by number of patients: equal to the interval of repeated patients, and the number by search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, mean_share, shares_by_cluster
from heart2heart.evaluation.patients_to_decide import (
    ASSUMED_PATIENTS,
    ASSUMED_ROWS,
    Projection,
    assumed_share,
    fewest_patients,
    project_contrast,
    project_estimate,
    with_patients,
)
from heart2heart.schema.site_metrics import Estimate


def accuracy(sample: str, seed: int, copies: int = 1) -> Contrast:
    generator = np.random.default_rng(seed)
    rows = generator.integers(1, 6, (12, 3)).astype(float)
    correct = generator.binomial(rows.astype(int), 0.8).astype(float)
    shares = shares_by_cluster(np.tile(correct, (copies, 1)), np.tile(rows, (copies, 1)), sample)
    return mean_share(shares, range(3))


@pytest.mark.parametrize("copies", [2, 5])
def test_with_patients_agrees_with_patients_that_are_repeated(copies: int) -> None:
    projected = with_patients(accuracy("north", 3), "north", copies).interval(0.99)
    # Repeating the patients also changes the small-sample factor k / (k - 1) of the variance.
    assert projected == pytest.approx(accuracy("north", 3, copies).interval(0.99), abs=0.012)


def test_with_patients_leaves_another_sample_as_it_is() -> None:
    loss = combine_contrasts([accuracy("source", 1), accuracy("north", 2)], [1.0, -1.0])
    more = with_patients(loss, "north", 1e9)
    assert more.value == loss.value
    source = accuracy("source", 1).interval(0.95)
    assert more.interval(0.95)[1] - more.value == pytest.approx(source[1] - accuracy("source", 1).value, abs=1e-3)


@given(st.floats(1.01, 50), st.floats(0.5, 0.99))
def test_projection_narrows_with_patients_and_widens_with_power(factor: float, power: float) -> None:
    estimate = Estimate(value=0.8, low=0.6, high=0.9, n=90, clusters=30, few_clusters=False)
    direct = project_estimate(estimate, 0.95)
    assert direct is not None
    for projection in (direct, project_contrast(accuracy("north", 3), "north", 0.95)):
        low, high = projection.widened(1, 0.5)
        more = projection.widened(factor, 0.5)
        assert low < more[0] < more[1] < high
        sure = projection.widened(factor, power)
        assert sure[0] <= more[0] < more[1] <= sure[1]


def test_project_estimate_needs_an_interval() -> None:
    bare = Estimate(value=0.8, low=None, high=None, n=3, clusters=1, few_clusters=True, reason="one patient")
    assert project_estimate(bare, 0.95) is None


def test_assumed_share_has_the_variance_that_it_states() -> None:
    share = assumed_share(0.8, "north")
    assert share.value == pytest.approx(0.8)
    assert share.variance == pytest.approx(0.16 / (ASSUMED_PATIENTS * ASSUMED_ROWS))


@given(st.integers(2, 400))
def test_fewest_patients_is_the_first_number_that_decides(first: int) -> None:
    projection = Projection(lambda factor: (factor, factor, 0.0))

    def search(decided: Callable[[float, float], bool], least: int = 2) -> int | None:
        return fewest_patients(projection, decided, patients=1, power=0.5, least=least, most=400)

    assert search(lambda low, _: low >= first) == first
    assert search(lambda low, _: low > 400) is None
    assert search(lambda _low, _high: True, least=401) is None
