"""The ledger of files: a SQLite database with one entry per file, without paths or identifiers.

A file is identified by the keyed hash of its path, and its content by the keyed hash of its bytes. `PublishBuffer`
writes entries only after the frames that they name are published.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError, MissingInputError, NoSpaceError, StoreError
from heart2heart.schema.status import CODES, StatusCode
from heart2heart.schema.store import CREATE_LEDGER, LEDGER_FILE, LedgerEntry
from heart2heart.store.frame_store import FrameStore
from heart2heart.utils import make_private_file

_MIN_FREE_BYTES = 2**18  # bytes; with less SQLite cannot even open its log


class Ledger:
    """Reads a store's ledger, also while an ingest is writing it.

    Args:
        store: The store's folder.

    Raises:
        MissingInputError: the store has no ledger.
    """

    def __init__(self, store: str | Path) -> None:
        store = Path(store)
        self.path = store / LEDGER_FILE
        if not self.path.is_file():
            remedy = "A ledger is made by `heart2heart ingest`"
            raise MissingInputError("this store has no ledger", where=store, remedy=remedy)

    def counts(self, site: str | None = None) -> dict[str, dict[str, int]]:
        """Return the files by site and status code, of one site or of all."""
        query = (
            "SELECT site, status, count(*) FROM files WHERE ?1 IS NULL OR site = ?1 GROUP BY site, status ORDER BY 1, 2"
        )
        counts: dict[str, dict[str, int]] = {}
        for name, status, files in self._query(query, (site,)):
            counts.setdefault(name, {})[status] = files
        return counts

    def not_accepted(self) -> list[tuple[str, str | None, int]]:
        """Return status, manufacturer and number of the files that are not accepted, by status, most frequent first."""
        query = (
            "SELECT status, maker, count(*) FROM files LEFT JOIN makers USING (file) WHERE status <> 'accepted'"
            " GROUP BY status, maker ORDER BY status, 3 DESC, maker"
        )
        return [(status, manufacturer, files) for status, manufacturer, files in self._query(query, ())]

    def sites(self) -> list[str]:
        """Return the names of all sites."""
        return [name for (name,) in self._query("SELECT site FROM sites ORDER BY site", ())]

    def key_checks(self) -> set[str]:
        """Return the hashes of the keys with which the sites were ingested; see `source_files.key_fingerprint`."""
        return {check for (check,) in self._query("SELECT key_check FROM sites", ())}

    def site_keys(self) -> dict[str, str]:
        """Return the hash of the key of each site; see `source_files.key_fingerprint`."""
        return dict(self._query("SELECT site, key_check FROM sites", ()))

    def status_of(self, file: str) -> str | None:
        """Return the status of one file, given by its keyed hash; None if the ledger has no such file."""
        rows = self._query("SELECT status FROM files WHERE file = ?", (file,))
        return None if not rows else str(rows[0][0])

    def files_with(self, codes: Sequence[str]) -> set[str]:
        """Return the keyed hashes of the files that ended with one of `codes`."""
        query = "SELECT file FROM files WHERE status IN (SELECT value FROM json_each(?))"
        return {file for (file,) in self._query(query, (json.dumps(list(codes)),))}

    def _address(self) -> str:
        # Beside a write-ahead log SQLite needs a shared-memory file, which a read-only folder cannot take.
        read_only = not os.access(self.path.parent, os.W_OK) and not self.path.with_name(f"{LEDGER_FILE}-wal").exists()
        return f"{self.path.absolute().as_uri()}?{'immutable=1' if read_only else 'mode=ro'}"

    def _query(self, query: str, values: tuple[str | None, ...]) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(self._address(), uri=True)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if str(error).startswith("no such table"):  # the first ingest has just started
                return []
            raise StoreError("this ledger cannot be read", where=self.path) from error


class LedgerWriter:
    """The one writer of a store's ledger; get it from `open_ledger_writer`."""

    def __init__(self, connection: sqlite3.Connection, store: Path) -> None:
        self._connection, self._store = connection, store

    def register_site(self, site: str, key_check: str, settings: str) -> None:
        """Register a site, or check that its key and settings are those of its first ingest.

        Raises:
            ConfigError: the site was ingested with another key or other settings.
        """
        row = self._connection.execute("SELECT key_check, settings FROM sites WHERE site = ?", (site,)).fetchone()
        if row is None:
            self._write(("INSERT INTO sites VALUES (?, ?, ?)", [(site, key_check, settings)]))
        elif row[0] != key_check:
            remedy = "Give --key with the key of the first ingest; another key would give every patient a second name"
            raise ConfigError(f"site {site} was ingested with another key", where=self._store, remedy=remedy)
        elif row[1] != settings:
            remedy = f"It was made with {row[1]}; use the same, or ingest into another store"
            raise ConfigError(f"site {site} was ingested with other settings", where=self._store, remedy=remedy)

    def reconcile(self, clips: set[str]) -> int:
        """Delete accepted entries whose clip is not among the store's `clips`, so that those files are ingested again.

        Entries of duplicates are deleted too, because a duplicate may have to become the accepted file.

        Returns:
            The number of accepted entries deleted.
        """
        rows = self._connection.execute("SELECT file, clip FROM files WHERE status = 'accepted'").fetchall()
        lost = [(file,) for file, clip in rows if clip not in clips]
        if lost:
            self._write(
                ("DELETE FROM files WHERE file = ?", lost),
                ("DELETE FROM files WHERE status = ?", [(StatusCode.EXCLUDED_DUPLICATE,)]),
            )
        return len(lost)

    def entries(self, site: str) -> dict[str, tuple[str, str]]:
        """Return the status and stamp of every file of a site."""
        rows = self._connection.execute("SELECT file, status, stamp FROM files WHERE site = ?", (site,))
        return {file: (status, stamp) for file, status, stamp in rows}

    def contents(self, site: str) -> dict[str, str]:
        """Return the content hash of every file of a site that is accepted, or a duplicate."""
        query = "SELECT file, content FROM files WHERE site = ? AND content IS NOT NULL"
        return dict(self._connection.execute(query, (site,)).fetchall())

    def settled_stamps(self, site: str) -> dict[str, str]:
        """Return the stamp of every file of a site whose status is final, not of a kind that is retried."""
        entries = self.entries(site)
        return {file: stamp for file, (code, stamp) in entries.items() if code in CODES and not CODES[code].retried}

    def accepted(self) -> dict[str, str]:
        """Return the accepted file of each content hash, of all sites."""
        rows = self._connection.execute("SELECT content, file FROM files WHERE status = 'accepted'")
        return dict(rows.fetchall())

    def add(self, entries: Sequence[LedgerEntry]) -> None:
        """Write entries in one transaction, replacing earlier entries of the same files."""
        values = [(entry.file, entry.site, entry.status, entry.stamp, entry.content, entry.clip) for entry in entries]
        manufacturers = [
            (entry.file, entry.manufacturer)
            for entry in entries
            if entry.manufacturer is not None and entry.status != StatusCode.ACCEPTED
        ]
        self._write(
            ("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", values),
            ("DELETE FROM makers WHERE file = ?", [(entry.file,) for entry in entries]),
            ("INSERT INTO makers VALUES (?, ?)", manufacturers),
        )

    def _write(self, *statements: tuple[str, Sequence[tuple[str | None, ...]]]) -> None:
        try:
            with self._connection:
                for statement, rows in statements:
                    self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _ledger_error(error, self._store) from error


def _ledger_error(error: sqlite3.Error, store: Path) -> NoSpaceError | StoreError:
    """Distinguish a full disk, which SQLite also reports as an input or output error, from a damaged ledger."""
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL or shutil.disk_usage(store).free < _MIN_FREE_BYTES:
        remedy = "Free some space and run the same command again"
        return NoSpaceError("no space left on the disk", where=store, remedy=remedy)
    remedy = "Check that the folder can be written; if the file is damaged, restore it from a copy"
    return StoreError("the ledger is damaged or cannot be written", where=store, remedy=remedy)


@contextmanager
def open_ledger_writer(store: Path) -> Iterator[LedgerWriter]:
    """Open a store's ledger for writing; one process at a time.

    Raises:
        StoreError: another ingest is writing to this store, or the ledger is damaged.
    """
    for name in ("ledger.lock", LEDGER_FILE):
        make_private_file(store / name)
    with (store / "ledger.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            remedy = "Wait until it is done, or ingest into another store"
            raise StoreError("another ingest is writing to this store", where=store, remedy=remedy) from error
        with closing(sqlite3.connect(store / LEDGER_FILE)) as connection:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(CREATE_LEDGER)
            except sqlite3.Error as error:
                raise _ledger_error(error, store) from error
            yield LedgerWriter(connection, store)


_MAX_WAITING_ENTRIES = 1000
"""Entries after which a shard is published even if it is not full, so that a stop loses little work."""


class PublishBuffer:
    """Collects clips and entries, and writes the entries after their shard is published.

    Args:
        ledger: Writer of the ledger.
        store: Store that gets the frames.

    Attributes:
        clips: Clips added.
        frames: Their frames.
    """

    def __init__(self, ledger: LedgerWriter, store: FrameStore) -> None:
        self._ledger, self._writer = ledger, store.writer()
        self._waiting: list[LedgerEntry] = []
        self._full = False
        self.clips = self.frames = 0

    def add_clip(self, row: dict[str, Any], pixels: npt.NDArray[np.uint8], frames: Sequence[dict[str, Any]]) -> None:
        """Add the frames of a clip; see `ShardWriter.add`."""
        self._full = self._writer.add(row, pixels, frames)
        self.clips += 1
        self.frames += len(frames)

    def add_entry(self, entry: LedgerEntry) -> None:
        """Add the entry of a file, after its clip; publish when a shard is full or many entries wait."""
        self._waiting.append(entry)
        if self._full or len(self._waiting) >= _MAX_WAITING_ENTRIES:
            self.publish()

    def publish(self) -> None:
        """Publish the frames, then write the entries that name them."""
        self._writer.publish()
        self._ledger.add(self._waiting)
        self._waiting, self._full = [], False
