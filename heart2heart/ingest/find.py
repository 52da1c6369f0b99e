"""Find the files behind the ledger's codes: only possible where the files, the ledger and the key are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.dicom.deidentify import Key
from heart2heart.errors import UnknownNameError
from heart2heart.ingest.codes import CODES
from heart2heart.ingest.discover import find_files
from heart2heart.ingest.identity import file_id
from heart2heart.ingest.ledger import Ledger


def locate(paths: Sequence[Path], *, store: Path, key: Path, codes: Sequence[str]) -> Iterator[Path]:
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
