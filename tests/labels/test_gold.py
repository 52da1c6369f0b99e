"""Gold clips: what is frozen, and the score of a rater with Wilson's interval."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import gold_labels
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.gold import adjudicated_labels, choose_gold, freeze_gold, gold_scores, wilson_interval
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import EventKind, LabelAnswer

AT = "2026-11-28T12:00:00.000Z"


def _reading(clip: str, word: str, rater: str = "a", kind: EventKind = EventKind.GOLD) -> LabelEvent:
    plain = word in ("unsure", "unusable")
    answer = LabelAnswer(word) if plain else LabelAnswer.VIEW
    return LabelEvent(clip, "", "" if plain else word, rater, AT, "page", kind=kind, answer=answer)


@given(st.integers(1, 200), st.data())
def test_wilson_interval_is_that_of_scipy(read: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, read))
    reference = binomtest(right, read).proportion_ci(method="wilson")
    assert wilson_interval(right, read) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_gold_scores_by_rater_and_view() -> None:
    gold = {"c1": "A4C", "c2": "A4C", "c3": "unusable"}
    readings = [_reading("c1", "A4C"), _reading("c2", "A2C"), _reading("c3", "unusable"), _reading("c1", "unsure", "b"),
                _reading("other", "A4C")]  # fmt: skip
    scores = {(score.rater, score.view): score for score in gold_scores(gold, readings)}
    assert list(scores) == [("a", "all"), ("a", "A4C"), ("a", "unusable"), ("b", "all"), ("b", "A4C")]
    assert [(score.read, score.right, score.unsure) for score in scores.values()] == [
        (3, 2, 0), (2, 1, 0), (1, 1, 0), (0, 0, 1), (0, 0, 1)
    ]  # fmt: skip
    assert (scores["a", "all"].low, scores["a", "all"].high) == wilson_interval(2, 3)
    assert scores["b", "all"].low is None


def test_freeze_gold_takes_decisions_and_is_undone(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    decision, label = EventKind.ADJUDICATION, EventKind.LABEL
    label_store.append([
        _reading("c1", "A4C", "a", label), _reading("c1", "A2C", "b", label), _reading("c1", "A2C", "z", decision),
        _reading("c2", "PLAX", "a", label), _reading("c3", "unusable", "z", decision),
    ])  # fmt: skip
    known = adjudicated_labels(label_store.events())
    assert known == {"c1": "A2C", "c3": "unusable"}
    assert freeze_gold(label_store, known, "z", AT) == 2
    assert freeze_gold(label_store, known, "z", AT) == 0
    assert gold_labels(event for _, event in label_store.clip_events()) == known
    assert freeze_gold(label_store, {"c1": ""}, "z", AT) == 1
    assert gold_labels(event for _, event in label_store.clip_events()) == {"c3": "unusable"}
    with pytest.raises(ConfigError, match="no known label to freeze"):
        freeze_gold(label_store, {}, "z", AT)


def test_choose_gold_draws_by_seed() -> None:
    known = {f"c{index}": "A4C" for index in range(20)} | {"u": "unsure"}
    assert set(choose_gold(known, None, 0)) == set(known) - {"u"}
    assert len(choose_gold(known, 5, 0)) == 5
    assert choose_gold(known, 5, 0) == choose_gold(known, 5, 0) != choose_gold(known, 5, 1)
