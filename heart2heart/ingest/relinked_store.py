"""Writes a store anew with the names of a rotated key; frames are linked, not copied."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.deidentify.pseudonyms import Key, RelinkedKind, relink_once, shift_days
from heart2heart.errors import StoreError
from heart2heart.ingest.source_files import key_fingerprint
from heart2heart.schema.links import LINKS_FILE, PatientLinks
from heart2heart.schema.store import CLIPS, FRAMES, LEDGER_FILE
from heart2heart.store.joined_tables import JOINED_FOLDER
from heart2heart.store.store_files import TEMPORARY, read_metadata, read_table, rows_digest
from heart2heart.utils import atomic_path, make_private_folder, sha256_file

_UID_COLUMNS = ("study", "series", "instance")
LOCK_FILE = "ledger.lock"
"""Name of the file that an ingest locks."""


def write_relinked_store(store: Path, out: Path, new: Key, sites: tuple[str, ...]) -> tuple[int, int]:
    """Write a store anew, and return the number of patients and of clips that got new names.

    Args:
        store: The store as it is.
        out: Folder for the new one.
        new: The rotated key.
        sites: Hospitals whose names change.
    """
    names = NewNames(new.later[-1], frozenset(sites))
    shards = {path.stem for path in (store / "clips").glob("[0-9a-f]*.parquet")}
    special = {JOINED_FOLDER, LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm", LINKS_FILE, LOCK_FILE}
    clips = 0
    for path in sorted(store.rglob("*")):
        relative = path.relative_to(store)
        target = out / relative
        is_special = relative.parts[0] in special
        is_table = relative.parts[0] in ("clips", "frames") and path.suffix == ".parquet" and path.stem in shards
        if is_special:
            continue
        if path.is_dir():
            make_private_folder(target)
        elif not (path.match(TEMPORARY) or is_table):
            make_private_folder(target.parent)
            _link(path, target)
    for shard in sorted(shards):
        clips += _write_shard(store, out, shard, names)
    _write_ledger(store, out, new, sites, names)
    links = PatientLinks.read(store)
    if links is not None:
        moved = tuple(
            each.model_copy(update={"patient": names.text("patient", each.patient)}) if each.site in sites else each
            for each in links.patients
        )
        ordered = tuple(sorted(moved, key=lambda each: (each.site, each.patient)))
        links.model_copy(update={"patients": ordered}).write(out)
    for folder in (out, *(path for path in out.rglob("*") if path.is_dir())):
        sync_folder(folder)
    return len(names.patients), clips


class NewNames:
    """The names under a new secret.

    Args:
        secret: The new secret.
        sites: Hospitals whose names change.

    Attributes:
        patients: New pseudonyms so far.
    """

    def __init__(self, secret: bytes, sites: frozenset[str]) -> None:
        self._secret, self._sites = secret, sites
        self._known: dict[tuple[RelinkedKind, str], str] = {}
        self.patients: set[str] = set()

    def text(self, kind: RelinkedKind, name: str) -> str:
        """Return the new form of a name."""
        if (kind, name) not in self._known:
            self._known[kind, name] = relink_once(self._secret, kind, name)
        return self._known[kind, name]

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row of the clips or of the frames with new names and dates."""
        if row["site"] not in self._sites:
            return row
        patient = self.text("patient", row["patient"])
        self.patients.add(patient)
        changed = {"patient": patient}
        changed |= {name: self.text("uid", row[name]) for name in _UID_COLUMNS if row.get(name) is not None}
        day = row.get("date")
        moved = {} if day is None else {"date": _earlier(day, shift_days(self._secret, patient))}
        return row | changed | moved

    def count(self, rows: list[dict[str, Any]]) -> int:
        """Return how many rows are of the hospitals whose names change."""
        return sum(row["site"] in self._sites for row in rows)


def _earlier(day: Any, days: int) -> Any:
    try:
        return day - timedelta(days=days)
    except OverflowError:  # before the year 1
        return None


def _write_shard(store: Path, out: Path, shard: str, names: NewNames) -> int:
    clips, index = Path("clips") / f"{shard}.parquet", Path("frames") / f"{shard}.parquet"
    frames = _rows(read_table(store / index), names, FRAMES)
    with atomic_path(out / index) as path:
        pq.write_table(frames, path, compression="zstd", write_page_checksum=True)
    before = read_table(store / clips)
    moved = _rows(before, names, CLIPS)
    known = {key.decode(): value.decode() for key, value in read_metadata(store / clips).items()}
    known.pop("ARROW:schema", None)
    known |= {"index_sha256": sha256_file(out / index), "clips_sha256": rows_digest(moved)}
    with atomic_path(out / clips) as path:
        pq.write_table(moved.replace_schema_metadata(known), path, compression="zstd", write_page_checksum=True)
    return names.count(before.select(["site"]).to_pylist())


def _rows(table: pa.Table, names: NewNames, schema: pa.Schema) -> pa.Table:
    """Return a table with new names and the columns that it had, in their types."""
    columns = pa.schema([schema.field(name) for name in table.column_names])
    return pa.Table.from_pylist([names.row(row) for row in table.to_pylist()], schema=columns)


def _write_ledger(store: Path, out: Path, new: Key, sites: tuple[str, ...], names: NewNames) -> None:
    path = out / LEDGER_FILE
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{(store / LEDGER_FILE).absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
            target.create_function("relink", 1, lambda name: names.text("file", name), deterministic=True)
            marks = ",".join("?" * len(sites))
            with target:
                inner = f"SELECT file FROM files WHERE site IN ({marks})"
                target.execute(f"UPDATE makers SET file = relink(file) WHERE file IN ({inner})", sites)
                target.execute(f"UPDATE files SET file = relink(file) WHERE site IN ({marks})", sites)
                target.execute(
                    f"UPDATE sites SET key_check = ? WHERE site IN ({marks})", (key_fingerprint(new), *sites)
                )
            target.execute("VACUUM")  # the old names would stay in free pages
    except sqlite3.Error as error:
        raise StoreError("the ledger cannot be read or written", where=store) from error
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, target, follow_symlinks=False)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
