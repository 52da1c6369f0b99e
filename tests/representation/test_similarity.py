"""Search among vectors, against plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError
from heart2heart.representation import similarity
from heart2heart.representation.similarity import nearest, nearly_equal, odd_ones, unit_vectors
from heart2heart.schema.embeddings import EmbeddingFacts, Embeddings


def embeddings_of(vectors: np.ndarray) -> Embeddings:
    n = len(vectors)
    facts = EmbeddingFacts(encoder="e", weights_sha256="0", geometry={}, dimensions=vectors.shape[1])
    columns = {
        "level": ["clip"] * n, "name": [f"c{row:03d}" for row in range(n)], "site": ["A"] * n,
        "patient": [f"p{row // 2}" for row in range(n)],
    }  # fmt: skip
    return Embeddings(facts, pa.table(columns), np.asarray(vectors, np.float32))


def cosine(vectors: np.ndarray, one: int, other: int) -> float:
    rows = vectors - vectors.mean(0)
    return float(rows[one] @ rows[other] / np.linalg.norm(rows[one]) / np.linalg.norm(rows[other]))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 12))
def test_nearest_and_odd_ones_follow_the_cosine(seed: int, n: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 4)) + 5
    table = embeddings_of(vectors)
    near = nearest(table, table.vectors[0], n, without=frozenset({"c000"}))
    expected = sorted(range(1, n), key=lambda row: -cosine(vectors, 0, row))
    assert [each.name for each in near] == [f"c{row:03d}" for row in expected]
    assert near[0].similarity == pytest.approx(cosine(vectors, 0, expected[0]), abs=1e-4)
    means = [np.mean(sorted(cosine(vectors, row, k) for k in range(n) if k != row)[-2:]) for row in range(n)]
    oddest = odd_ones(table, 1, neighbours=2)[0]
    assert oddest.name == f"c{int(np.argmin(means)):03d}"
    assert oddest.similarity == pytest.approx(min(means), abs=1e-4)


@given(seed=st.integers(0, 2**32 - 1))
def test_nearly_equal_finds_every_pair_over_the_threshold(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(9, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "BLOCK", 4)
        pairs = nearly_equal(embeddings_of(vectors), 0.8)
    expected = {(a, b) for a, b in combinations(range(9), 2) if cosine(vectors, a, b) >= 0.8}
    assert {(int(p.first.name[1:]), int(p.second.name[1:])) for p in pairs} == expected
    values = [pair.first.similarity for pair in pairs]
    assert values == sorted(values, reverse=True)
    assert all(pair.same_patient == (pair.first.patient == pair.second.patient) for pair in pairs)


def test_unit_vectors_keep_a_row_without_length() -> None:
    assert unit_vectors(np.ones((3, 2), np.float32)).tolist() == [[0.0, 0.0]] * 3


def test_nearly_equal_and_others_refuse_impossible_searches() -> None:
    table = embeddings_of(np.eye(3))
    with pytest.raises(ConfigError, match="cannot be reached"):
        nearly_equal(table, 1.5)
    with pytest.raises(ConfigError, match="no neighbour"):
        odd_ones(embeddings_of(np.eye(1)), 1)
    with pytest.raises(ConfigError, match="the vector has 2 numbers"):
        nearest(table, np.zeros(2, np.float32), 1)
