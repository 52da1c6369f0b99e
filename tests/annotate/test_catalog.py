"""The clips of the page: in order, whole, and checked against the hash they were ingested with."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from heart2heart.annotate.catalog import ClipCatalog, _clips
from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.enums import POOL_MODES
from heart2heart.schema.flags_rule import FlagsRule
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.testing.stores import SIZE, random_store


def test_catalog_orders_frames_and_keeps_studies_together(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=2)
    shelf = ClipCatalog([store.root], POOL_MODES)
    assert set(shelf.clips) == set(store.clips["clip"].to_pylist())
    assert [len(clips) for clips in shelf.studies.values()] == [5] * 4
    for clip in shelf.clips.values():
        rows = [row["row"] for row in store.frames.to_pylist() if row["clip"] == clip.clip]
        assert np.array_equal(shelf.pixels(clip), store.read(np.array(rows)))
        assert clip.frame_ms == pytest.approx(33.0)
        assert clip.synthetic


def test_catalog_leaves_other_modes_out(tmp_path: Path) -> None:
    assert not ClipCatalog([random_store(tmp_path / "store", patients=1).root], ["spectral"]).clips


def test_catalog_leaves_out_clips_by_the_flags_rule(tmp_path: Path) -> None:
    organ, suspected = ("a00000".ljust(16, "0"), "a00001".ljust(16, "0"))
    flags = {organ: ["not_a_heart_preset"], suspected: ["text_suspected"]}
    root = random_store(tmp_path / "store", sites=["A"], patients=1, flags=flags).root
    every = set(FrameStore.open(root).clips["clip"].to_pylist())
    shelf = ClipCatalog([root], POOL_MODES)
    assert set(shelf.clips) == every - {organ, suspected}
    assert (shelf.waiting, shelf.flagged) == (1, 1)
    # A rule that allows everything does not open the gate of the text review.
    assert set(ClipCatalog([root], POOL_MODES, FlagsRule(name="lenient")).clips) == every - {suspected}


def test_thumbnails_are_spread_over_the_clip_and_reduced(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1, frames_each=4)
    shelf = ClipCatalog([store.root], POOL_MODES)
    clips = list(shelf.clips)
    assert shelf.thumbnails(clips, each=2, side=SIZE).shape == (10, SIZE, SIZE)
    whole = shelf.pixels(shelf.clips[clips[1]])
    assert np.array_equal(shelf.thumbnails([clips[1]], each=2, side=SIZE), whole[[1, 3]])
    half = shelf.thumbnails([clips[1]], each=1, side=SIZE // 2)
    means = whole[2].reshape(SIZE // 2, 2, SIZE // 2, 2).mean(axis=(1, 3))
    assert np.array_equal(half[0], np.rint(means).astype(np.uint8))
    assert shelf.thumbnails([], each=1, side=8).shape == (0, 8, 8)
    with pytest.raises(MissingInputError, match="not in the store"):
        shelf.thumbnails(["../etc/passwd"], each=1, side=8)


def test_refresh_reads_new_clips(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    shelf = ClipCatalog([store.root], POOL_MODES)
    assert not shelf.refresh()
    random_store(store.root, sites=["B"], patients=1)
    assert shelf.refresh()
    assert {clip.site for clip in shelf.clips.values()} == {"A", "B"}


def test_refresh_reads_a_replaced_store(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=2)
    shelf = ClipCatalog([store.root], POOL_MODES)
    before = next(iter(shelf.clips.values()))
    gone = list(shelf.clips)[-1]
    shutil.rmtree(store.root)
    with pytest.raises(StoreError, match="this frame store no longer exists"):
        shelf.refresh()
    random_store(store.root, sites=["A"], patients=1, seed=1)
    assert shelf.refresh()
    assert shelf.find(before.clip).frame_hash != before.frame_hash
    with pytest.raises(MissingInputError, match="not in the store, or no longer"):
        shelf.find(gone)


def test_pixels_refuses_changed_frames(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    path = next((store.root / "frames").glob("*.npy"))
    pixels = np.load(path)
    pixels[0] ^= 1
    np.save(path, pixels)
    shelf = ClipCatalog([store.root], POOL_MODES)
    changed = FrameStore.open(store.root).frames.slice(0, 1)["clip"][0].as_py()
    with pytest.raises(StoreError, match="the frames of this clip changed"):
        shelf.pixels(shelf.find(changed))
    path.write_bytes(path.read_bytes()[:200])
    other = ClipCatalog([store.root], POOL_MODES)
    with pytest.raises(StoreError):
        other.pixels(other.find(changed))


def test_clips_follow_the_stress_stages_and_then_the_views(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    table = store.clips
    studies = table["study"].to_pylist()
    chosen = [position for position, study in enumerate(studies) if study == studies[0]][:4]
    table = table.take(chosen)
    for name, numbers in (("stage_number", [2, 1, None, 2]), ("view_number", [1, 3, 5, 0])):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(name), [pa.array(numbers, table.schema.field(name).type)])
    stores = cast("FrameStores", SimpleNamespace(frames=store.frames, clips=table))
    names = table["clip"].to_pylist()
    assert list(_clips(stores, frozenset(POOL_MODES))) == [names[index] for index in (2, 1, 3, 0)]
