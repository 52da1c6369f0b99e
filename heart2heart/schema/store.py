"""Columns of the store's tables of clips, frames and official splits, and the tables of its ledger of files.

Every column is a pseudonym, a keyed hash, a shifted date or a technical fact. No column identifies a patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from heart2heart.errors import StoreError
from heart2heart.schema.status import StatusCode

EVERY_SPLIT = "*"
"""Name of the split whose rows hold in every split of the site, such as a pool that all folds share."""

OFFICIAL_SPLITS = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),  # such as DEV56/fold0; EVERY_SPLIT for rows of all splits
        pa.field("clip", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),  # a `SplitRole`
        pa.field("view", pa.string()),  # the view in the split's table, as a name of `views.VIEWS`; null: not labeled
    ]
)


SCHEMA_VERSION = 1

CLIPS = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),  # pseudonym from key and content: one content, one clip
        pa.field("site", pa.string(), nullable=False),
        pa.field("patient", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("series", pa.string()),
        pa.field("instance", pa.string()),  # pseudonym of the SOP instance UID
        pa.field("content", pa.string(), nullable=False),  # keyed hash of the file's bytes
        pa.field("source", pa.string(), nullable=False),  # dicom, tmed2, image_set ...
        pa.field("synthetic", pa.bool_(), nullable=False),  # simulated, not a patient (DICOM (0008,001C))
        pa.field("mode", pa.string(), nullable=False),  # a `ClipMode`
        pa.field("maker", pa.string()),
        pa.field("model", pa.string()),
        pa.field("transfer_syntax", pa.string()),
        pa.field("rows", pa.int32(), nullable=False),  # of the picture before the crop
        pa.field("columns", pa.int32(), nullable=False),
        pa.field("n_source", pa.int32(), nullable=False),  # frames in the source
        pa.field("n_frames", pa.int32(), nullable=False),  # frames kept in the store
        pa.field("box", pa.list_(pa.int32(), 4)),  # x0, y0, x1, y1 (exclusive) of the crop, source pixels
        pa.field("spacing_mm", pa.list_(pa.float32(), 2)),  # row, column; source pixels
        pa.field("frame_time_ms", pa.float32()),
        pa.field("heart_rate", pa.float32()),
        pa.field("date", pa.date32()),  # shifted per patient
        pa.field("age", pa.int16()),  # years, capped at 90
        pa.field("sex", pa.string()),
        pa.field("stage", pa.string()),  # stress stage, when it matches the vocabulary
        pa.field("stage_number", pa.int16()),  # of the stress protocol, from 1
        pa.field("n_stages", pa.int16()),
        pa.field("view_number", pa.int16()),  # of its stage, from 1
        pa.field("n_views", pa.int16()),  # views in the stage
        pa.field(
            "view_name", pa.string()
        ),  # view that the protocol names, when it matches the vocabulary: weak evidence
        pa.field("view_code", pa.string()),  # view named by View Code Sequence: weak evidence, never a label
        pa.field("quality", pa.float32(), nullable=False),  # mean over kept frames, 0 to 1
        pa.field("flags", pa.list_(pa.string()), nullable=False),  # each a `ClipFlag`
        pa.field("pixel_hash", pa.string(), nullable=False),  # SHA-256 of the kept frames' bytes, in order
    ]
)

FRAMES = pa.schema(
    [
        pa.field("frame", pa.string(), nullable=False),  # <clip>:<index, four digits or more>
        pa.field("clip", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("patient", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("maker", pa.string()),
        pa.field("index", pa.int32(), nullable=False),  # position in the source, from 0
        pa.field("time_ms", pa.float32()),  # from the first frame
        pa.field("phase", pa.string()),  # ED or ES where the file names the frame so
        pa.field("quality", pa.float32(), nullable=False),  # 0 to 1
        pa.field("dhash", pa.uint64(), nullable=False),  # 64-bit difference hash, for near-duplicates
    ]
)


def frame_id(clip: str, index: int) -> str:
    """Return the identifier of frame `index` of `clip`."""
    return f"{clip}:{index:04d}"


def with_schema_columns(part: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `part` with the columns of `schema`, in its order; one that is younger than the part's file is null.

    Raises:
        StoreError: a column that every version has is not there.
    """
    for field in schema:
        if field.name not in part.column_names:
            if not field.nullable:
                raise StoreError("a table of this store lacks a column", remedy="Run: heart2heart store verify STORE")
            part = part.append_column(field, pa.nulls(len(part), field.type))
    return part.select(schema.names)


def build_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table of exactly `schema`; a missing nullable column is null, an unknown one is an error."""
    known = set(schema.names)
    for row in rows:
        unknown = set(row) - known
        assert not unknown, f"columns {unknown} are not in the schema"
    built = pa.Table.from_pylist(rows, schema=schema)
    built.validate(full=True)
    for field in schema:
        assert field.nullable or built[field.name].null_count == 0, f"column {field.name} holds nulls"
    return built


LEDGER_FILE = "ledger.sqlite"
"""Name of the file in the folder of the store."""

CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS sites (
    site TEXT PRIMARY KEY, key_check TEXT NOT NULL, settings TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    file TEXT PRIMARY KEY, site TEXT NOT NULL, status TEXT NOT NULL, stamp TEXT NOT NULL, content TEXT, clip TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS makers (
    file TEXT PRIMARY KEY, maker TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_site ON files (site, status);
"""
"""SQL that makes the tables: sites, files, and the manufacturers of files that are not accepted."""


@dataclass(frozen=True)
class LedgerEntry:
    """The entry of one file.

    Attributes:
        file: Keyed hash of site and path.
        site: Name of the hospital.
        status: A status code.
        stamp: Keyed hash of size and time of change; a file with the same stamp is not read again.
        content: Keyed hash of the bytes, for an accepted file and its duplicates.
        clip: The clip that the file became, if accepted.
        manufacturer: Manufacturer of the scanner, if the file names one; the ledger keeps it for files that are not
            accepted.
    """

    file: str
    site: str
    status: StatusCode
    stamp: str
    content: str | None = None
    clip: str | None = None
    manufacturer: str | None = None
