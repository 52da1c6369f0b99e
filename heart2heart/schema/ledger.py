"""File, tables and entries of the ledger of files in a store."""

from __future__ import annotations

from dataclasses import dataclass

from heart2heart.schema.status import StatusCode

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
