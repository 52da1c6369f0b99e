"""What flags and reviews say together, and what a store then gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from heart2heart.errors import ConfigError, SplitError, StoreError, UnknownNameError
from heart2heart.schema.review import REVIEW_FILE, ReviewDecision, ReviewState, read_reviews
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.record_review import record_review
from heart2heart.store.text_review import TextReview
from heart2heart.testing.stores import random_store
from heart2heart.testing.tiny import tiny_store

SUSPECTED, QUARANTINED, PLAIN = (f"a0000{index}".ljust(16, "0") for index in range(3))
FLAGS = {SUSPECTED: ["text_suspected"], QUARANTINED: ["text_quarantined", "text_suspected"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return random_store(tmp_path / "store", sites=["A"], patients=2, flags=FLAGS).root


def reviewed(root: Path, clip: str, decision: str, by: str = "Reader 1", **more: str) -> FrameStore:
    record_review(root, [clip], ReviewDecision(decision), reviewer=by, reason="seen", **more)
    return FrameStore.open(root)


def test_text_review_reads_the_flags(root: Path) -> None:
    store = FrameStore.open(root)
    review = store.text_review
    assert review == TextReview(waiting=frozenset(FLAGS), quarantined=frozenset({QUARANTINED}))
    assert review.withheld == frozenset(FLAGS)
    assert review.excluded == {QUARANTINED}
    assert [review.state(clip) for clip in (SUSPECTED, PLAIN)] == [ReviewState.WAITING, None]


def test_frame_store_leaves_out_excluded_clips_until_they_are_cleared(root: Path) -> None:
    whole = FrameStore.open(root)
    digest, every = whole.digest(), set(whole.all_clips["clip"].to_pylist())
    assert set(whole.clips["clip"].to_pylist()) == every - {QUARANTINED}
    assert set(whole.frames["clip"].to_pylist()) == every - {QUARANTINED}
    hidden = reviewed(root, PLAIN, "hidden")
    assert set(hidden.clips["clip"].to_pylist()) == every - {QUARANTINED, PLAIN}
    assert QUARANTINED not in hidden.sql("SELECT clip FROM frames")["clip"].to_pylist()
    cleared = reviewed(root, QUARANTINED, "cleared")
    assert set(cleared.clips["clip"].to_pylist()) == every - {PLAIN}
    assert cleared.digest() == digest
    assert cleared.verify() == []
    # The numbers of rows stay: the frames of the others are the same pixels.
    rows = cleared.frames.sort_by("frame").filter(pc.equal(cleared.frames.sort_by("frame")["clip"], SUSPECTED))["row"]
    before = whole.frames.sort_by("frame").filter(pc.equal(whole.frames.sort_by("frame")["clip"], SUSPECTED))["row"]
    assert np.array_equal(cleared.read(rows.to_numpy()), whole.read(before.to_numpy()))
    both = FrameStores.open([root])
    assert both.text_review == cleared.text_review
    assert set(both.clips["clip"].to_pylist()) == every - {PLAIN}


def test_text_review_counts_a_decision_for_the_seen_pixels_alone(root: Path, tmp_path: Path) -> None:
    reviewed(root, SUSPECTED, "cleared")
    other = random_store(tmp_path / "other", sites=["A"], patients=2, seed=1, flags=FLAGS).root
    (other / REVIEW_FILE).write_bytes((root / REVIEW_FILE).read_bytes())
    (other / REVIEW_FILE).chmod(0o600)
    assert SUSPECTED in FrameStore.open(root).text_review.cleared
    assert SUSPECTED in FrameStore.open(other).text_review.waiting


def test_union_withholds_what_one_store_withholds() -> None:
    one = TextReview(cleared=frozenset({"a", "b"}), waiting=frozenset({"d"}), quarantined=frozenset({"d"}))
    two = TextReview(hidden=frozenset({"a", "d"}), waiting=frozenset({"b"}))
    union = TextReview.union([one, two])
    assert union == TextReview(waiting=frozenset({"b"}), hidden=frozenset({"a", "d"}))
    assert TextReview.union([]) == TextReview()


def test_record_review_goes_from_state_to_state(root: Path) -> None:
    assert SUSPECTED in reviewed(root, SUSPECTED, "cleared").text_review.cleared
    assert SUSPECTED in reviewed(root, SUSPECTED, "hidden", "Reader 2").text_review.hidden
    assert SUSPECTED in reviewed(root, SUSPECTED, "undone").text_review.hidden  # only the own decision
    assert SUSPECTED in reviewed(root, SUSPECTED, "undone", "Reader 2").text_review.waiting
    count = len(read_reviews(root).events)
    reviewed(root, SUSPECTED, "cleared")
    reviewed(root, SUSPECTED, "cleared")  # counts already
    assert len(read_reviews(root).events) == count + 1


def test_record_review_refuses_and_then_writes_nothing(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="no clip 'zzz'"):
        record_review(root, [SUSPECTED, "zzz"], ReviewDecision.CLEARED, reviewer="R", reason="r")
    with pytest.raises(ConfigError, match="no decision on this clip"):
        reviewed(root, SUSPECTED, "undone")
    with pytest.raises(ConfigError):
        record_review(root, [SUSPECTED], ReviewDecision.CLEARED, reviewer=" ", reason="r")
    with pytest.raises(StoreError, match="not those that were seen"):
        reviewed(root, SUSPECTED, "cleared", seen="0" * 64)
    assert read_reviews(root).events == ()


@pytest.mark.parametrize("damage", [b"nothing\n", b"{}\n", b"\xff\xfe\n"], ids=["text", "empty", "bytes"])
def test_frame_store_gives_nothing_where_the_reviews_are_damaged(root: Path, damage: bytes) -> None:
    reviewed(root, SUSPECTED, "cleared")
    with (root / REVIEW_FILE).open("ab") as file:
        file.write(damage)
    store = FrameStore.open(root)
    for read in (lambda: store.clips, lambda: store.frames, lambda: store.text_review, store._repr_html_):
        with pytest.raises(StoreError, match="file of reviews was changed"):
            read()
    with pytest.raises(StoreError, match="file of reviews was changed"):
        reviewed(root, SUSPECTED, "hidden")


def test_check_data_refuses_a_split_with_a_hidden_clip(tmp_path: Path) -> None:
    tiny = tiny_store(tmp_path)
    manifest = SplitManifest.load(tiny.split)
    manifest.check_data(FrameStore.open(tiny.store))
    hidden = reviewed(tiny.store, "c000v0", "hidden")
    with pytest.raises(SplitError, match="1 clips of this split are hidden"):
        manifest.check_data(hidden)
    manifest.check_data(reviewed(tiny.store, "c000v0", "undone"))
