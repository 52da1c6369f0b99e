"""Coverage of every kind of interval in simulated studies with a known true value; docs/metrics.md has the table."""

from __future__ import annotations

import pytest

from tests.evaluation.coverage import coverage


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bca", [False, True])
def test_evaluate_has_intervals_of_near_nominal_coverage(bca: bool) -> None:
    shares = coverage(100, 300, bca=bca)
    # 300 studies: a coverage of .95 is measured with a standard error of .013; the bootstrap itself loses a little.
    # Average precision is biased upwards in small samples (docs/metrics.md).
    assert 0.01 <= shares.pop("p below .05") <= 0.11
    least = dict.fromkeys(shares, 0.89) | {"open set AUPR": 0.84}
    assert {name: share for name, share in shares.items() if not least[name] <= share <= 0.995} == {}
