"""Reads the tables of clips and frames from the shards of a store, and hashes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.store import CLIPS, FRAMES, with_schema_columns
from heart2heart.store.store_files import read_table


def clip_rows(root: Path, shards: Sequence[str]) -> pa.Table:
    """Return one row a clip: the columns of `schema.CLIPS` and `shard`.

    Args:
        root: Folder of the store.
        shards: Names of its shards.
    """
    parts = []
    for shard in shards:
        part = with_schema_columns(read_table(root / "clips" / f"{shard}.parquet").replace_schema_metadata(None), CLIPS)
        parts.append(part.append_column("shard", pa.array([shard] * len(part), pa.string())))
    if not parts:
        return CLIPS.append(pa.field("shard", pa.string())).empty_table()
    whole = pa.concat_tables(parts)
    if pc.count_distinct(whole["clip"]).as_py() == len(whole):
        return whole
    # Two writers may have added the same content at the same time: the first shard by name keeps the clip.
    _, first = np.unique(whole["clip"].to_numpy(zero_copy_only=False), return_index=True)
    return whole.take(pa.array(np.sort(first)))


def frame_rows(root: Path, shards: Sequence[str], starts: npt.NDArray[np.int64], clips: pa.Table) -> pa.Table:
    """Return one row a frame of the named clips: the columns of `schema.FRAMES` and `row`.

    Args:
        root: Folder of the store.
        shards: Names of its shards.
        starts: int64, number of the first frame of each shard.
        clips: Rows of `clip_rows`.
    """
    parts, by_shard = [], _clips_by_shard(clips)
    for shard, start in zip(shards, starts, strict=False):
        path = root / "frames" / f"{shard}.parquet"
        part = with_schema_columns(read_table(path).replace_schema_metadata(None), FRAMES)
        kept = by_shard.get(shard, pa.nulls(0, pa.string()))
        part = part.append_column("row", pa.array(np.arange(start, start + len(part)), pa.int64()))
        whole = len(kept) == int(pc.count_distinct(part["clip"]).as_py())
        parts.append(part if whole else part.filter(pc.is_in(part["clip"], kept)))
    if not parts:
        return FRAMES.append(pa.field("row", pa.int64())).empty_table()
    return pa.concat_tables(parts)


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
