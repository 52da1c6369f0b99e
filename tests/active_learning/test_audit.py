"""Draws of an audit: the recorded probabilities are those with which clips are drawn."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.active_learning.queue import LabelingQueue
from heart2heart.active_learning.queue_file import write_pool_predictions
from heart2heart.active_learning.strategies.audit import AUDITS, audit_order, inclusion_probabilities
from heart2heart.errors import ConfigError
from heart2heart.testing.data_checks import random_pool
from tests.active_learning.support import picked


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 2**32))
def test_audit_order_takes_every_patient_before_a_second_clip(patients: list[int], seed: int) -> None:
    patient = np.array(patients)
    order = audit_order(patient, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(patients)))
    rounds = [patients_before.count(who) for who, patients_before in _with_before(patient[order].tolist())]
    assert rounds == sorted(rounds)


def _with_before(patients: list[int]) -> list[tuple[int, list[int]]]:
    return [(who, patients[:index]) for index, who in enumerate(patients)]


@pytest.mark.parametrize("number", [1, 3, 5, 8])
def test_inclusion_probabilities_are_the_shares_of_many_draws(number: int) -> None:
    patient = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    generator, draws = np.random.default_rng(0), 4000
    counts = np.zeros(len(patient))
    for _ in range(draws):
        counts[audit_order(patient, generator)[:number]] += 1
    expected = inclusion_probabilities(patient, number)
    assert expected.sum() == pytest.approx(number)
    assert counts / draws == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("by", AUDITS)
def test_audits_record_the_probability_of_every_clip(by: str) -> None:
    pool = random_pool(60, labeled=10)
    clips = picked(by, pool, 12)
    assert all(clip.inclusion is not None and 0 < clip.inclusion <= 1 for clip in clips)
    assert len({int(pool.patient[clip.index]) for clip in clips}) >= 6
    assert all(clip.inclusion is None for clip in picked("random", pool, 12))


def test_audit_by_class_draws_equally_many_clips_of_every_class() -> None:
    pool = random_pool(200, labeled=0)
    table = np.zeros((200, len(pool.classes)), np.float32)
    table[np.arange(200), np.where(np.arange(200) < 150, 0, 1)] = 1
    pool = replace(pool, tables={"probabilities": table})
    drawn = [clip.index for clip in picked("audit_by_class", pool, 20)]
    assert sum(index < 150 for index in drawn) == 10


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_write_pool_predictions_writes_clips_without_a_label(tmp_path: Path, suffix: str) -> None:
    pool = random_pool(20, labeled=4)
    queue = LabelingQueue(tuple(f"c{i}" for i in range(20)), ("E",) * 20, pool, ())
    path = tmp_path / f"pool{suffix}"
    write_pool_predictions(queue, path)
    if suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pq.read_table(path).to_pylist()
    assert [row["case"] for row in rows] == [f"c{i}" for i in range(4, 20)]
    assert float(rows[0][pool.classes[0]]) == pytest.approx(float(pool.table("probabilities")[4, 0]), abs=1e-6)
    with pytest.raises(ConfigError, match="predictions need a model"):
        write_pool_predictions(replace(queue, pool=replace(pool, tables={})), path)
