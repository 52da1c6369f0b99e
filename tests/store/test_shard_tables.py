"""The tables of a store against plain loops over its shards, with clips that two writers added, and left-out clips."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.shard_tables import clip_rows, frame_rows
from heart2heart.store.store_files import read_table

SIZE = 8


def clip_row(clip: str) -> dict[str, object]:
    return {
        "clip": clip, "site": "A", "patient": "p", "study": "s", "content": clip, "source": "dicom", "synthetic": True,
        "mode": "b_mode", "rows": SIZE, "columns": SIZE, "n_source": 2, "quality": 0.5, "flags": [],
    }  # fmt: skip


def filled_store(root: Path) -> FrameStore:
    """Return a store of five shards in which clips 2 and 3 are in two of them."""
    store = FrameStore.create(root, Geometry(size=SIZE))
    frames = [{"index": index, "quality": 0.5, "dhash": index} for index in range(2)]
    for clips in ((0, 1, 2), (2, 3), (3,), (4, 5), (6,)):
        with store.writer() as writer:
            for clip in clips:
                writer.add(clip_row(f"clip{clip}"), np.full((2, SIZE, SIZE), clip, np.uint8), frames)
    return FrameStore.open(root)


def test_clip_rows_keeps_a_clip_of_two_shards_once(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "store")
    rows = clip_rows(store.root, store._shards)
    first: dict[str, str] = {}
    for shard in store._shards:
        for clip in read_table(store.root / "clips" / f"{shard}.parquet")["clip"].to_pylist():
            first.setdefault(clip, shard)
    assert dict(zip(rows["clip"].to_pylist(), rows["shard"].to_pylist(), strict=True)) == first
    assert len(rows) == len(first) == 7


def test_frame_rows_are_those_of_a_loop_over_clips(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "store")
    clips = clip_rows(store.root, store._shards)
    for left_out in ((), ("clip0", "clip4"), ("clip2", "clip3", "clip6"), tuple(f"clip{clip}" for clip in range(7))):
        kept = clips.filter(pa.array([clip not in left_out for clip in clips["clip"].to_pylist()]))
        owner = dict(zip(kept["clip"].to_pylist(), kept["shard"].to_pylist(), strict=True))
        expected = []
        for shard, start in zip(store._shards, store._starts, strict=False):
            for offset, row in enumerate(read_table(store.root / "frames" / f"{shard}.parquet").to_pylist()):
                if owner.get(row["clip"]) == shard:
                    expected.append((row["frame"], int(start) + offset))
        rows = frame_rows(store.root, store._shards, store._starts, kept)
        assert list(zip(rows["frame"].to_pylist(), rows["row"].to_pylist(), strict=True)) == expected
        assert len(rows) == 2 * len(kept)
        pixels = store.read(rows["row"].to_numpy())
        assert [f"clip{value}" for value in pixels[:, 0, 0]] == rows["clip"].to_pylist()
