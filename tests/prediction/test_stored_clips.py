"""The clips of a store are read whole, by the frame rule, and without those that are kept back."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from heart2heart.errors import ConfigError
from heart2heart.prediction.stored_clips import stored_clips
from heart2heart.schema.clip_answer import HashedContent
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import FRAMES_A_CLIP, tiny_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return FrameStore.open(tiny_store(tmp_path_factory.mktemp("store"), parts={"train": 1, "test": 1}).store)


def test_stored_clips_are_those_of_the_store(store: FrameStore) -> None:
    clips = list(stored_clips(store))
    rows = store.frames.to_pylist()
    assert [clip.file for clip in clips] == list(dict.fromkeys(row["clip"] for row in rows))
    for clip in clips:
        frames = store.read(np.array([row["row"] for row in rows if row["clip"] == clip.file], np.int64))
        assert clip.pixels is not None
        np.testing.assert_array_equal(clip.pixels, frames)
        assert clip.sha256 == hashlib.sha256(frames.tobytes()).hexdigest()
        assert (clip.hash_of, clip.mode, clip.quality) == (HashedContent.FRAMES, "b_mode", 1.0)


def test_stored_clips_take_the_frames_of_a_rule_and_leave_out_what_is_done(store: FrameStore) -> None:
    first, *others = [clip.file for clip in stored_clips(store)]
    clips = list(stored_clips(store, "even:1", done={first}))
    assert [clip.file for clip in clips] == others
    whole = {clip.file: clip.pixels for clip in stored_clips(store)}
    for clip in clips:
        pixels = whole[clip.file]
        assert clip.pixels is not None
        assert pixels is not None
        np.testing.assert_array_equal(clip.pixels[0], pixels[1 if len(pixels) == FRAMES_A_CLIP else 0])
    with pytest.raises(ConfigError, match="not known"):
        list(stored_clips(store, "some"))


def test_stored_clips_leave_out_what_is_kept_back(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.clips["clip"][0].as_py()
    keep = [clip != first for clip in store.clips["clip"].to_pylist()]
    monkeypatch.setitem(store.__dict__, "clips", store.clips.filter(keep))
    monkeypatch.setitem(store.__dict__, "frames", store.frames_of(store.clips))
    assert first not in [clip.file for clip in stored_clips(store)]
