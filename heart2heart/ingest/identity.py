"""Names for files in the ledger that say nothing without the key."""

from __future__ import annotations

import os
from pathlib import Path

from heart2heart.dicom.deidentify import Key
from heart2heart.ingest.archives import container


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


def key_check(key: Key) -> str:
    """Return what tells two keys apart without telling either."""
    return key.digest("check").hex()[:32]
