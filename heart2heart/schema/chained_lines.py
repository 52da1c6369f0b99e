"""Files of one JSON record a line, appended and never changed: each line holds its hash and that of the line before.

A record that was changed, removed from the middle or moved is noticed; records removed at the end are not. A line that
was cut off while it was written is left out, and the next append removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from heart2heart.errors import ExistsError, StoreError, UnwritableError
from heart2heart.utils import is_disk_full, make_private_file, no_space, sha256_json


@dataclass(frozen=True)
class ChainedLines:
    """The records of a file.

    Attributes:
        records: Their content, in the order of the lines.
        last_sha256: Hash of the last record; empty without one.
        complete_bytes: Length of the file without a line that was cut off.
    """

    records: tuple[dict[str, Any], ...] = ()
    last_sha256: str = ""
    complete_bytes: int = 0


def read_lines(path: Path, *, what: str, remedy: str, max_bytes: int) -> ChainedLines:
    """Read a file and check every hash; a file that does not exist has no records.

    Args:
        path: The file.
        what: What it is, for errors.
        remedy: What a user can do about a damaged file.
        max_bytes: Size of the largest file that is read.

    Raises:
        StoreError: the file is too large, no file of this kind, or was changed; or others may write it.

    Examples:
        >>> read_lines(Path("no_file"), what="file", remedy="none", max_bytes=100).records
        ()
    """
    try:
        status = path.stat()
        regular = stat.S_ISREG(status.st_mode)
        raw = path.read_bytes() if regular and status.st_size <= max_bytes else b""
    except FileNotFoundError:
        return ChainedLines()
    except OSError as error:
        raise StoreError(f"this {what} cannot be read", where=path, remedy="Check its permissions") from error
    if not regular:
        raise StoreError(f"this {what} is no regular file", where=path, remedy=remedy)
    if status.st_size > max_bytes:
        raise StoreError(f"this {what} has more than {max_bytes:,} bytes", where=path, remedy=remedy)
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise StoreError(f"others may write this {what}", where=path, remedy=f"Run: chmod 600 {path}")
    complete = raw[: raw.rfind(b"\n") + 1]
    records, previous = [], ""
    for row, line in enumerate(complete.splitlines(), start=1):
        content = _content(line)
        stated, before = content.pop("sha256", None), content.pop("previous", None)
        if before != previous or stated != _hash(content, previous):
            raise StoreError(f"this line of the {what} was changed", where=f"{path}, line {row}", remedy=remedy)
        records.append(content)
        previous = str(stated)
    return ChainedLines(tuple(records), previous, len(complete))


def append_lines(
    path: Path,
    choose: Callable[[ChainedLines], list[dict[str, Any]]],
    read: Callable[[], ChainedLines],
    *,
    what: str,
    max_bytes: int,
) -> None:
    """Append records, all or none; the file is made with mode 0600 if it does not exist.

    Args:
        path: The file.
        choose: Returns the records to append, given the present ones, while no other program can write; it may raise.
        read: Reads the file, as `read_lines` does.
        what: What the file is, for errors.
        max_bytes: Size of the largest file that is read again.

    Raises:
        StoreError: see `read_lines`, or the file would become too large.
        UnwritableError: nothing can be written there.
        NoSpaceError: the disk filled up; the file is as it was before.
        ExistsError: another program holds the file.

    Examples:
        >>> from functools import partial
        >>> path = Path("events.jsonl")
        >>> read = partial(read_lines, path, what="file", remedy="none", max_bytes=1000)
        >>> append_lines(path, lambda lines: [{"number": len(lines.records)}], read, what="file", max_bytes=1000)
        >>> read().records
        ({'number': 0},)
    """
    with _locked(path, what) as file:
        lines = read()
        text, previous = "", lines.last_sha256
        for record in choose(lines):
            line = {**record, "previous": previous, "sha256": _hash(record, previous)}
            text, previous = f"{text}{json.dumps(line, sort_keys=True, allow_nan=False)}\n", str(line["sha256"])
        if lines.complete_bytes + len(text.encode()) > max_bytes:
            raise StoreError(f"this {what} would have more than {max_bytes:,} bytes", where=path)
        file.truncate(lines.complete_bytes)
        file.seek(lines.complete_bytes)
        try:
            file.write(text.encode())
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(lines.complete_bytes)
            if is_disk_full(error):
                raise no_space(path) from error
            raise


@contextmanager
def _locked(path: Path, what: str) -> Iterator[IO[bytes]]:
    """Open a file for one writer, unbuffered."""
    try:
        make_private_file(path)
        file = path.open("r+b", buffering=0)
    except OSError as error:
        remedy = "Give yourself write permission, or ask the owner"
        raise UnwritableError(f"this {what} cannot be written ({error.strerror})", where=path, remedy=remedy) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise ExistsError(f"another program holds this {what}", where=path, remedy="Try again later") from error
        yield file


def _hash(content: Mapping[str, Any], previous: str) -> str:
    return sha256_json({**content, "previous": previous})


def _content(line: bytes) -> dict[str, Any]:
    """Return the content of a line; empty where it is no record, so that its hash differs."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
