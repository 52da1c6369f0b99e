"""Finds every file under the given paths, and names files in the ledger by keyed hash.

A hash reveals nothing without the key. `locate_files` needs the files, the ledger and the key to find the files with a
status code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import MissingInputError, UnknownNameError
from heart2heart.ingest.archives import close_archives, container, members
from heart2heart.ingest.ledger import Ledger
from heart2heart.schema.status import CODES
from heart2heart.utils import is_temporary


def find_files(paths: Sequence[Path], *, outside: Path | None = None) -> list[Path]:
    """List the files at and below `paths`, hidden ones included, sorted.

    Links are followed; a folder with two names, or in a loop, is entered once. A folder that cannot be listed is itself
    in the list, so that it gets a status like a file. Files that `pull` or `receive` are still writing
    are left out. The members of a zip file replace it (`archives`).

    Args:
        paths: Files or folders.
        outside: A folder to leave out, the store that is being written.

    Returns:
        Absolute paths, links in them not resolved.

    Raises:
        MissingInputError: one of `paths` does not exist, or there is no file at all.
    """
    files: set[Path] = set()
    entered = {_folder_identity(outside)} if outside is not None and outside.is_dir() else set()
    for path in paths:
        if not os.path.lexists(path):
            raise MissingInputError("no such file or folder", where=path)
        files.update(_below(Path(os.path.normpath(path.absolute())), entered))
    close_archives()
    if not files:
        raise MissingInputError("no file found", where=", ".join(str(path) for path in paths))
    return sorted(files)


def _folder_identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _below(top: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            if not path.is_dir():
                if not is_temporary(path.name):
                    yield from members(path)
            elif (identity := _folder_identity(path)) not in entered:
                entered.add(identity)
                waiting.extend(path.iterdir())
        except OSError:
            yield path


def file_id(key: Key, site: str, path: Path) -> str:
    """Return the keyed hash of a site's file, from its path as `find_files` returns it."""
    return key.digest("file", site, os.fsencode(path).hex()).hex()


def file_stamp(key: Key, path: Path) -> str:
    """Return the keyed hash of size and time of change; empty for a file that cannot be read."""
    try:
        status = container(path).stat()
    except OSError:
        return ""
    return key.digest("stamp", str(status.st_size), str(status.st_mtime_ns)).hex()[:32]


def key_fingerprint(key: Key) -> str:
    """Return a hash that distinguishes keys without revealing them."""
    return key.digest("check").hex()[:32]


def locate_files(paths: Sequence[Path], *, store: Path, key: Path, codes: Sequence[str]) -> Iterator[Path]:
    """Yield the files below `paths` that ended with one of `codes`, sorted.

    The ledger holds no path, so the files are listed again and their keyed hashes compared. Paths may identify
    patients: show them to the engineer and do not keep them.

    Args:
        paths: Files or folders of the ingest, or some below them.
        store: The store with the ledger.
        key: The key of that ingest; it must exist.
        codes: Status codes.

    Raises:
        UnknownNameError: a code that does not exist.
    """
    for code in codes:
        if code not in CODES:
            raise UnknownNameError.among("status code", code, list(CODES))
    ledger, secret = Ledger(store), Key.load(key)
    ids, sites = ledger.files_with(codes), ledger.sites()
    for path in find_files(paths, outside=store):
        if any(file_id(secret, site, path) in ids for site in sites):
            yield path
