"""The collapse monitor against its formulas, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.representation.collapse import (
    direction_deviation,
    effective_rank,
    has_collapsed,
    measure_collapse,
)
from heart2heart.representation.config import CollapseConfig


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12), d=st.integers(1, 6))
def test_effective_rank_is_the_exponential_of_the_entropy_of_singular_values(seed: int, n: int, d: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    values = np.sqrt(np.linalg.eigvalsh(np.cov(rows.T, bias=True).reshape(d, d)).clip(0))
    values = values[values > 1e-7]
    shares = values / values.sum()
    assert effective_rank(torch.from_numpy(rows)) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), abs=1e-4)


def test_effective_rank_of_equal_rows_is_one() -> None:
    assert effective_rank(torch.full((8, 5), 3.0)) == 1.0


def test_direction_deviation_is_one_for_directions_everywhere() -> None:
    rows = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    assert direction_deviation(rows) == pytest.approx(1.0, abs=0.02)
    assert direction_deviation(rows * 1e-3 + 1) < 0.01


def test_measure_collapse_counts_dimensions_that_do_not_vary() -> None:
    rows = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    rows[:, 3] *= 1e-4
    measured = measure_collapse(rows)
    assert (measured.dimensions, measured.dead_dimensions) == (4, 0.25)
    assert 2.5 < measured.effective_rank < 3.2


def test_has_collapsed_at_either_limit() -> None:
    limits = CollapseConfig(rank=2.0, deviation=0.05)
    varied = measure_collapse(torch.randn(100, 4, generator=torch.Generator().manual_seed(0)))
    assert not has_collapsed(varied, limits)
    assert has_collapsed(varied.model_copy(update={"effective_rank": 1.9}), limits)
    assert has_collapsed(varied.model_copy(update={"deviation": 0.04}), limits)
