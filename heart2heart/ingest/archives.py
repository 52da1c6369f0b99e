"""Treats zip files as folders: each member has a path, and is unpacked only while it is processed.

A member's path is `ARCHIVE/NNNNNN/NAME`: the archive's own path, the member's index in its table of contents, and the
last part of its name. Only this module understands such a path. A member that is a zip file itself is opened too.
Members are unpacked to a temporary file without a name, so that no name of the archive is used and no file remains,
however the process ends.
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
"""Most levels of nested zip files that are opened."""
MAX_ZIP_MEMBERS = 1_000_000
"""Most members of one zip file, including those of nested zip files."""

_open_archives: list[ZipArchive] = []
"""The open archive and, after it, the nested ones that are open: members of one archive are read in sequence."""


def close_archives() -> None:
    """Close the archives that this process holds open."""
    while _open_archives:
        _open_archives.pop().close()


def container(path: Path) -> Path:
    """Return the zip file that contains the member at `path`, or `path` itself if it is a plain file."""
    return next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), path)


def members(path: Path) -> list[Path]:
    """Return the path of every member of a zip file, including members of nested zip files.

    A file that is not a zip file, is empty, or cannot or must not be opened is returned itself, and so is such a
    member. `unpacked` raises the reason.
    """
    try:
        return _list_members(path) if _is_zip(path) else [path]
    except (DicomError, OSError):
        return [path]


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a path at which the content of `path` can be read: the file itself, or the unpacked member.

    Raises:
        DicomError: `failed:archive`, `failed:archive_bounds` or `failed:archive_encrypted`, or `excluded:not_dicom`
            for a document that is stored as a zip file.
        NoSpaceError: there is no room to unpack.
    """
    base, indices = _parse(path)
    if not indices:
        if _is_zip(path):
            _list_members(path)
        yield path
        return
    with tempfile.TemporaryFile() as file:
        _open_nested(base, indices[:-1]).extract(indices[-1], file)
        file.flush()
        file.seek(0)
        if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
            if len(indices) >= MAX_ZIP_DEPTH:
                raise bounds_error("the zip files in one another")
            _collect_members(base, indices, path, [])
        file.seek(0)
        yield Path(f"/dev/fd/{file.fileno()}")


def _is_zip(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
            return False
        with path.open("rb") as file:
            return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False


def _list_members(path: Path) -> list[Path]:
    paths: list[Path] = []
    _collect_members(path, (), path, paths)
    return paths or [path]


def _collect_members(base: Path, indices: tuple[int, ...], path: Path, paths: list[Path]) -> None:
    """Add the members of the archive at `indices` within `base`, whose path is `path`, to `paths`."""
    archive = _open_nested(base, indices)
    for index, name in archive.files():
        if len(paths) >= MAX_ZIP_MEMBERS:
            raise bounds_error("the number of its members")
        member = path / f"{index:06d}" / (PurePosixPath(name.replace("\0", "")).name.strip(".") or "member")
        if archive.begins_with_magic(index) and len(indices) + 1 < MAX_ZIP_DEPTH:
            before = len(paths)
            try:
                _collect_members(base, (*indices, index), member, paths)
            except DicomError:
                del paths[before:]
            if len(paths) > before:
                continue
        paths.append(member)


def _parse(path: Path) -> tuple[Path, tuple[int, ...]]:
    """Return the outermost zip file of a member's path, and the member's index in each nested zip file."""
    base = container(path)
    parts = path.relative_to(base).parts
    if base.is_dir() or len(parts) % 2 or not all(part.isdecimal() for part in parts[::2]):
        return path, ()
    return base, tuple(int(part) for part in parts[::2])


def _open_nested(base: Path, indices: tuple[int, ...]) -> ZipArchive:
    """Return the archive at `indices` within `base`; the archives that contain it stay open."""
    known = ZipArchive.stamp(base)
    chain = [(*known, *indices[:depth]) for depth in range(len(indices) + 1)]
    while _open_archives and (
        len(_open_archives) > len(chain) or _open_archives[-1].known_as != chain[len(_open_archives) - 1]
    ):
        _open_archives.pop().close()
    if not _open_archives:
        _open_archives.append(ZipArchive.open(base))
    while len(_open_archives) < len(chain):
        depth = len(_open_archives)
        _open_archives.append(_open_archives[-1].within(indices[depth - 1]))
    return _open_archives[-1]
