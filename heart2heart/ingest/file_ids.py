"""Names files in the ledger by keyed hash, and finds the files behind the ledger's codes.

A hash says nothing without the key, so files are found only where the files, the ledger and the key are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.deidentify.key import Key
from heart2heart.errors import UnknownNameError
from heart2heart.ingest.archives import container
from heart2heart.ingest.discover import find_files
from heart2heart.ingest.ledger import Ledger
from heart2heart.schema.status import CODES


def file_id(key: Key, site: str, path: Path) -> str:
    """Return the keyed hash of a site's file, of its path as `find_files` gives it."""
    return key.digest("file", site, os.fsencode(path).hex()).hex()


def file_stamp(key: Key, path: Path) -> str:
    """Return the keyed hash of size and time of change; empty for a file that cannot be asked."""
    try:
        found = container(path).stat()
    except OSError:
        return ""
    return key.digest("stamp", str(found.st_size), str(found.st_mtime_ns)).hex()[:32]


def key_fingerprint(key: Key) -> str:
    """Return what tells two keys apart without telling either."""
    return key.digest("check").hex()[:32]


def locate_files(paths: Sequence[Path], *, store: Path, key: Path, codes: Sequence[str]) -> Iterator[Path]:
    """Yield the files below `paths` that ended with one of `codes`, sorted.

    The ledger holds no path; the files are walked again and their keyed hashes compared. Paths may identify patients:
    show them to the engineer, do not keep them.

    Args:
        paths: Files or folders, as they were given to `ingest` or below.
        store: The store with the ledger.
        key: The key of that ingest; it must exist.
        codes: Codes of `ingest.codes`.

    Raises:
        UnknownNameError: a code that does not exist.
    """
    for code in codes:
        if code not in CODES:
            raise UnknownNameError.among("status code", code, list(CODES))
    ledger, secret = Ledger(store), Key.load(key)
    wanted, sites = ledger.files_with(codes), ledger.sites()
    for path in find_files(paths, outside=store):
        if any(file_id(secret, site, path) in wanted for site in sites):
            yield path
