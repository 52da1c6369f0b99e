"""No candidate pair is missed, whatever its number, and the sketches rule out only what is no duplicate."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.store import near_duplicates
from heart2heart.store.geometry import Geometry
from heart2heart.store.near_duplicates import (
    MIN_CORRELATION,
    DescriptorCache,
    candidate_pairs,
    descriptor,
    find_near_duplicates,
    pair_correlations,
)
from heart2heart.store.text_review import TextReview


class Pixels:
    """A store that holds only pixels, and counts those that are read."""

    def __init__(self, frames: npt.NDArray[np.uint8]) -> None:
        self.pixels, self.asked = frames, 0

    geometry = Geometry("tmed2", 16)
    clips = frames = pa.table({})
    text_review = TextReview()

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the frames of these rows."""
        self.asked += len(rows)
        frames: npt.NDArray[np.uint8] = self.pixels[rows]
        return frames


def all_pairs(hashes: npt.NDArray[np.uint64], groups: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    return sorted(
        (i, j) if groups[i] < groups[j] else (j, i)
        for i in range(len(hashes))
        for j in range(i)
        if groups[i] != groups[j] and int(hashes[i] ^ hashes[j]).bit_count() <= 3
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), base=st.integers(1, 12), block=st.sampled_from([1, 7, 4_000_000]))
def test_candidate_pairs_equal_all_pairs_each_once(seed: int, base: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**63, base, dtype=np.uint64)
    hashes = codes[rng.integers(0, base, 60)]
    for _ in range(4):
        hashes ^= np.uint64(1) << rng.integers(0, 64, 60, dtype=np.uint64) * (rng.random(60) < 0.5)
    groups = rng.integers(0, 3, 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_BLOCK", block)
        candidates = [tuple(pair) for part in candidate_pairs(hashes, groups) for pair in part.tolist()]
    assert sorted(candidates) == all_pairs(hashes, groups)


def test_candidate_pairs_of_one_group_and_of_no_frame_are_none() -> None:
    assert list(candidate_pairs(np.zeros(5, np.uint64), np.zeros(5, np.int64))) == []
    assert list(candidate_pairs(np.empty(0, np.uint64), np.empty(0, np.int64))) == []


def test_find_near_duplicates_finds_one_behind_more_candidates_than_fit_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (600, 16, 16), dtype=np.uint8)
    pixels[599] = pixels[3]
    groups = np.repeat([0, 1], 300)
    monkeypatch.setattr(near_duplicates, "_PAIRS", 1000)
    monkeypatch.setattr(near_duplicates, "_BLOCK", 5000)
    store = Pixels(pixels)
    same, compared = find_near_duplicates(np.zeros(600, np.uint64), groups, np.arange(600), store)
    assert same.tolist() == [[3, 599]]
    assert compared == 300 * 300
    assert store.asked == 600 + 2  # each sketched once; the sketches leave one pair to be read
    few, stopped = find_near_duplicates(np.zeros(600, np.uint64), groups, np.arange(600), store, max_pairs=1)
    assert few.tolist() == [[3, 599]]
    assert stopped < compared


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([8, 16, 21]), noise=st.sampled_from([2, 10, 14, 40]))
def test_may_match_never_rules_out_the_same_picture(seed: int, size: int, noise: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 200, (20, size, size))
    other = np.clip(one * rng.uniform(0.5, 1) + rng.normal(0, noise, one.shape), 0, 255)
    frames = Pixels(np.concatenate([one, other]).astype(np.uint8))
    pairs = np.stack([np.arange(20), np.arange(20, 40)], axis=1)
    same = pair_correlations(pairs, np.arange(40), frames) >= MIN_CORRELATION
    assert DescriptorCache(np.arange(40), frames).may_match(pairs)[same].all()


def test_descriptor_is_a_projection_of_the_unit_frame() -> None:
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (1, 16, 16), dtype=np.uint8)
    unit = frame[0] - frame.mean()
    unit /= np.sqrt((unit**2).sum())
    by_hand = [unit[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum() / 2 for i in range(8) for j in range(8)]
    np.testing.assert_allclose(descriptor(frame)[0], by_hand, atol=1e-6)
    assert np.isnan(descriptor(np.full((1, 16, 16), 7, np.uint8))).all()
