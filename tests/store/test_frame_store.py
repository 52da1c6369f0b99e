"""FrameStore: whole shards or nothing, one digest, and no way out of the query."""

import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pyarrow import parquet

from heart2heart.errors import ConfigError, ExistsError, MissingInputError, NoSpaceError, StoreError
from heart2heart.schema.store import CLIPS
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry

GEOMETRY = Geometry("tmed2", 16)
Clip = tuple[dict[str, Any], npt.NDArray[np.uint8], list[dict[str, Any]]]


def clip(number: int, n: int = 5) -> Clip:
    draw = np.random.default_rng(number)
    row = {
        "clip": f"{number:06x}", "site": "s", "patient": f"p{number // 3}", "study": f"u{number}", "content": "c",
        "source": "test", "synthetic": True, "mode": "b_mode", "maker": "M", "rows": 10, "columns": 12, "n_source": n,
        "quality": 0.5, "flags": [], "box": [0, 0, 12, 10], "spacing_mm": None,
    }  # fmt: skip
    frames = [{"index": i, "time_ms": 2.0 * i, "quality": 0.5, "dhash": int(draw.integers(2**63))} for i in range(n)]
    return row, draw.integers(0, 256, (n, 16, 16)).astype(np.uint8), frames


def fill(root: Path, numbers: list[int], *, max_frames: int = 8192) -> FrameStore:
    store = FrameStore.create(root, GEOMETRY)
    with store.writer(max_frames=max_frames) as writer:
        for number in numbers:
            writer.add(*clip(number))
    return FrameStore.open(root)


def append(root: str, numbers: list[int]) -> int:
    fill(Path(root), numbers, max_frames=10)
    return len(numbers)


def test_read_gives_back_what_was_added_in_any_order(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", list(range(9)), max_frames=10)
    assert len(store.clips) == 9
    frames = store.frames
    rows = np.random.default_rng(0).permutation(frames["row"].to_numpy())
    pixels = dict(zip(rows.tolist(), store.read(rows), strict=True))
    for row, name, index in zip(*(frames[c].to_pylist() for c in ("row", "clip", "index")), strict=True):
        assert np.array_equal(pixels[row], clip(int(name, 16))[1][index])
    assert store.read(np.zeros(0, np.int64)).shape == (0, 16, 16)
    with pytest.raises(StoreError, match="rows beyond"):
        store.read(np.asarray([45]))


def test_digest_does_not_depend_on_order_or_cut_but_on_every_pixel(tmp_path: Path) -> None:
    one = fill(tmp_path / "a", list(range(7)))
    two = fill(tmp_path / "b", list(range(6, -1, -1)), max_frames=6)
    assert one.digest() == two.digest()
    assert one.digest() != fill(tmp_path / "c", list(range(6))).digest()
    other = FrameStore.create(tmp_path / "d", GEOMETRY)
    with other.writer() as writer:
        for index in range(7):
            row, pixels, frames = clip(index)
            pixels[0, 0, 0] ^= index == 3
            writer.add(row, pixels, frames)
    assert FrameStore.open(tmp_path / "d").digest() != one.digest()


def test_writer_appends_beside_many_others(tmp_path: Path) -> None:
    FrameStore.create(tmp_path / "s", GEOMETRY)
    parts = [list(range(start, start + 5)) for start in (0, 5, 10)]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(append, [str(tmp_path / "s")] * 3, parts)) == 15
    store = FrameStore.open(tmp_path / "s")
    assert len(store.clips) == 15
    assert store.verify() == []
    assert store.digest() == fill(tmp_path / "whole", list(range(15))).digest()


def test_writer_adds_equal_content_once(tmp_path: Path) -> None:
    fill(tmp_path / "s", [1, 2])
    store = fill(tmp_path / "s", [2, 3])
    assert sorted(store.clips["clip"].to_pylist()) == ["000001", "000002", "000003"]
    assert len(store.frames) == 15
    assert store.digest() == fill(tmp_path / "t", [1, 2, 3]).digest()


def test_remove_leftovers_removes_a_torn_shard_when_it_is_old(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [1, 2])
    before = store.digest()
    writer = FrameStore.open(tmp_path / "s").writer()
    writer.add(*clip(3))
    shard = writer.publish()
    (tmp_path / "s" / "clips" / f"{shard}.parquet").unlink()  # as if the power had gone before the last rename
    (tmp_path / "s" / "frames" / ".half.npy.12345678.tmp").write_bytes(b"half")
    store = FrameStore.open(tmp_path / "s")
    assert store.digest() == before
    assert store.verify() == []
    assert store.remove_leftovers() == 0
    time.sleep(0.02)
    assert store.remove_leftovers(older_than_s=0.01) == 3
    assert FrameStore.open(tmp_path / "s").digest() == before


def test_writer_publishes_nothing_after_an_error(tmp_path: Path) -> None:
    store = FrameStore.create(tmp_path / "s", GEOMETRY)

    def stopped() -> None:
        with store.writer() as writer:
            writer.add(*clip(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert len(FrameStore.open(tmp_path / "s").clips) == 0


def test_publish_leaves_no_part_of_a_shard_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from pyarrow import parquet

    store = fill(tmp_path / "s", [1])
    before = sorted(path.name for path in (tmp_path / "s").rglob("*"))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = store.writer()
    writer.add(*clip(2))
    monkeypatch.setattr(parquet, "write_table", full)
    with pytest.raises(NoSpaceError, match="run the same command again"):
        writer.publish()
    assert sorted(path.name for path in (tmp_path / "s").rglob("*")) == before
    monkeypatch.undo()
    assert writer.publish() is not None
    assert FrameStore.open(tmp_path / "s").digest() == fill(tmp_path / "t", [1, 2]).digest()


@pytest.mark.parametrize("pattern", ["frames/*.npy", "frames/*.parquet", "clips/*.parquet"])
def test_verify_finds_a_flipped_byte(tmp_path: Path, pattern: str) -> None:
    digest = fill(tmp_path / "s", [1, 2]).digest()
    (path,) = (tmp_path / "s").glob(pattern)
    whole = path.read_bytes()
    for offset in np.linspace(4, len(whole) - 1, 40).astype(int):
        raw = bytearray(whole)
        raw[offset] ^= 0x10
        path.write_bytes(bytes(raw))
        faults = FrameStore.open(tmp_path / "s").verify()
        if "clips" not in pattern:
            assert ["checksum" in fault for fault in faults] == [True]
        elif faults:
            assert len(faults) == 1
            assert re.search("cannot be read|checksum: the table of clips", faults[0])
        else:  # Parquet keeps statistics beside its pages that nobody reads; what is read is as it was
            assert FrameStore.open(tmp_path / "s").digest() == digest


def test_read_table_gives_nulls_for_a_shard_older_than_a_column(tmp_path: Path) -> None:
    fill(tmp_path / "s", [1, 2])
    for folder, name in (("clips", "view_name"), ("frames", "phase")):
        (path,) = (tmp_path / "s" / folder).glob("*.parquet")
        parquet.write_table(parquet.read_table(path).drop_columns([name]), path)
    fill(tmp_path / "s", [3])
    store = FrameStore.open(tmp_path / "s")
    assert (len(store.clips), store.clips["view_name"].null_count) == (3, 3)
    assert store.frames["phase"].null_count == len(store.frames)
    assert store.clips.schema.names == [*CLIPS.names, "shard"]


def test_verify_finds_missing_parts(tmp_path: Path) -> None:
    fill(tmp_path / "s", [1])
    for path in (tmp_path / "s" / "frames").iterdir():
        path.unlink()
    store = FrameStore.open(tmp_path / "s")
    assert len(store.verify()) == 2
    with pytest.raises(StoreError, match="store verify"):
        store.read(np.asarray([0]))


def test_open_refuses_another_geometry_or_folder(tmp_path: Path) -> None:
    fill(tmp_path / "s", [1])
    with pytest.raises(StoreError, match="centred-16"):
        FrameStore.create(tmp_path / "s", Geometry("centred", 16))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("words")
    with pytest.raises(ExistsError, match="not a frame store"):
        FrameStore.create(tmp_path / "x", GEOMETRY)
    with pytest.raises(MissingInputError):
        FrameStore.open(tmp_path / "nowhere")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / ".store.json.12345678.tmp").touch()  # left by a kill between two steps of the making
    assert FrameStore.create(tmp_path / "y", GEOMETRY).geometry == GEOMETRY


def test_add_refuses_a_clip_of_another_size(tmp_path: Path) -> None:
    writer = FrameStore.create(tmp_path / "s", GEOMETRY).writer()
    row, pixels, frames = clip(1)
    wrong: list[tuple[Any, list[dict[str, Any]]]] = [
        (pixels[:, :8], frames), (pixels.astype(np.float32), frames), (pixels[:3], frames), (pixels[:0], []),
    ]  # fmt: skip
    for wrong_pixels, rows in wrong:
        with pytest.raises(StoreError, match="16 x 16"):
            writer.add(row, wrong_pixels, rows)


def test_sql_answers_queries_and_reaches_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    store = fill(tmp_path / "s", [1, 2])
    assert store.sql("SELECT count(*) AS n FROM frames").to_pylist() == [{"n": 10}]
    assert store.sql("SELECT DISTINCT mode FROM clips").to_pylist() == [{"mode": "b_mode"}]
    for query in (
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"COPY clips TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
        "SELECT nothing FROM nowhere",
    ):
        with pytest.raises(ConfigError, match="query failed"):
            store.sql(query)
    assert not (tmp_path / "out.csv").exists()


def test_frame_stores_read_several_as_one(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "a", [1, 2]), fill(tmp_path / "b", [3])
    both = FrameStores([one, two])
    assert len(both.clips) == 3
    rows = both.frames["row"].to_numpy()
    assert rows.tolist() == list(range(15))
    assert np.array_equal(both.read(rows[::-1]), np.concatenate([one.read(rows[:10]), two.read(rows[:5])])[::-1])
    FrameStore.create(tmp_path / "c", Geometry("centred", 16))
    with pytest.raises(StoreError, match="different geometry"):
        FrameStores.open([tmp_path / "a", tmp_path / "c"])
    with pytest.raises(MissingInputError):
        FrameStores([])


def test_frame_store_without_a_clip(tmp_path: Path) -> None:
    store = FrameStore.create(tmp_path / "s", GEOMETRY)
    assert (len(store.clips), len(store.frames), store.verify()) == (0, 0, [])
    assert store.sql("SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 0}]


def test_publish_knows_a_full_disk_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    from collections.abc import Iterator
    from contextlib import contextmanager

    from heart2heart.store import store_files as module

    @contextmanager
    def full(_: Path) -> Iterator[Path]:
        yield Path("/dev/full")

    monkeypatch.setattr(module, "atomic_path", full)
    writer = FrameStore.create(tmp_path / "s", GEOMETRY).writer()
    writer.add(*clip(1))
    with pytest.raises(OSError, match="No space") as raised:
        writer.publish()
    assert raised.value.errno == errno.ENOSPC


def test_frame_store_open_takes_text_paths(tmp_path: Path) -> None:
    FrameStore.create(str(tmp_path / "store"), GEOMETRY)
    root = str(tmp_path / "store")
    assert FrameStore.open(root).root == tmp_path / "store"
    assert [store.root for store in FrameStores.open(root).stores] == [tmp_path / "store"]
    assert [store.root for store in FrameStores.open([root]).stores] == [tmp_path / "store"]
