"""The index finds the nearest frames, and represents every clip."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.store.copy_search import (
    CLIP_FRAMES,
    Candidates,
    CopyIndex,
    candidate_ranks,
    clip_frames,
    nearest_frames,
    register_candidates,
)
from heart2heart.store.geometry import Geometry
from heart2heart.store.text_review import TextReview
from tests.store.echo_frames import echo_frames


class Pixels:
    """A store that holds only pixels."""

    geometry = Geometry("tmed2", 96)
    clips = frames = pa.table({})
    text_review = TextReview()
    pixels = echo_frames(20)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the frames of these rows."""
        frames: npt.NDArray[np.uint8] = self.pixels[rows]
        return frames


@settings(max_examples=50, deadline=None)
@given(clips=st.lists(st.integers(0, 5), max_size=80))
def test_clip_frames_represent_every_clip_by_as_many_as_fit(clips: list[int]) -> None:
    chosen = clip_frames(np.array(clips, np.int64))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    for clip in set(clips):
        assert np.isin(np.flatnonzero(np.array(clips) == clip), chosen).sum() == min(clips.count(clip), CLIP_FRAMES[1])


def test_nearest_frames_are_those_of_highest_similarity() -> None:
    index = CopyIndex.of(np.arange(20), np.arange(20), Pixels())
    groups = np.arange(20) % 4
    pairs = nearest_frames(index, index, (groups, groups))
    for name in ("in_place", "canonical"):
        vectors = getattr(index, name)
        even, odd = vectors[:, 0] @ vectors[:, 0].T, vectors[:, 1] @ vectors[:, 1].T
        similarity = np.where(groups[:, None] == groups, -2, np.maximum(even + odd, even - odd))
        best = set(enumerate(similarity.argmax(1).tolist()))
        assert best <= set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert (groups[pairs.left] != groups[pairs.right]).all()


def test_nearest_frames_of_nothing_are_none() -> None:
    index = CopyIndex.of(np.arange(3), np.arange(3), Pixels())
    nothing = CopyIndex.of(np.empty(0, np.int64), np.arange(3), Pixels())
    same = np.zeros(3, np.int64)
    assert len(nearest_frames(index, nothing).left) == 0
    assert len(nearest_frames(nothing, index).left) == 0
    assert len(nearest_frames(index, index, (same, same)).left) == 0


def test_candidate_ranks_count_the_more_similar_candidates_of_the_clip() -> None:
    rng = np.random.default_rng(0)
    left, similarity = rng.integers(0, 30, 200), rng.random(200).astype(np.float32)
    clips = np.arange(30) // 4
    pairs = Candidates(left, np.zeros(200, np.int64), np.zeros(200, bool), similarity)
    same = clips[left][:, None] == clips[left]
    expected = (same & (similarity > similarity[:, None])).sum(1).tolist()
    assert candidate_ranks(pairs, clips).tolist() == expected


def test_register_candidates_finds_each_frame_in_its_own_place() -> None:
    rows = np.arange(20)
    index = CopyIndex.of(rows, rows, Pixels())
    pairs = nearest_frames(index, index)
    scores = register_candidates(pairs, rows, rows, Pixels())
    same = pairs.left == pairs.right
    assert sorted(set(pairs.left[same].tolist())) == rows.tolist()
    assert (scores[same & ~pairs.mirrored] > 0.99).all()
    assert scores[~same].max() < 0.7
