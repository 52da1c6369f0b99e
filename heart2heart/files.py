"""Writing files so that a reader never sees half of one, and hashing them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from heart2heart.errors import MissingInputError, NoSpaceError, StoreError


@contextmanager
def atomic_path(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success flush it to disk and rename it onto `path`.

    Args:
        path: Final name. Its folder is made if it is missing.
        mode: File permissions to set before the rename, e.g. 0o600 for a secret.

    Raises:
        NoSpaceError: the disk filled up; `path` is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        if mode is not None:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "no space left on the disk"
            raise NoSpaceError(what, where=path, remedy="Free some space and run the same command again") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Return whether `name` is one that `atomic_path` writes under: a file not finished, or never to be."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", name) is not None


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write `text` as UTF-8 under a temporary name, then rename."""
    with atomic_path(path, mode=mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON with a stable key order; refuses NaN."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, *, what: str) -> Any:
    """Read a JSON file that must exist.

    Args:
        path: The file.
        what: What the file is, for the error message, e.g. "split manifest".

    Raises:
        MissingInputError: no such file.
        StoreError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError(f"no {what} here", where=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"this {what} is not readable JSON", where=path, remedy="Restore it from a copy") from error


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(content: Any) -> str:
    """Return the hex SHA-256 of the canonical JSON form of `content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
