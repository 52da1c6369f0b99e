"""Joins the tables of many shards into two memory-mapped files, so that a large store opens at once.

The joined files are a copy that can be made again at any time; the shards remain what counts. The rows of a shard are
taken from the joined files only while the shard's own files are those that were joined (size and time of change), and
while the joined files have their SHA-256. Otherwise they are read from the shard.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from heart2heart.errors import Heart2HeartError
from heart2heart.schema.store import CLIPS, FRAMES
from heart2heart.store.store_files import read_metadata, read_rows
from heart2heart.utils import atomic_path, sha256_file, write_text

JOINED_FOLDER = "joined"
MANY_SHARDS = 64
"""So many shards that are not joined yet are joined by the next ingest, or by the next reader who may write."""
_SCHEMAS: dict[Literal["clips", "frames"], pa.Schema] = {"clips": CLIPS, "frames": FRAMES}
_INDEX = "index.json"
_OLD_S = 3600.0
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class _JoinedShard(BaseModel):
    """Size and time of change of a shard's two tables when they were joined, and its number of frames."""

    model_config = _STRICT
    stamp: list[int]
    frames: NonNegativeInt


class _JoinedFile(BaseModel):
    model_config = _STRICT
    name: str
    sha256: str


class _Index(BaseModel):
    """What is joined.

    Attributes:
        shards: By name, in the order of the record batches: one batch a shard.
        files: The joined files of clips and frames.
        clips: Number of rows of clips.
        distinct: Whether no clip is in two of the shards.
    """

    model_config = _STRICT
    shards: dict[str, _JoinedShard] = {}
    files: dict[str, _JoinedFile] = {}
    clips: NonNegativeInt = 0
    distinct: bool = False


class JoinedTables:
    """The joined tables of a store as they are now.

    Args:
        root: Folder of the store.
        shards: Names of its shards.

    Attributes:
        frame_counts: Number of frames of each shard that is joined.
    """

    def __init__(self, root: Path, shards: Sequence[str]) -> None:
        self._root = root
        self._index = _read_index(root)
        known = self._index.shards
        self._positions = {name: position for position, name in enumerate(known)}
        stamps = _stamps(root) if known else {}
        self.frame_counts = {
            name: known[name].frames for name in shards if name in known and known[name].stamp == stamps.get(name)
        }
        self._complete = len(self.frame_counts) == len(shards) == len(known)

    @property
    def clips_are_distinct(self) -> bool:
        """Whether all shards are joined, and no clip is in two of them."""
        return self._complete and self._index.distinct

    @property
    def clip_count(self) -> int:
        """Number of rows of clips in all joined shards."""
        return self._index.clips

    def rows(self, table: Literal["clips", "frames"], shard: str) -> pa.Table | None:
        """Return the rows of a shard in the schema of `clips` or `frames`; None if the shard's file has to be read."""
        reader = self._clips if table == "clips" else self._frames
        if reader is None or shard not in self.frame_counts:
            return None
        try:
            batch = reader.get_batch(self._positions[shard])
            batch.validate(full=True)  # whoever wrote the file may have written its hash, too
        except pa.ArrowException:
            self._remove()
            return None
        return pa.Table.from_batches([batch])

    @cached_property
    def _clips(self) -> pa.RecordBatchFileReader | None:
        return self._open("clips")

    @cached_property
    def _frames(self) -> pa.RecordBatchFileReader | None:
        return self._open("frames")

    def _open(self, table: Literal["clips", "frames"]) -> pa.RecordBatchFileReader | None:
        """Return a reader of a joined file; None if there is none, or if it is not the file that was written."""
        if not self.frame_counts:
            return None
        with suppress(OSError, KeyError, pa.ArrowException):
            joined = self._index.files[table]
            source = pa.memory_map(str(self._root / JOINED_FOLDER / Path(joined.name).name))
            if hashlib.sha256(source.read_buffer()).hexdigest() == joined.sha256:
                source.seek(0)
                reader = pa.ipc.open_file(source)
                if reader.schema == _SCHEMAS[table] and reader.num_record_batches == len(self._positions):
                    return reader
        self._remove()
        return None

    def _remove(self) -> None:
        """Remove what was joined, unless another process has joined the tables since; the next reader joins them."""
        if _read_index(self._root) == self._index:
            with suppress(OSError):
                for name in (_INDEX, *(each.name for each in self._index.files.values())):
                    (self._root / JOINED_FOLDER / Path(name).name).unlink(missing_ok=True)


def shard_names(root: Path) -> list[str]:
    """Return the names of the complete shards of a store, sorted."""
    return sorted(path.stem for path in (root / "clips").glob("[0-9a-f]*.parquet"))


def join_tables(root: Path, *, at_least: int = MANY_SHARDS) -> bool:
    """Join the tables of a store if many shards are not joined yet, and return whether they were.

    A store that cannot be written to, a full disk, or a damaged shard leave everything as it is.

    Args:
        root: Folder of the store.
        at_least: Shards that are not joined, from which on the tables are joined again.
    """
    shards = shard_names(root)
    joined = JoinedTables(root, shards)
    stamps = {shard: stamp for shard, stamp in sorted(_stamps(root).items()) if shard in set(shards)}
    if len(shards) - len(joined.frame_counts) < at_least or len(stamps) < len(shards):
        return False
    token = uuid4().hex[:16]
    try:
        _write(root, token, joined, stamps)
    except (Heart2HeartError, OSError, pa.ArrowException):
        for path in (root / JOINED_FOLDER).glob(f"*-{token}.arrow"):
            path.unlink(missing_ok=True)
        return False
    return True


def _write(root: Path, token: str, joined: JoinedTables, stamps: dict[str, list[int]]) -> None:
    folder, before, files = root / JOINED_FOLDER, _read_index(root), {}
    for table, schema in _SCHEMAS.items():
        path = folder / f"{table}-{token}.arrow"
        with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
            for shard in stamps:
                rows = joined.rows(table, shard)
                rows = read_rows(root / table / f"{shard}.parquet", schema) if rows is None else rows
                writer.write_batch(rows.combine_chunks().to_batches()[0])
        files[table] = _JoinedFile(name=path.name, sha256=sha256_file(path))
    counts = joined.frame_counts
    known = {
        shard: _JoinedShard(stamp=stamp, frames=counts[shard] if shard in counts else frame_count(root, shard))
        for shard, stamp in stamps.items()
    }
    with pa.memory_map(str(folder / files["clips"].name)) as source:
        clips = pa.ipc.open_file(source).read_all()["clip"]
        count, distinct = len(clips), pc.count_distinct(clips).as_py() == len(clips)
    index = _Index(shards=known, files=files, clips=count, distinct=distinct)
    write_text(folder / _INDEX, index.model_dump_json() + "\n")
    _remove_older(folder, {each.name for each in before.files.values()}, {each.name for each in files.values()})


def frame_count(root: Path, shard: str) -> int:
    """Return the number of frames of a shard, from its table of clips."""
    return int(read_metadata(root / "clips" / f"{shard}.parquet")[b"frames"])


def _remove_older(folder: Path, replaced: set[str], kept: set[str]) -> None:
    """Remove the joined files of before, but not those that another process is about to name in the index."""
    for path in folder.glob("*-*.arrow"):
        old = path.name in replaced or path.stat().st_mtime < time.time() - _OLD_S
        if old and path.name not in kept:
            path.unlink(missing_ok=True)


def _read_index(root: Path) -> _Index:
    """Return the index of the joined files; an empty one if there is none that can be read."""
    try:
        return _Index.model_validate_json((root / JOINED_FOLDER / _INDEX).read_bytes())
    except (OSError, ValidationError):
        return _Index()


def _stamps(root: Path) -> dict[str, list[int]]:
    """Return size and time of change of both tables of each shard; a shard that lacks one is left out."""
    stamps: dict[str, list[int]] = {}
    for table in _SCHEMAS:
        try:
            with os.scandir(root / table) as entries:
                for entry in entries:
                    name, _, suffix = entry.name.rpartition(".")
                    if suffix == "parquet":
                        state = entry.stat()
                        stamps.setdefault(name, []).extend((state.st_size, state.st_mtime_ns))
        except OSError:
            return {}
    return {name: stamp for name, stamp in stamps.items() if len(stamp) == 2 * len(_SCHEMAS)}
