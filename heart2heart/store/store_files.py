"""The Parquet files of a store: its shards of clips and frames, and the official splits of its data sets.

Shards are written, published, read and checked here, and the files of killed writers removed. An official split is
the training, validation and test sets that a data set publishes: a row holds the role of one clip in one split.
`splits.official` freezes it into a manifest, which is then certified like any other split.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.errors import StoreError
from heart2heart.schema.store import (
    CLIPS,
    EVERY_SPLIT,
    FRAMES,
    OFFICIAL_SPLITS,
    build_table,
    frame_id,
    with_schema_columns,
)
from heart2heart.schema.viewing_copy import VIEWING_FOLDER
from heart2heart.store.viewing_copies import stale_viewing_copies
from heart2heart.utils import atomic_path, sha256_file

TEMPORARY = ".*.tmp"  # the names of temporary files of `utils.atomic_path`


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file whose pages carry checksums; raises `StoreError` if it is missing or damaged."""
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise unreadable_file(path) from error


def read_rows(path: Path, schema: pa.Schema) -> pa.Table:
    """Read the table of a shard in the columns of `schema`; those that are younger than the shard are null."""
    table = with_schema_columns(read_table(path).replace_schema_metadata(None), schema)
    return table if table.schema == schema else table.cast(schema)


def read_metadata(path: Path) -> dict[bytes, bytes]:
    """Read the metadata of a clips table; raises `StoreError` if it is missing or damaged."""
    try:
        return dict(pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException) as error:
        raise unreadable_file(path) from error


def rows_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows as they are read, since Parquet's own checksums do not cover its headers."""
    total = hashlib.sha256()
    for row in table.to_pylist():
        total.update(json.dumps(row, sort_keys=True, default=str).encode())
    return total.hexdigest()


def unreadable_file(path: Path) -> StoreError:
    """Return the error for a file of the store that cannot be read."""
    remedy = "Run `heart2heart store verify`, then ingest the missing files again"
    return StoreError("a part of this store cannot be read", where=path, remedy=remedy)


def shard_faults(root: Path, shard: str) -> Iterator[str]:
    """Yield the faults of one shard of the store at `root`; all of its pixels and tables are read."""
    try:
        clips = root / "clips" / f"{shard}.parquet"
        rows = rows_digest(read_table(clips))
        known = read_metadata(clips)
    except (StoreError, UnicodeDecodeError):
        yield "the table of clips cannot be read"
        return
    if known.get(b"clips_sha256", rows.encode()) != rows.encode():
        yield "differs from its checksum: the table of clips"
    for suffix, name, what in (("npy", b"sha256", "frames"), ("parquet", b"index_sha256", "index of frames")):
        path = root / "frames" / f"{shard}.{suffix}"
        if not path.exists():
            yield f"missing: the {what}"
        elif sha256_file(path).encode() != known.get(name):
            yield f"differs from its checksum: the {what}"


def remove_leftovers(root: Path, older_than_s: float) -> int:
    """Remove temporary files, and frames and viewing copies without a clips table, of that age; return their number."""
    whole = {path.stem for path in (root / "clips").glob("[0-9a-f]*.parquet")}
    left = [path for path in root.rglob(TEMPORARY) if path.is_file()]
    left += [path for path in (root / "frames").glob("[0-9a-f]*.*") if path.stem not in whole]
    if (root / VIEWING_FOLDER).is_dir():
        tables = [read_table(root / "clips" / f"{name}.parquet") for name in sorted(whole)]
        left += stale_viewing_copies(root, (clip for table in tables for clip in table["clip"].to_pylist()))
    oldest = time.time() - older_than_s
    stale = [path for path in left if path.stat().st_mtime < oldest]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


class ShardWriter:
    """Collects clips and publishes them as shards.

    Many writers, in any number of processes, may append to one store without a lock. A shard is three files; the
    clips table is renamed last, and a shard without it does not exist for a reader.

    Args:
        root: The store's folder.
        size: Side of the frames, pixels.
        max_frames: A shard is published once it holds this many frames.
    """

    def __init__(self, root: Path, size: int, *, max_frames: int = 8192) -> None:
        self.root, self.size, self.max_frames = root, size, max_frames
        self._pixels: list[npt.NDArray[np.uint8]] = []
        self._clips: list[dict[str, Any]] = []
        self._frames: list[dict[str, Any]] = []

    def add(self, clip: dict[str, Any], pixels: npt.NDArray[np.uint8], frames: Sequence[dict[str, Any]]) -> bool:
        """Add one clip.

        Args:
            clip: A row of the clips table, less `n_frames` and `pixel_hash`, which are computed here.
            pixels: uint8 `(n, size, size)`, in the order of `frames`.
            frames: Per frame `index`, `time_ms`, `quality`, `dhash`; the rest is taken from the clip.

        Returns:
            Whether a shard was published, and with it every clip added before.
        """
        if pixels.dtype != np.uint8 or pixels.shape != (len(frames), self.size, self.size) or not len(frames):
            what = f"a clip of this store needs uint8 frames of {self.size} x {self.size}, got {pixels.shape}"
            raise StoreError(what, where=self.root)
        pixels = np.ascontiguousarray(pixels)
        self._clips.append(clip | {"n_frames": len(frames), "pixel_hash": hashlib.sha256(pixels.data).hexdigest()})
        shared = {name: clip.get(name) for name in ("clip", "site", "patient", "study", "mode", "maker")}
        self._frames += [shared | frame | {"frame": frame_id(clip["clip"], frame["index"])} for frame in frames]
        self._pixels.append(pixels)
        if len(self._frames) >= self.max_frames:
            self.publish()
            return True
        return False

    def publish(self) -> str | None:
        """Write what was added as one shard and return its name, or None if nothing was added."""
        if not self._clips:
            return None
        shard = uuid4().hex[:16]
        try:
            self._write(shard)
        except BaseException:
            for path in (self.root / "frames").glob(f"{shard}.*"):  # without its clips table no reader sees them
                path.unlink(missing_ok=True)
            raise
        self._pixels, self._clips, self._frames = [], [], []
        return shard

    def _write(self, shard: str) -> None:
        pixels, index = (self.root / "frames" / f"{shard}.{suffix}" for suffix in ("npy", "parquet"))
        with atomic_path(pixels) as path, path.open("wb") as handle:
            shape = (len(self._frames), self.size, self.size)
            np.lib.format.write_array_header_1_0(handle, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for part in self._pixels:
                handle.write(part.data)  # not numpy's `tofile`, whose error on a full disk carries no number
        with atomic_path(index) as path:
            pq.write_table(build_table(self._frames, FRAMES), path, compression="zstd", write_page_checksum=True)
        sums = {"sha256": sha256_file(pixels), "index_sha256": sha256_file(index), "frames": str(len(self._frames))}
        clips = build_table(self._clips, CLIPS)
        clips = clips.replace_schema_metadata(sums | {"clips_sha256": rows_digest(clips)})
        with atomic_path(self.root / "clips" / f"{shard}.parquet") as path:
            pq.write_table(clips, path, compression="zstd", write_page_checksum=True)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish the rest, unless an error was raised."""
        if kind is None:
            self.publish()


def write_official_splits(store: Path, site: str, rows: pa.Table) -> Path:
    """Write the official splits of one site, replacing what an earlier run wrote; none if there are no rows.

    Args:
        store: The store's folder.
        site: Name of the hospital or data set.
        rows: Of `OFFICIAL_SPLITS`.
    """
    path = _folder(store) / f"{site}.parquet"
    if len(rows):
        with atomic_path(path) as temporary:
            pq.write_table(rows.cast(OFFICIAL_SPLITS), temporary, compression="zstd", write_page_checksum=True)
    else:
        path.unlink(missing_ok=True)
    return path


def read_official_splits(store: Path, site: str) -> pa.Table:
    """Return the official splits of one site, rows of `OFFICIAL_SPLITS`; empty if it has none.

    Raises:
        StoreError: the file is damaged.
    """
    path = _folder(store) / f"{site}.parquet"
    return (
        read_table(path).replace_schema_metadata(None).cast(OFFICIAL_SPLITS)
        if path.exists()
        else OFFICIAL_SPLITS.empty_table()
    )


def official_split_names(store: Path) -> dict[str, list[str]]:
    """Return the names of the official splits of a store by site."""
    sites = sorted(path.stem for path in _folder(store).glob("*.parquet"))
    named = {
        site: set(read_official_splits(store, site)["split"].unique().to_pylist()) - {EVERY_SPLIT} for site in sites
    }
    return {site: sorted(names) for site, names in named.items()}


def _folder(store: Path) -> Path:
    return store / "official"
