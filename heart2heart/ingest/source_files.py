"""Finds every file under the given paths, also in zip files, and names files in the ledger by keyed hash.

A zip file is treated as a folder: each member has a path, and is unpacked only while it is processed. A member's path
is `ARCHIVE/NNNNNN/NAME`: the archive's own path, the member's index in its table of contents, and the last part of its
name. Only this module understands such a path. A member that is a zip file itself is opened too. Members are unpacked
to a temporary file without a name, so that no name of the archive is used and no file remains, however the process
ends.

A hash reveals nothing without the key. `locate_files` needs the files, the ledger and the key to find the files with a
status code.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import DicomError, MissingInputError, UnknownNameError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.zip_archive import ZIP_MAGIC, ZipArchive, bounds_error
from heart2heart.schema.status import CODES
from heart2heart.utils import is_temporary

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


def members_by_name(path: Path) -> dict[str, Path]:
    """Return the path of every member of a zip file by its name in it; zip files within it are not opened.

    A file that is not a zip file, or cannot be opened, has none.
    """
    try:
        if not _is_zip(path):
            return {}
        names = list(_open_nested(path, ()).files())
    except (OSError, DicomError):
        return {}
    return {name: _member(path, index, name) for index, name in names}


def _member(path: Path, index: int, name: str) -> Path:
    return path / f"{index:06d}" / (PurePosixPath(name.replace("\0", "")).name.strip(".") or "member")


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
        member = _member(path, index, name)
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


def find_files(
    paths: Sequence[Path], *, outside: Path | None = None, foreign_links: set[Path] | None = None
) -> list[Path]:
    """List the files at and below `paths`, hidden ones included, sorted.

    Links within `paths` are followed; a folder with two names, or in a loop, is entered once. A link below `paths` that
    leads out of all of them is not followed, so that a link to `/` does not lead through the whole machine: name its
    target as well to include it. A folder that cannot be listed is itself in the list, so that it gets a status like a
    file. Files that `pull` or `receive` are still writing are left out. The members of a zip file replace it.

    Args:
        paths: Files or folders.
        outside: A folder to leave out, the store that is being written.
        foreign_links: Gets the links that lead out, which are then in the list, so that they get a status. None leaves
            them out of the list.

    Returns:
        Absolute paths, links in them not resolved.

    Raises:
        MissingInputError: one of `paths` does not exist, or there is no file at all.
    """
    files: set[Path] = set()
    links: set[Path] = set()
    roots = tuple(Path(os.path.realpath(path)) for path in paths)
    entered = {_folder_identity(outside)} if outside is not None and outside.is_dir() else set()
    for path in paths:
        if not os.path.lexists(path):
            raise MissingInputError("no such file or folder", where=path)
        files.update(_below(Path(os.path.normpath(path.absolute())), entered, roots, links))
    close_archives()
    if foreign_links is not None:
        foreign_links |= links
        files |= links
    if not files:
        raise MissingInputError("no file found", where=", ".join(str(path) for path in paths))
    return sorted(files)


def _folder_identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _leads_out(link: Path, roots: Sequence[Path]) -> bool:
    target = Path(os.path.realpath(link))
    return not any(target.is_relative_to(root) for root in roots)


def _below(top: Path, entered: set[tuple[int, int]], roots: Sequence[Path], links: set[Path]) -> Iterator[Path]:
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            if path != top and path.is_symlink() and _leads_out(path, roots):
                links.add(path)
            elif not path.is_dir():
                if not is_temporary(path.name):
                    yield from members(path)
            elif (identity := _folder_identity(path)) not in entered:
                entered.add(identity)
                waiting.extend(path.iterdir())
        except OSError:
            yield path


def file_id(key: Key, site: str, path: Path) -> str:
    """Return the keyed hash of a site's file, from its path as `find_files` returns it."""
    return key.relink("file", key.digest("file", site, os.fsencode(path).hex()).hex())[-1]


def file_stamp(key: Key, path: Path) -> str:
    """Return the keyed hash of size and time of change; empty for a file that cannot be read."""
    try:
        status = container(path).stat()
    except OSError:
        return ""
    return key.digest("stamp", str(status.st_size), str(status.st_mtime_ns)).hex()[:32]


def key_fingerprint(key: Key) -> str:
    """Return a hash that distinguishes keys without revealing them."""
    return key.relink("check", key.digest("check").hex()[:32])[-1]


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
    for path in find_files(paths, outside=store, foreign_links=set()):
        if any(file_id(secret, site, path) in ids for site in sites):
            yield path
