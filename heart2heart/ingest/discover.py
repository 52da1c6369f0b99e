"""Find every file under the named paths, in one order, once each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.errors import MissingInputError
from heart2heart.ingest.archives import close_archives, members
from heart2heart.utils import is_temporary


def find_files(paths: Sequence[Path], *, outside: Path | None = None) -> list[Path]:
    """List the files at and below `paths`, hidden ones included, sorted.

    Links are followed; a folder reached twice (a loop, or two names) is entered once. A folder that cannot be listed
    stands in the list itself, so that it ends with a status as a file does. What `pull` or `receive` are still writing
    is left out. The members of a zip file stand in its place (`archives`).

    Args:
        paths: Files or folders.
        outside: A folder to leave out, the store that is being written.

    Returns:
        Absolute paths, links in them not resolved.

    Raises:
        MissingInputError: one of `paths` does not exist, or there is no file at all.
    """
    found: set[Path] = set()
    entered = {_place(outside)} if outside is not None and outside.is_dir() else set()
    for path in paths:
        if not os.path.lexists(path):
            raise MissingInputError("no such file or folder", where=path)
        found.update(_below(Path(os.path.normpath(path.absolute())), entered))
    close_archives()
    if not found:
        raise MissingInputError("no file found", where=", ".join(str(path) for path in paths))
    return sorted(found)


def _place(folder: Path) -> tuple[int, int]:
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
            elif (place := _place(path)) not in entered:
                entered.add(place)
                waiting.extend(path.iterdir())
        except OSError:
            yield path
