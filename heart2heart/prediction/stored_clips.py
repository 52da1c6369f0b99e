"""Reads the clips of a frame store for classification."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator

import numpy as np

from heart2heart.prediction.clip_parts import quality_parts
from heart2heart.prediction.loaded_clip import LoadedClip, mean_quality
from heart2heart.schema.clip_answer import HashedContent
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.frame_store import FrameStore


def stored_clips(store: FrameStore, rule: str = "all", *, done: Container[str] = ()) -> Iterator[LoadedClip]:
    """Yield the clips of a store in the order of their frames; those that a review hides or keeps back are left out.

    Args:
        store: The store.
        rule: Frames to take of those that the store holds.
        done: Keys of clips to leave out.

    Raises:
        ConfigError: a rule that cannot be read.
    """
    parsed = FrameRule.parse(rule)
    facts = {row["clip"]: row for row in store.clips.select(["clip", "mode", "flags"]).to_pylist()}
    frames = store.frames.select(["clip", "row", "quality"])
    clips = np.asarray(frames["clip"].to_pylist(), dtype=object)
    rows, quality = frames["row"].to_numpy(), frames["quality"].to_numpy()
    starts = np.flatnonzero(np.r_[True, clips[1:] != clips[:-1]]) if len(clips) else np.empty(0, np.int64)
    for start, stop in zip(starts, [*starts[1:], len(clips)], strict=True):
        clip = str(clips[start])
        if clip in done:
            continue
        chosen = start + parsed.choose(int(stop - start))
        pixels = store.read(rows[chosen].astype(np.int64))
        yield LoadedClip(
            file=clip,
            pixels=pixels,
            sha256=hashlib.sha256(pixels.data).hexdigest(),
            hash_of=HashedContent.FRAMES,
            mode=ClipMode(facts[clip]["mode"]),
            flags=tuple(map(ClipFlag, facts[clip]["flags"])),
            quality=mean_quality(quality[chosen].tolist()),
            parts=quality_parts(pixels),
        )
