"""Reads the tables of clips and frames from the shards of a store, and hashes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.store import CLIPS, FRAMES
from heart2heart.store.joined_tables import JoinedTables
from heart2heart.store.store_files import read_rows

_SHARD, _ROW = pa.field("shard", pa.string()), pa.field("row", pa.int64())
_SCHEMAS = {"clips": CLIPS, "frames": FRAMES}


def clip_rows(root: Path, shards: Sequence[str], joined: JoinedTables | None = None) -> pa.Table:
    """Return one row a clip: the columns of `schema.CLIPS` and `shard`.

    Args:
        root: Folder of the store.
        shards: Names of its shards.
        joined: The joined tables, whose rows are taken where they hold a shard.
    """
    if not shards:
        return CLIPS.append(_SHARD).empty_table()
    parts = [_rows(root, "clips", shard, joined) for shard in shards]
    names = pa.chunked_array([pa.repeat(shard, len(part)) for shard, part in zip(shards, parts, strict=True)])
    whole = pa.concat_tables(parts).append_column(_SHARD, names)
    if (joined and joined.clips_are_distinct) or pc.count_distinct(whole["clip"]).as_py() == len(whole):
        return whole
    # Two writers may have added the same content at the same time: the first shard by name keeps the clip.
    _, first = np.unique(whole["clip"].to_numpy(zero_copy_only=False), return_index=True)
    return whole.take(pa.array(np.sort(first)))


def frame_rows(
    root: Path,
    shards: Sequence[str],
    starts: npt.NDArray[np.int64],
    clips: pa.Table,
    joined: JoinedTables | None = None,
) -> pa.Table:
    """Return one row a frame of the named clips: the columns of `schema.FRAMES` and `row`.

    Args:
        root: Folder of the store.
        shards: Names of its shards.
        starts: int64, number of the first frame of each shard, and of all frames.
        clips: Rows of `clip_rows`.
        joined: The joined tables, whose rows are taken where they hold a shard.
    """
    if not shards:
        return FRAMES.append(_ROW).empty_table()
    parts = [
        part.append_column(_ROW, pa.array(np.arange(start, start + len(part), dtype=np.int64)))
        for start, part in zip(starts, (_rows(root, "frames", shard, joined) for shard in shards), strict=False)
    ]
    if joined and joined.clips_are_distinct and len(clips) == joined.clip_count:
        return pa.concat_tables(parts)
    by_shard, none = _clips_by_shard(clips), pa.nulls(0, pa.string())
    for position, (shard, part) in enumerate(zip(shards, parts, strict=True)):
        named = by_shard.get(shard, none)
        if len(named) != int(pc.count_distinct(part["clip"]).as_py()):
            parts[position] = part.filter(pc.is_in(part["clip"], named))
    return pa.concat_tables(parts)


def _rows(root: Path, table: Literal["clips", "frames"], shard: str, joined: JoinedTables | None) -> pa.Table:
    rows = joined.rows(table, shard) if joined else None
    return read_rows(root / table / f"{shard}.parquet", _SCHEMAS[table]) if rows is None else rows


def _clips_by_shard(clips: pa.Table) -> dict[str, pa.Array]:
    """Return the clips of each shard; one pass over the table, whatever the number of shards."""
    shards = clips["shard"].combine_chunks().dictionary_encode()
    codes = shards.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(shards.dictionary) + 1))
    ordered = clips["clip"].combine_chunks().take(pa.array(order))
    return {
        name: ordered.slice(edges[code], edges[code + 1] - edges[code])
        for code, name in enumerate(shards.dictionary.to_pylist())
    }


def tables_digest(clips: pa.Table, frames: pa.Table) -> str:
    """Return one hash of clips and frames, with their pixel hashes, whatever the order or cut of the shards.

    Args:
        clips: Rows of `clip_rows`.
        frames: Rows of `frame_rows`.
    """
    ordered = (
        clips.drop_columns(["shard"]).sort_by("clip"),
        frames.drop_columns(["row"]).sort_by([("clip", "ascending"), ("index", "ascending")]),
    )
    total = hashlib.sha256()
    for part in ordered:
        for row in part.to_pylist():
            total.update(json.dumps(row, sort_keys=True, default=_plain).encode())
    return total.hexdigest()


def _plain(value: Any) -> str:
    assert isinstance(value, date)
    return value.isoformat()
