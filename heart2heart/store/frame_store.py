"""FrameStore: a folder of frames and two tables, read by memory map and queried by SQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import ConfigError, ExistsError, MissingInputError, StoreError
from heart2heart.schema.review import read_reviews
from heart2heart.schema.store import SCHEMA_VERSION
from heart2heart.store.frame_tables import FrameTables
from heart2heart.store.geometry import Geometry
from heart2heart.store.joined_tables import MANY_SHARDS, JoinedTables, frame_count, join_tables, shard_names
from heart2heart.store.shard_tables import clip_rows, frame_rows, tables_digest
from heart2heart.store.store_files import (
    TEMPORARY,
    ShardWriter,
    remove_leftovers,
    shard_faults,
    unreadable_file,
)
from heart2heart.store.text_review import TextReview
from heart2heart.store.viewing_copies import viewing_faults
from heart2heart.utils import read_json, write_json

_SHARD_BYTES = 2**27


class Frames(Protocol):
    """Frames of one store or of several, as training and evaluation read them."""

    @property
    def geometry(self) -> Geometry:
        """How the frames were made."""

    @property
    def clips(self) -> pa.Table:
        """One row a clip."""

    @property
    def frames(self) -> pa.Table:
        """One row a frame, with `row`, the number that `read` takes."""

    @property
    def text_review(self) -> TextReview:
        """Which clips may be shown."""

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""


class FrameStore(FrameTables):
    """One store on disk.

    A reader sees the shards that were complete when `clips` was first read, and the reviews of then; call
    `FrameStore.open` again to see newer ones. Clips that a person hides, and quarantined ones that no person cleared,
    are in `all_clips` alone.
    """

    def __init__(self, root: Path, geometry: Geometry) -> None:
        self.root = root
        self._geometry = geometry
        self._maps: dict[str, npt.NDArray[np.uint8]] = {}

    @property
    def geometry(self) -> Geometry:
        """How the frames were made."""
        return self._geometry

    def title(self) -> str:
        """Return the class and the name of the folder."""
        return f"FrameStore({self.root.name!r})"

    @classmethod
    def create(cls, root: str | Path, geometry: Geometry) -> FrameStore:
        """Create an empty store, or open an existing store of the same geometry.

        Raises:
            StoreError: the store there has another geometry or schema.
            ExistsError: the folder holds something else.
        """
        root = Path(root)
        if (root / "store.json").exists():
            store = cls.open(root)
            if store.geometry != geometry:
                what = f"this store holds frames of {store.geometry}, not {geometry}"
                raise StoreError(what, where=root, remedy="A store keeps one geometry; name another folder")
            return store
        if root.exists() and not (root.is_dir() and all(path.match(TEMPORARY) for path in root.iterdir())):
            raise ExistsError("this is not a frame store, and not empty", where=root, remedy="Name another folder")
        write_json(
            root / "store.json",
            {"format": "heart2heart frame store", "schema": SCHEMA_VERSION, "geometry": geometry.to_json()},
        )
        return cls.open(root)

    @classmethod
    def open(cls, root: str | Path) -> FrameStore:
        """Open a store for reading and appending."""
        root = Path(root)
        content = read_json(root / "store.json", what="frame store")
        if not isinstance(content, dict) or content.get("schema") != SCHEMA_VERSION:
            remedy = f"This version reads schema {SCHEMA_VERSION}; ingest again into a new store"
            raise StoreError("this store has another schema", where=root, remedy=remedy)
        return cls(root, Geometry.from_json(content.get("geometry")))

    def writer(self, *, max_frames: int | None = None) -> ShardWriter:
        """Return a writer that appends to this store; by default a shard holds about 100 MB of frames."""
        default = max(64, min(8192, _SHARD_BYTES // self.geometry.size**2))
        return ShardWriter(self.root, self.geometry.size, max_frames=max_frames or default)

    def remove_leftovers(self, *, older_than_s: float = 3600.0) -> int:
        """Remove files of killed writers: temporary files, and frames without a clips table.

        Args:
            older_than_s: Minimum age, seconds, which spares the unfinished shard of a running writer.

        Returns:
            The number of files removed.
        """
        return remove_leftovers(self.root, older_than_s)

    @cached_property
    def _shards(self) -> list[str]:
        return shard_names(self.root)

    @cached_property
    def _joined(self) -> JoinedTables:
        joined = JoinedTables(self.root, self._shards)
        if len(self._shards) - len(joined.frame_counts) >= MANY_SHARDS and join_tables(self.root, at_least=MANY_SHARDS):
            joined = JoinedTables(self.root, self._shards)
        return joined

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        known = self._joined.frame_counts
        counts = [known[shard] if shard in known else frame_count(self.root, shard) for shard in self._shards]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    @cached_property
    def all_clips(self) -> pa.Table:
        """One row a clip: the columns of `schema.CLIPS` and `shard`; also those that `clips` leaves out."""
        return clip_rows(self.root, self._shards, self._joined)

    @cached_property
    def text_review(self) -> TextReview:
        """Which clips may be shown, and which take part in anything.

        Raises:
            StoreError: the file of reviews is damaged, or was changed.
        """
        return TextReview.of(self.all_clips, read_reviews(self.root))

    @cached_property
    def clips(self) -> pa.Table:
        """One row a clip: the columns of `all_clips`, without the clips that `text_review` excludes."""
        excluded = self.text_review.excluded
        if not excluded:
            return self.all_clips
        named = pc.is_in(self.all_clips["clip"], pa.array(sorted(excluded), pa.string()))
        return self.all_clips.filter(pc.invert(named))

    @cached_property
    def frames(self) -> pa.Table:
        """One row a frame of `clips`: the columns of `schema.FRAMES` and `row`, the number that `read` takes."""
        return self.frames_of(self.clips)

    def frames_of(self, clips: pa.Table) -> pa.Table:
        """Return one row a frame of the named clips, which may be any of `all_clips`; columns as in `frames`.

        Args:
            clips: Rows of `all_clips`.
        """
        return frame_rows(self.root, self._shards, self._starts, clips, self._joined)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""
        out = np.empty((len(rows), self.geometry.size, self.geometry.size), np.uint8)
        if len(rows) == 0:
            return out
        if rows.min() < 0 or rows.max() >= self._starts[-1]:
            raise StoreError(f"rows beyond the {self._starts[-1]} frames of this store", where=self.root)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(owner):
            selected = owner == shard
            out[selected] = self._map(self._shards[shard])[rows[selected] - self._starts[shard]]
        return out

    def _map(self, shard: str) -> npt.NDArray[np.uint8]:
        if shard not in self._maps:
            path = self.root / "frames" / f"{shard}.npy"
            try:
                self._maps[shard] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise unreadable_file(path) from error
        return self._maps[shard]

    def sql(self, query: str) -> pa.Table:
        """Run one DuckDB query over the tables `clips` and `frames`; the query cannot reach other files."""
        import duckdb

        with duckdb.connect() as connection:
            connection.register("clips", self.clips)
            connection.register("frames", self.frames)
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            try:
                result = connection.sql(query)
                if result is None:
                    raise ConfigError("this SQL statement returns no table", remedy="Write a query, such as SELECT ...")
                return result.to_arrow_table()
            except duckdb.Error as error:
                raise ConfigError(f"the query failed: {str(error).splitlines()[0]}") from error

    def verify(self) -> list[str]:
        """Re-hash all shards and viewing copies; return a line for each fault, none if the store is intact."""
        faults = [f"{shard}: {fault}" for shard in self._shards for fault in shard_faults(self.root, shard)]
        try:
            clips = self.all_clips["clip"].to_pylist()
        except StoreError:  # a table that cannot be read is among the faults
            return faults
        return [*faults, *viewing_faults(self.root, clips)]

    def digest(self) -> str:
        """Return one hash of all clips, frame rows and pixels, whatever the order of the shards and the reviews."""
        return tables_digest(self.all_clips, self.frames_of(self.all_clips))


class FrameStores(FrameTables):
    """Several stores of one geometry, read as one.

    Args:
        stores: At least one store.

    Raises:
        StoreError: the stores' geometries differ.
    """

    def __init__(self, stores: Sequence[FrameStore]) -> None:
        if not stores:
            raise MissingInputError("no frame store named", remedy="Give at least one --store")
        for other in stores[1:]:
            if other.geometry != stores[0].geometry:
                what = f"stores of different geometry: {stores[0].geometry} and {other.geometry}"
                raise StoreError(what, where=other.root, remedy="Ingest one of them again with the other's geometry")
        self.stores = list(stores)
        totals = [int(store._starts[-1]) for store in stores]
        self._starts = np.concatenate([[0], np.cumsum(totals, dtype=np.int64)])

    @classmethod
    def open(cls, roots: str | Path | Sequence[str | Path]) -> FrameStores:
        """Open the stores at `roots`; a single path opens one store."""
        roots = [roots] if isinstance(roots, (str, Path)) else roots
        return cls([FrameStore.open(root) for root in roots])

    @property
    def geometry(self) -> Geometry:
        """The geometry that all stores share."""
        return self.stores[0].geometry

    def title(self) -> str:
        """Return the class and the names of the folders."""
        return f"FrameStores({', '.join(repr(store.root.name) for store in self.stores)})"

    @property
    def text_review(self) -> TextReview:
        """Which clips may be shown: a clip that one store withholds is withheld."""
        return TextReview.union(store.text_review for store in self.stores)

    @cached_property
    def clips(self) -> pa.Table:
        """One row a clip, of all stores."""
        return pa.concat_tables([store.clips for store in self.stores])

    @cached_property
    def frames(self) -> pa.Table:
        """One row a frame, of all stores, numbered through."""
        parts = []
        for store, start in zip(self.stores, self._starts, strict=False):
            part = store.frames
            column = part.schema.get_field_index("row")
            parts.append(part.set_column(column, "row", pc.add(part["row"], pa.scalar(int(start), pa.int64()))))
        return pa.concat_tables(parts)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""
        out = np.empty((len(rows), self.geometry.size, self.geometry.size), np.uint8)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(owner):
            selected = owner == index
            out[selected] = self.stores[index].read(rows[selected] - self._starts[index])
        return out
