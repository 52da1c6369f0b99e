"""Pretraining methods: the losses against NumPy by the papers' formulas, and the shared check of each method."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.representation.methods import PretrainMethod, build_method
from heart2heart.representation.methods.barlow_twins import BarlowTwins, cross_correlation_loss
from heart2heart.representation.methods.base import mlp
from heart2heart.representation.methods.byol import BYOL, regression_loss
from heart2heart.representation.methods.moco import MoCo, enqueue, info_nce
from heart2heart.representation.methods.simclr import SimCLR, nt_xent
from heart2heart.testing.pretraining_checks import check_pretraining_method

Floats = npt.NDArray[np.float64]
SHAPES = {"seed": st.integers(0, 2**32 - 1), "n": st.integers(2, 6), "d": st.integers(2, 5)}


def projections(seed: int, n: int, d: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) for _ in range(2)]


def cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@given(**SHAPES, temperature=st.floats(0.1, 2))
def test_nt_xent_is_equation_1_of_simclr(seed: int, n: int, d: int, temperature: float) -> None:
    views = projections(seed, n, d)
    rows = np.concatenate(views)
    terms, hits = [], []
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        odds = {k: math.exp(cosine(rows[i], rows[k]) / temperature) for k in range(2 * n) if k != i}
        terms.append(-math.log(odds[partner] / sum(odds.values())))
        hits.append(max(odds, key=lambda k: odds[k]) == partner)
    value, hit_rate = nt_xent(torch.from_numpy(views[0]), torch.from_numpy(views[1]), temperature)
    assert float(value) == pytest.approx(np.mean(terms), rel=1e-9)
    assert float(hit_rate) == pytest.approx(np.mean(hits), rel=1e-6)


@given(**SHAPES, k=st.integers(1, 4), temperature=st.floats(0.1, 2))
def test_info_nce_is_equation_1_of_moco(seed: int, n: int, d: int, k: int, temperature: float) -> None:
    queries, keys = projections(seed, n, d)
    queue = projections(seed + 1, k, d)[0]
    queue /= np.linalg.norm(queue, axis=1, keepdims=True)
    terms = []
    for query, key in zip(queries, keys, strict=True):
        positive = math.exp(cosine(query, key) / temperature)
        negatives = sum(math.exp(cosine(query, row) / temperature) for row in queue)
        terms.append(-math.log(positive / (positive + negatives)))
    rows = [torch.from_numpy(each) for each in (queries, keys, queue)]
    value, _ = info_nce(rows[0], rows[1], rows[2], temperature)
    assert float(value) == pytest.approx(np.mean(terms), rel=1e-9)


@given(**SHAPES)
def test_regression_loss_is_equation_2_of_byol(seed: int, n: int, d: int) -> None:
    predictions, targets = projections(seed, n, d)
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (predictions, targets)]
    expected = np.mean(np.sum((units[0] - units[1]) ** 2, axis=1))
    assert float(regression_loss(*map(torch.from_numpy, (predictions, targets)))) == pytest.approx(expected, rel=1e-7)


@given(**SHAPES, weight=st.floats(0, 1))
def test_cross_correlation_loss_is_equation_1_of_barlow_twins(seed: int, n: int, d: int, weight: float) -> None:
    views = projections(seed, n, d)
    # Batch normalisation adds 1e-5 to the variance.
    normal = [(each - each.mean(0)) / np.sqrt(each.var(0) + 1e-5) for each in views]
    expected = 0.0
    for i in range(d):
        for j in range(d):
            entry = sum(normal[0][row, i] * normal[1][row, j] for row in range(n)) / n
            expected += (1 - entry) ** 2 if i == j else weight * entry**2
    value = cross_correlation_loss(torch.from_numpy(views[0]), torch.from_numpy(views[1]), weight)
    assert float(value) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(size=st.integers(1, 7), counts=st.lists(st.integers(1, 9), max_size=6))
def test_enqueue_keeps_the_newest_rows(size: int, counts: list[int]) -> None:
    queue, position, written = torch.full((size, 1), -1.0), torch.zeros(1, dtype=torch.int64), [-1.0] * size
    for count in counts:
        rows = [float(len(written) + index) for index in range(count)]
        enqueue(queue, position, torch.tensor(rows)[:, None])
        written += rows
    assert sorted(queue.flatten().tolist()) == sorted(written[-size:])


def test_target_momentum_of_byol_rises_to_one() -> None:
    momenta = [BYOL(momentum=0.9).target_momentum(step, 10) for step in range(11)]
    assert momenta[0] == pytest.approx(0.9)
    assert momenta[5] == pytest.approx(0.95)
    assert momenta[10] == pytest.approx(1.0)
    assert momenta == sorted(momenta)


def test_mlp_has_no_normalisation_where_none_is_asked_for() -> None:
    assert not [layer for layer in mlp((4, 3, 2), norm=False) if isinstance(layer, torch.nn.BatchNorm1d)]
    out = mlp((4, 3, 2), norm=True, norm_last=True)(torch.randn(16, 4))
    torch.testing.assert_close(out.mean(0), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "method",
    [SimCLR(hidden=32, output=32), MoCo(hidden=32, output=32, queue=64), BYOL(hidden=32, output=32),
     BarlowTwins(hidden=32, output=32)],
    ids=lambda method: method.title,
)  # fmt: skip
def test_check_pretraining_method_passes(method: PretrainMethod, tmp_path: Path) -> None:
    check_pretraining_method(method, tmp_path)


def test_build_method_refuses_what_does_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="unknown pretraining method 'dino'"):
        build_method("dino", {})
    with pytest.raises(ConfigError, match="unknown key"):
        build_method("byol", {"queue": 3})
