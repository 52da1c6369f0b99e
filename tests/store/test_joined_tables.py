"""The joined tables of a store against its shards: equal rows, and the shards' own files in every doubt."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from heart2heart.store import frame_store, shard_tables, store_files
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.joined_tables import JOINED_FOLDER, JoinedTables, join_tables, shard_names
from heart2heart.utils import sha256_file
from tests.store.test_shard_tables import SIZE, clip_row, filled_store

FRAMES = [{"index": index, "quality": 0.5, "dhash": index} for index in range(2)]


def distinct_store(root: Path, shards: int = 3) -> Path:
    store = FrameStore.create(root, Geometry(size=SIZE))
    for shard in range(shards):
        add_shard(store, 2 * shard, 2 * shard + 1)
    return root


def add_shard(store: FrameStore, *clips: int) -> None:
    with store.writer() as writer:
        for clip in clips:
            writer.add(clip_row(f"clip{clip}"), np.full((2, SIZE, SIZE), clip, np.uint8), FRAMES)


def tables(root: Path) -> tuple[pa.Table, pa.Table]:
    store = FrameStore.open(root)
    return store.clips, store.frames


def forbid_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _: pa.Schema) -> pa.Table:
        raise AssertionError(f"read {path.name}")

    monkeypatch.setattr(shard_tables, "read_rows", refuse)


@pytest.mark.parametrize("twice", [False, True])
def test_join_tables_gives_the_rows_of_the_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: bool) -> None:
    root = filled_store(tmp_path / "s").root if twice else distinct_store(tmp_path / "s")
    before, digest = tables(root), FrameStore.open(root).digest()
    assert join_tables(root, at_least=1)
    assert not join_tables(root, at_least=1)
    forbid_shards(monkeypatch)
    assert [one.equals(other) for one, other in zip(tables(root), before, strict=True)] == [True, True]
    store = FrameStore.open(root)
    assert store.digest() == digest
    assert [f"clip{value}" for value in store.read(store.frames["row"].to_numpy())[:, 0, 0]] == store.frames[
        "clip"
    ].to_pylist()
    some = store.all_clips.slice(1, 3)
    assert set(store.frames_of(some)["clip"].to_pylist()) == set(some["clip"].to_pylist())


def test_join_tables_makes_private_files_and_removes_those_it_replaces(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    join_tables(root, at_least=1)
    add_shard(FrameStore.open(root), 8)
    join_tables(root, at_least=1)
    folder = root / JOINED_FOLDER
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == ["clips", "frames", "index.json"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_join_tables_joins_many_shards_at_the_first_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = distinct_store(tmp_path / "s")
    assert len(FrameStore.open(root).clips) == 6
    assert not (root / JOINED_FOLDER).exists()
    monkeypatch.setattr(frame_store, "MANY_SHARDS", 3)
    assert len(FrameStore.open(root).clips) == 6
    assert JoinedTables(root, shard_names(root)).clip_count == 6


def test_rows_takes_a_new_shard_from_its_own_file(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    join_tables(root, at_least=1)
    add_shard(FrameStore.open(root), 7, 0)
    joined = tables(root)
    (root / JOINED_FOLDER / "index.json").unlink()
    assert [one.equals(other) for one, other in zip(tables(root), joined, strict=True)] == [True, True]
    assert sorted(joined[0]["clip"].to_pylist()) == [f"clip{clip}" for clip in (0, 1, 2, 3, 4, 5, 7)]


def test_rows_takes_a_changed_shard_from_its_own_file(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    join_tables(root, at_least=1)
    shard = shard_names(root)[1]
    path = root / "clips" / f"{shard}.parquet"
    table = store_files.read_table(path)
    moved = table.set_column(table.column_names.index("patient"), table.field("patient"), pa.array(["q", "q"]))
    parquet.write_table(moved.replace_schema_metadata(store_files.read_metadata(path)), path)
    clips, _ = tables(root)
    assert {row["patient"] for row in clips.to_pylist() if row["shard"] == shard} == {"q"}
    assert {row["patient"] for row in clips.to_pylist() if row["shard"] != shard} == {"p"}


@pytest.mark.parametrize("table", ["clips", "frames"])
def test_rows_gives_no_row_of_a_damaged_file(tmp_path: Path, table: str) -> None:
    root = distinct_store(tmp_path / "s")
    before = tables(root)
    join_tables(root, at_least=1)
    (path,) = (root / JOINED_FOLDER).glob(f"{table}-*")
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        path.write_bytes(damaged)
        assert [one.equals(other) for one, other in zip(tables(root), before, strict=True)] == [True, True]
        assert list((root / JOINED_FOLDER).iterdir()) == []
        assert join_tables(root, at_least=1)
        (path,) = (root / JOINED_FOLDER).glob(f"{table}-*")


def test_rows_gives_no_row_by_a_wrong_index(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    before = tables(root)
    join_tables(root, at_least=1)
    index = root / JOINED_FOLDER / "index.json"
    right = json.loads(index.read_text(encoding="utf-8"))
    shards, files = right["shards"], right["files"]
    wrong: list[object] = [
        [], "x", right | {"more": 1}, right | {"files": {}}, right | {"shards": dict(list(shards.items())[:2])},
        right | {"files": files | {"clips": files["frames"]}}, right | {"clips": -1},
        right | {"files": files | {"clips": files["clips"] | {"name": "../../store.json"}}},
    ]  # fmt: skip
    for content in wrong:
        index.write_text(json.dumps(content), encoding="utf-8")
        assert [one.equals(other) for one, other in zip(tables(root), before, strict=True)] == [True, True]


def test_join_tables_leaves_a_store_alone_that_it_cannot_write_or_read(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    (root / JOINED_FOLDER).write_text("no folder", encoding="utf-8")
    assert not join_tables(root, at_least=1)
    (root / JOINED_FOLDER).unlink()
    path = root / "frames" / f"{shard_names(root)[0]}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not join_tables(root, at_least=1)
    assert list((root / JOINED_FOLDER).iterdir()) == []
    path.unlink()
    assert not join_tables(root, at_least=1)


def test_rows_gives_no_row_whose_texts_lie_outside_the_file(tmp_path: Path) -> None:
    root = distinct_store(tmp_path / "s")
    before = tables(root)
    join_tables(root, at_least=1)
    (path,) = (root / JOINED_FOLDER).glob("frames-*")
    with pa.OSFile(str(path)) as source:
        batches = [pa.ipc.open_file(source).get_batch(batch_index) for batch_index in range(3)]
    far = pa.StringArray.from_buffers(4, pa.py_buffer(np.array([0, 2**30, 2, 3, 3], np.int32)), pa.py_buffer(b"abc"))
    batches[1] = batches[1].set_column(0, before[1].schema.field("frame"), far)
    with pa.ipc.new_file(str(path), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    index = root / JOINED_FOLDER / "index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    content["files"]["frames"]["sha256"] = sha256_file(path)
    index.write_text(json.dumps(content), encoding="utf-8")
    assert [one.equals(other) for one, other in zip(tables(root), before, strict=True)] == [True, True]
    assert not index.exists()
