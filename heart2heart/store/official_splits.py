"""Official splits: the training, validation and test sets that a data set publishes, kept in its store.

A row holds the role of one clip in one split. `splits.official` freezes it into a manifest, which is then certified
like any other split.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.schema.store import EVERY_SPLIT, OFFICIAL_SPLITS
from heart2heart.store.shards import read_table
from heart2heart.utils import atomic_path


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
