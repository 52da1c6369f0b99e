"""Zip files as folders: their members become paths, and a member is unpacked only while it is worked on.

A member's path is `ARCHIVE/NNNNNN/NAME`: the archive's own path, the member's place in its table of contents, and the
last part of its name. It means something to this module only. A member that is a zip file itself is opened in turn.
Nothing is unpacked under a name of the archive's choosing, or under any name at all: the temporary file has none, so
nothing is left behind however the process ends.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from heart2heart.errors import DicomError
from heart2heart.ingest.zip_archive import ZIP_MAGIC, ZipArchive, bounds_error

MAX_ZIP_DEPTH = 3
"""Zip files within one another that are opened."""
MAX_ZIP_MEMBERS = 1_000_000
"""Members of one zip file, those of the zip files in it included."""

_open_archives: list[ZipArchive] = []
"""The archive in work and, after it, those within it: members of one archive are asked for one after the other."""


def close_archives() -> None:
    """Close what this process holds open."""
    while _open_archives:
        _open_archives.pop().close()


def container(path: Path) -> Path:
    """Return the zip file that `path` leads into, or `path` itself if it is a file of its own."""
    return next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), path)


def members(path: Path) -> list[Path]:
    """Return the path of every member of a zip file, of those within it as well.

    A file that is no zip file, holds nothing, or cannot or should not be opened is returned itself, as is such a
    member: `unpacked` says why.
    """
    try:
        return _list_members(path) if _is_zip(path) else [path]
    except (DicomError, OSError):
        return [path]


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield where the file at `path` can be read for now: itself, or the unpacked member.

    Raises:
        DicomError: `failed:archive`, `failed:archive_bounds` or `failed:archive_encrypted`, or `excluded:not_dicom`
            for a document that is a zip file by its form.
        NoSpaceError: there is no room to unpack.
    """
    base, places = _parse(path)
    if not places:
        if _is_zip(path):
            _list_members(path)
        yield path
        return
    with tempfile.TemporaryFile() as file:
        _open_nested(base, places[:-1]).extract(places[-1], file)
        file.flush()
        file.seek(0)
        if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
            if len(places) >= MAX_ZIP_DEPTH:
                raise bounds_error("the zip files in one another")
            _collect_members(base, places, path, [])
        file.seek(0)
        yield Path(f"/dev/fd/{file.fileno()}")


def _is_zip(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            return False
        with path.open("rb") as file:
            return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False


def _list_members(path: Path) -> list[Path]:
    found: list[Path] = []
    _collect_members(path, (), path, found)
    return found or [path]


def _collect_members(base: Path, places: tuple[int, ...], path: Path, found: list[Path]) -> None:
    """Add the members of the archive at `places` within `base`, whose path is `path`, to `found`."""
    archive = _open_nested(base, places)
    for place, name in archive.files():
        if len(found) >= MAX_ZIP_MEMBERS:
            raise bounds_error("the number of its members")
        member = path / f"{place:06d}" / (PurePosixPath(name.replace("\0", "")).name.strip(".") or "member")
        if archive.begins_with_magic(place) and len(places) + 1 < MAX_ZIP_DEPTH:
            before = len(found)
            try:
                _collect_members(base, (*places, place), member, found)
            except DicomError:
                del found[before:]
            if len(found) > before:
                continue
        found.append(member)


def _parse(path: Path) -> tuple[Path, tuple[int, ...]]:
    """Return the outermost zip file of a member's path, and the member's place in each zip file on the way."""
    base = container(path)
    parts = path.relative_to(base).parts
    if base.is_dir() or len(parts) % 2 or not all(part.isdecimal() for part in parts[::2]):
        return path, ()
    return base, tuple(int(part) for part in parts[::2])


def _open_nested(base: Path, places: tuple[int, ...]) -> ZipArchive:
    """Return the archive at `places` within `base`; what is open on the way stays open."""
    known = ZipArchive.stamp(base)
    wanted = [(*known, *places[:depth]) for depth in range(len(places) + 1)]
    while _open_archives and (
        len(_open_archives) > len(wanted) or _open_archives[-1].known_as != wanted[len(_open_archives) - 1]
    ):
        _open_archives.pop().close()
    if not _open_archives:
        _open_archives.append(ZipArchive.open(base))
    while len(_open_archives) < len(wanted):
        depth = len(_open_archives)
        _open_archives.append(_open_archives[-1].within(places[depth - 1]))
    return _open_archives[-1]
