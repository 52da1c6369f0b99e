"""Which clips reach each use: the flags rule and the text review together."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.schema.flags_rule import ClipUse, FlagsRule, read_flags_rule, usual_rule
from heart2heart.schema.review import ReviewDecision
from heart2heart.schema.status import ClipFlag
from heart2heart.store.clip_uses import count_uses, excluded_clips
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.record_review import record_review
from heart2heart.testing.stores import random_store

ORGAN, SPLIT, SUSPECTED, QUARANTINED, PLAIN = (f"a0000{index}".ljust(16, "0") for index in range(5))
FLAGS = {
    ORGAN: ["not_a_heart_preset"],
    SPLIT: ["split_screen", "no_preamble"],
    SUSPECTED: ["text_suspected"],
    QUARANTINED: ["text_quarantined", "text_suspected"],
}
LENIENT = FlagsRule(name="lenient")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return random_store(tmp_path / "store", sites=["A"], patients=2, flags=FLAGS).root


def excluded(root: Path, rule: FlagsRule) -> dict[str, frozenset[str]]:
    store = FrameStore.open(root)
    return {use.value: excluded_clips(store, use, rule) for use in ClipUse}


def test_excluded_clips_by_the_packaged_rules(root: Path) -> None:
    gate = frozenset({QUARANTINED})
    assert excluded(root, usual_rule()) == {
        "label": frozenset({ORGAN, SUSPECTED, QUARANTINED}), "pool": gate, "train": gate, "evaluate": gate,
    }  # fmt: skip
    every = frozenset(FLAGS)
    assert excluded(root, read_flags_rule("strict")) == dict.fromkeys(("label", "pool", "train", "evaluate"), every)


def test_excluded_clips_never_allows_what_the_text_review_withholds(root: Path) -> None:
    gate = frozenset({QUARANTINED})
    assert excluded(root, LENIENT) == {
        "label": frozenset({SUSPECTED, QUARANTINED}), "pool": gate, "train": gate, "evaluate": gate,
    }  # fmt: skip
    record_review(root, [PLAIN], ReviewDecision.HIDDEN, reviewer="Reader 1", reason="seen")
    assert all(PLAIN in clips for clips in excluded(root, LENIENT).values())


def test_excluded_clips_takes_back_a_text_flag_once_a_person_cleared_the_clip(root: Path) -> None:
    record_review(root, [SUSPECTED, QUARANTINED], ReviewDecision.CLEARED, reviewer="Reader 1", reason="no name")
    assert excluded(root, LENIENT) == dict.fromkeys(("label", "pool", "train", "evaluate"), frozenset())
    remaining = frozenset({ORGAN, SPLIT})
    assert excluded(root, read_flags_rule("strict")) == dict.fromkeys(("label", "pool", "train", "evaluate"), remaining)


def test_excluded_clips_agrees_with_the_query_that_is_shown(root: Path) -> None:
    store = FrameStore.open(root)
    for rule in (usual_rule(), FlagsRule(name="own", pool=(ClipFlag.SPLIT_SCREEN, ClipFlag.NOT_A_HEART_PRESET))):
        for use in (ClipUse.POOL, ClipUse.TRAIN, ClipUse.EVALUATE):
            queried = set(store.sql(rule.query(use))["clip"].to_pylist())
            assert queried == set(store.clips["clip"].to_pylist()) - excluded_clips(store, use, rule)


def test_excluded_clips_of_several_stores(root: Path) -> None:
    other = random_store(root.with_name("other"), sites=["B"], patients=1, seed=1)
    both = FrameStores.open([root, other.root])
    assert excluded_clips(both, ClipUse.LABEL, usual_rule()) == {ORGAN, SUSPECTED, QUARANTINED}


def test_count_uses_counts_every_clip_and_every_flag(root: Path) -> None:
    store = FrameStore.open(root)
    counts = {count.flag: (count.clips, count.reaching) for count in count_uses(
        store.all_clips, store.text_review, usual_rule())}  # fmt: skip
    assert counts == {
        "any clip": (10, (7, 9, 9, 9)),
        "no_preamble": (1, (1, 1, 1, 1)),
        "not_a_heart_preset": (1, (0, 1, 1, 1)),
        "split_screen": (1, (1, 1, 1, 1)),
        "text_quarantined": (1, (0, 0, 0, 0)),
        "text_suspected": (2, (0, 1, 1, 1)),
    }
