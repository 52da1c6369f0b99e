"""Every method against its formula written out, and against scikit-activeml where that has it."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import rel_entr
from scipy.stats import entropy as reference_entropy
from skactiveml.classifier import ParzenWindowClassifier
from skactiveml.pool import Badge, batch_bald, k_greedy_center, uncertainty_scores

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.strategies.coverage import typicality
from heart2heart.active_learning.strategies.labeled_reference import (
    familiarity,
    pareto_fronts,
    rare_classes,
    similarities,
)
from heart2heart.active_learning.strategies.last_layer import boundary_distances, expected_norms, gradient_factors
from heart2heart.active_learning.strategies.uncertainty import (
    divergence,
    dropout_probabilities,
    entropies,
    margins,
    mutual_information,
)
from heart2heart.errors import ConfigError
from heart2heart.testing.data_checks import CLASSES, random_pool, softmax
from tests.active_learning.support import picked, places


def test_entropies_and_margins_are_those_of_scikit_activeml() -> None:
    p = random_pool().table("probabilities").astype(np.float64)
    assert entropies(p) == pytest.approx(uncertainty_scores(p, method="entropy"), abs=1e-9)
    assert margins(p) == pytest.approx(uncertainty_scores(p, method="margin_sampling"), abs=1e-9)
    for by, method in (("entropy", "entropy"), ("margin", "margin_sampling"), ("least_confidence", "least_confident")):
        scores = uncertainty_scores(p, method=method)
        expected = (12 + np.argsort(-scores[12:], kind="stable")[:9]).tolist()
        assert places(picked(by, random_pool(), 9)) == expected
    assert entropies(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx([0, np.log(2)])


def test_mutual_information_is_that_of_one_label() -> None:
    draws = np.stack([softmax(np.random.default_rng(seed).normal(0, 2, (20, 3))) for seed in range(5)]).astype(float)
    information = mutual_information(draws)
    expected = [reference_entropy(draws[:, i].mean(0)) - np.mean([reference_entropy(p) for p in draws[:, i]])
                for i in range(20)]  # fmt: skip
    assert information == pytest.approx(expected)
    peer = batch_bald(probas=draws, batch_size=1, random_state=0)[0]
    assert information == pytest.approx(peer, abs=1e-6)
    assert mutual_information([draws[0]] * 4) == pytest.approx(0, abs=1e-12)


def test_select_bald_applies_dropout_to_the_embedding_and_is_repeatable() -> None:
    pool = random_pool()
    draws = list(dropout_probabilities(pool, np.random.default_rng(3)))
    kept = (np.random.default_rng(3).random(6) >= 0.5) * 2.0
    expected = softmax((pool.table("embeddings") * kept) @ pool.table("weights") + pool.table("bias"))
    assert draws[0] == pytest.approx(expected, abs=1e-5)
    assert places(picked("bald", pool, 5)) == places(picked("bald", pool, 5))


def test_select_core_set_is_the_k_center_greedy_of_scikit_activeml() -> None:
    pool = random_pool()
    selected = places(picked("core_set", pool, 15))
    y = np.where(pool.labeled_mask, 1.0, np.nan)
    expected, _ = k_greedy_center(pool.table("embeddings").astype(np.float64), y, batch_size=15, random_state=0)
    assert selected == list(expected)


def test_select_core_set_without_labels_starts_in_the_middle() -> None:
    points = random_pool(labeled=0).table("embeddings")
    first, second = places(picked("core_set", random_pool(labeled=0), 2))
    assert first == np.linalg.norm(points - points.mean(0), axis=1).argmin()
    assert second == cdist(points[[first]], points)[0].argmax()


def test_gradient_factors_give_the_distances_of_whole_gradients() -> None:
    pool = random_pool(labeled=0)
    p, h = pool.table("probabilities").astype(float), pool.table("embeddings").astype(float)
    whole = ((p - np.eye(len(CLASSES))[p.argmax(1)])[:, :, None] * h[:, None, :]).reshape(len(pool), -1)
    picks = picked("badge", pool, 8)
    assert picks[0].index == (whole**2).sum(1).argmax()
    for index, pick in enumerate(picks[1:], start=1):
        before = whole[[each.index for each in picks[:index]]]
        assert pick.score == pytest.approx(cdist(whole[[pick.index]], before, "sqeuclidean").min(), rel=1e-3)
    errors, embeddings = gradient_factors(pool)
    assert np.einsum("nc,nd->ncd", errors, embeddings).reshape(len(pool), -1) == pytest.approx(whole, abs=1e-5)


def test_select_badge_starts_like_scikit_activeml_and_draws_by_squared_distance() -> None:
    pool = random_pool()
    points = pool.table("embeddings").astype(float)
    y = np.where(pool.labeled_mask, pool.target, np.nan)
    model = ParzenWindowClassifier(classes=range(4))
    peer = Badge(random_state=0).query(points, y, model, batch_size=1)
    shares = model.fit(points, y).predict_proba(points).astype(np.float32)
    pool = random_pool(tables={"probabilities": shares, "embeddings": pool.table("embeddings")})
    assert places(picked("badge", pool, 1)) == list(peer)
    # From the second pick on scikit-activeml also keeps away from the zero gradient, which the authors' code does not.
    errors, h = gradient_factors(pool)
    whole = np.einsum("nc,nd->ncd", errors, h).reshape(60, -1)
    chances = cdist(whole[peer], whole, "sqeuclidean")[0] * ~pool.labeled_mask
    drawn = np.bincount([places(picked("badge", pool, 2, seed=seed))[1] for seed in range(800)], minlength=60)
    assert np.abs(drawn / 800 - chances / chances.sum()).max() < 0.04  # three deviations of a chance of 0.15


def test_boundary_distances_are_those_at_which_the_prediction_changes() -> None:
    pool = random_pool()
    distances = boundary_distances(pool)
    h, w, b = (pool.table(name).astype(float) for name in ("embeddings", "weights", "bias"))
    guess = (h @ w + b).argmax(1)
    for i in range(len(pool)):
        for c in range(len(CLASSES)):
            others = [k for k in range(len(CLASSES)) if k != c] if c == guess[i] else [guess[i]]
            gaps = [abs((w[:, c] - w[:, k]) @ h[i] + b[c] - b[k]) / np.linalg.norm(w[:, c] - w[:, k]) for k in others]
            assert distances[i, c] == pytest.approx(min(gaps), rel=1e-3, abs=1e-5)
    picks = places(picked("base", pool, 8))
    assert picks[0] == 12 + distances[12:, 0].argmin()
    assert picks[1] == next(i for i in (12 + np.argsort(distances[12:, 1])).tolist() if i != picks[0])


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_select_similar_is_greedy_in_the_submodular_function(seed: int, budget: int) -> None:
    pool = random_pool(24, labeled=8, seed=seed)
    queries = pool.labeled[np.isin(pool.target[pool.labeled], rare_classes(pool))]
    like = similarities(pool.table("embeddings"), pool.table("embeddings")[queries]).astype(float)

    def f(chosen: list[int]) -> float:
        return float(like[chosen].max(0).sum() + like[chosen].max(1).sum())

    chosen: list[int] = []
    for pick in picked("similar", pool, budget):
        gains = {i: f([*chosen, i]) - (f(chosen) if chosen else 0) for i in range(8, 24) if i not in chosen}
        assert gains[pick.index] == pytest.approx(max(gains.values()), rel=1e-4)
        assert pick.score == pytest.approx(gains[pick.index], rel=1e-4)
        chosen.append(pick.index)
    best = max(f(list(each)) for each in combinations(range(8, 24), 2))
    assert f(places(picked("similar", pool, 2))) >= (1 - 1 / math.e) * best


def test_select_similar_takes_rare_views_or_those_named() -> None:
    target = np.where(np.arange(60) < 12, np.where(np.arange(60) < 10, 0, 2), -1)
    pool = random_pool(target=target)
    assert rare_classes(pool).tolist() == [2]
    assert rare_classes(random_pool(target=target, rare=(0,))).tolist() == [0]
    assert rare_classes(random_pool()).tolist() == [0, 1, 2, 3]  # as many of each: none is rare, all count
    with pytest.raises(ConfigError, match="no clip is labeled A2C yet"):
        picked("similar", random_pool(target=target, rare=(3,)), 2)


def test_select_tod_divergence_and_expected_norms_follow_their_formulas() -> None:
    pool = random_pool()
    p, h = pool.table("probabilities").astype(float), pool.table("embeddings").astype(float)
    moved = [np.sqrt(sum((a - b) ** 2)) for a, b in zip(p, pool.table("earlier").astype(float), strict=True)]
    assert places(picked("tod", pool, 6)) == sorted(range(12, 60), key=lambda i: -moved[i])[:6]
    teacher, student = pool.table("teacher").astype(float), pool.table("student").astype(float)
    sharp = teacher ** (1 / 0.7) / (teacher ** (1 / 0.7)).sum(1, keepdims=True)
    expected = rel_entr(sharp, student).sum(1)
    divergences = divergence(pool.table("teacher"), pool.table("student"))
    assert divergences == pytest.approx(expected, rel=1e-4, abs=1e-7)
    norms = [
        sum(p[i, y] * np.linalg.norm(np.outer(p[i] - np.eye(4)[y], np.append(h[i], 1))) for y in range(4))
        for i in range(len(pool))
    ]
    assert expected_norms(pool) == pytest.approx(norms, rel=1e-4)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25, unique=True))
def test_pareto_fronts_are_peeled_one_by_one(points: list[tuple[int, int]]) -> None:
    first, second = (np.array(each, float) for each in zip(*points, strict=True))
    fronts = pareto_fronts(first, second)
    left, front = set(range(len(points))), 0
    while left:
        best = {i for i in left if not any(
            points[j] != points[i] and points[j][0] >= points[i][0] and points[j][1] >= points[i][1] for j in left
        )}  # fmt: skip
        assert {i for i in left if fronts[i] == front} == best
        left, front = left - best, front + 1


def test_select_poal_prefers_clips_like_the_labeled_at_equal_entropy() -> None:
    pool = random_pool()
    tables = dict(pool.tables) | {"probabilities": np.full((60, 4), 0.25, np.float32)}
    pool = random_pool(tables=tables)
    known = familiarity(pool)
    assert places(picked("poal", pool, 5)) == sorted(range(12, 60), key=lambda i: -known[i])[:5]
    h, covariance = pool.table("embeddings").astype(float), np.zeros((6, 6))
    means = [h[:12][pool.target[:12] == c].mean(0) for c in range(4)]
    for i in range(12):
        away = h[i] - means[pool.target[i]]
        covariance += np.outer(away, away) / 12
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / 6 * np.eye(6)
    expected = [-min((x - m) @ np.linalg.inv(covariance) @ (x - m) for m in means) for x in h]
    assert known == pytest.approx(expected, rel=1e-3)


def test_typicality_and_the_order_of_clusters() -> None:
    from skactiveml.pool._typi_clust import _typicality

    points = random_pool().table("embeddings")
    expected = _typicality(points.astype(float), np.arange(60), 20)
    assert typicality(points) == pytest.approx(expected, rel=1e-3)
    assert typicality(points[:1]) == pytest.approx([1])
    # Three heaps of 30, 20 and 10 clips; the largest is labeled already.
    rng = np.random.default_rng(0)
    heap = np.repeat([0, 1, 2], [30, 20, 10])
    embeddings = (np.eye(6)[heap] * 50 + rng.normal(0, 1, (60, 6))).astype(np.float32)
    pool = random_pool(labeled_mask=np.arange(60) == 0, tables={"embeddings": embeddings})
    picks = picked("typiclust", pool, 2)
    assert heap[places(picks)].tolist() == [1, 2]
    members = np.flatnonzero(heap == 1)
    assert picks[0].index == members[typicality(embeddings[members]).argmax()]


def test_select_vaal_takes_the_highest_scores() -> None:
    pool = random_pool()
    assert places(picked("vaal", pool, 4)) == (12 + np.argsort(-pool.table("vaal")[12:])[:4]).tolist()


def test_select_clips_names_missing_outputs_of_the_pool() -> None:
    pool = random_pool(tables={})
    with pytest.raises(ConfigError, match="needs the embeddings of a run"):
        picked("core_set", pool, 3)
    assert len(picked("random", pool, 3)) == 3
    assert BudgetedSelection(pool, 3).remaining == 3
