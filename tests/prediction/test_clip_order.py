"""The score of a clip and the order of a study: monotone, explained, and free of chance."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.prediction.clip_order import rank_clips, score, score_parts, write_clip_order
from heart2heart.schema.clip_answer import AnswerReason, AnswerStatus, QualityParts
from heart2heart.schema.clip_order import SCORE_WEIGHTS, ScoreParts
from heart2heart.schema.enums import ImageQuality
from heart2heart.schema.status import ClipFlag
from tests.prediction.samples import answer

SHARE = st.floats(0, 1)
PARTS = st.builds(
    ScoreParts, confidence=SHARE, sector=st.none() | SHARE, exposure=st.none() | SHARE, contrast=st.none() | SHARE,
    sharpness=st.none() | SHARE, detail=st.none() | SHARE,
    length=SHARE, flags=SHARE, labeled=st.none() | SHARE,
)  # fmt: skip


@given(PARTS, st.sampled_from(sorted(SCORE_WEIGHTS)), SHARE)
def test_score_rises_with_each_part(parts: ScoreParts, name: str, value: float) -> None:
    before = getattr(parts, name)
    other = parts.model_copy(update={name: value})
    if before is not None:
        low, high = sorted([(before, score(parts)), (value, score(other))])
        assert low[1] <= high[1] + 1e-9
    assert 0 <= score(parts) <= 100


def test_score_is_the_weighted_geometric_mean() -> None:
    parts = ScoreParts(
        confidence=0.9,
        sector=0.5,
        exposure=0.8,
        contrast=0.6,
        sharpness=0.7,
        detail=0.4,
        length=1,
        flags=0.5,
        labeled=0.2,
    )
    product = 0.9**2 * 0.5 * 0.8 * 0.6**0.5 * 0.7**2 * 0.4**2 * 1 * 0.5 * 0.2**4
    assert score(parts) == pytest.approx(100 * product ** (1 / 14.5))
    assert score(ScoreParts(confidence=0, length=0, flags=0)) == pytest.approx(1)
    assert not math.isnan(score(ScoreParts(confidence=1, length=1, flags=1)))


def test_score_parts_come_from_the_answer_and_the_readers() -> None:
    parts = QualityParts(sector=0.5, exposure=0.9, contrast=0.6, sharpness=0.7, detail=0.3)
    flags = (ClipFlag.SALVAGED, ClipFlag.NO_REGION, ClipFlag.TEXT_BLANKED)
    readers = [ImageQuality.GOOD, ImageQuality.FAIR]
    from_answer = score_parts(answer("a", parts=parts, flags=flags, frames=12), readers)
    expected = {"confidence": 0.75, "sector": 0.5, "contrast": 0.6, "sharpness": 0.7, "length": 0.5, "flags": 0.25}
    expected |= {"exposure": 0.9, "detail": 0.3}
    assert from_answer == ScoreParts(**expected, labeled=0.8)
    older = score_parts(answer("a", quality=0.4, frames=240))
    assert older == ScoreParts(confidence=0.75, contrast=0.4, sharpness=0.4, length=1, flags=1)


def test_rank_clips_puts_the_best_clip_of_each_view_first(tmp_path: Path) -> None:
    not_one = {"status": AnswerStatus.NOT_ANSWERED, "reason": AnswerReason.MODE_M, "views": (), "probabilities": {}}
    answers = [
        answer("none", sentence="not answered: M-mode", **not_one),
        answer("low", probabilities={"A4C": 0.6, "PLAX": 0.4}),
        answer("plax", views=("PLAX",), probabilities={"PLAX": 0.5}),
        answer("own", views=("own class",), probabilities={"own class": 1.0}),
        answer("=b", probabilities={"A4C": 0.9}),
        answer("a", probabilities={"A4C": 0.9}),
    ]
    rows = rank_clips("1", answers)
    order = [(row.view, row.rank, row.file) for row in rows]
    assert order == [
        ("PLAX", 1, "plax"), ("A4C", 1, "=b"), ("A4C", 2, "a"), ("A4C", 3, "low"), ("own class", 1, "own"),
        ("", None, "none"),
    ]  # fmt: skip
    assert rank_clips("1", answers[::-1]) == rows
    labeled = rank_clips(
        "1", answers, {"low": [ImageQuality.GOOD], "a": [ImageQuality.POOR], "=b": [ImageQuality.POOR]}
    )
    assert next(row.file for row in labeled if row.view == "A4C") == "low"
    assert write_clip_order(rows, tmp_path / "order.csv") == len(rows)
    with (tmp_path / "order.csv").open(encoding="utf-8") as handle:
        table = list(csv.DictReader(handle))
    assert list(table[0]) == ["study", "view", "rank", "score", *SCORE_WEIGHTS, "file", "sentence"]
    assert [row["file"] for row in table][1] == "'=b"  # no formula for a spreadsheet program
    assert (table[-1]["score"], table[-1]["sentence"]) == ("", "not answered: M-mode")
