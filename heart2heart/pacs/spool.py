"""The spool folder: raw DICOM files for `ingest`, with identity in the files but not in their names."""

from __future__ import annotations

import fcntl
import filecmp
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import ConfigError, ExistsError
from heart2heart.utils import atomic_path, is_disk_full, is_temporary, make_private_folder, no_space


class SpoolPart:
    """An unfinished file of a spool folder, of mode 0600.

    Args:
        path: Its temporary name.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._handle = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")

    def write(self, piece: bytes) -> None:
        """Append some bytes."""
        self._handle.write(piece)
        self.size += len(piece)

    def sync(self) -> None:
        """Write everything to the file, so that others can read it; it stays open."""
        self._handle.flush()

    def flush(self) -> None:
        """Write everything to the disk, and close the file."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()

    def discard(self) -> None:
        """Remove the file, unless it has its final name."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # what is left in the buffer may not fit onto a full disk
            self._handle.close()


class Spool:
    """A folder of mode 0700 whose files (mode 0600) are named by keyed hash; get it from `Spool.open`.

    A file is either absent or complete and flushed to the disk. It is written under a temporary name that `ingest`
    ignores, then renamed, and the rename itself is flushed.
    """

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder, self._key = folder, key
        self._settling = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, folder: Path, key: Path) -> Iterator[Spool]:
        """Create or open the folder; one process at a time writes to it.

        Unfinished files of an earlier process are removed.

        Args:
            folder: The spool folder, outside any store.
            key: The key file, made on first use; outside the folder.

        Raises:
            ConfigError: the folder lies in a store, others may enter it, or the key cannot be used.
            ExistsError: another process is writing to it.
        """
        for parent in (folder.resolve(), *folder.resolve().parents):
            if (parent / "store.json").exists():
                remedy = "Raw DICOM holds identity; name a folder outside every store"
                raise ConfigError("this spool folder lies inside a frame store", where=folder, remedy=remedy)
        secret = Key.open(key, outside=folder)
        make_private_folder(folder)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            remedy = f"Run: chmod 700 {folder}"
            raise ConfigError("others may enter this spool folder", where=folder, remedy=remedy)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(handle, folder)
            for path in folder.iterdir():
                if is_temporary(path.name):
                    path.unlink()
            yield cls(folder, secret)
        finally:
            os.close(handle)

    def path(self, uid: str) -> Path:
        """Return the path of the instance with this SOP Instance UID: 32 hexadecimal digits and `.dcm`."""
        return self.folder / f"{self._key.digest('landing', uid.strip().rstrip(chr(0))).hex()[:32]}.dcm"

    @contextmanager
    def open_writer(self, path: Path) -> Iterator[BinaryIO]:
        """Yield a handle for writing and reading; the file is at `path` once the block ends without an error.

        Raises:
            NoSpaceError: the disk is full.
        """
        with atomic_path(path, mode=0o600) as temporary, temporary.open("w+b") as handle:
            yield handle
        self._flush_names()

    def begin(self) -> SpoolPart:
        """Return a new unfinished file, which `keep` finishes; `ingest` ignores it, and the next `open` removes it.

        Raises:
            OSError: it cannot be made.
        """
        return SpoolPart(self.folder / f".part.{uuid4().hex[:8]}.tmp")

    def keep(self, part: SpoolPart, uid: str) -> bool:
        """Write a received instance to the disk for good; return whether it is new.

        The same instance again changes nothing. Different bytes with a known UID, which the standard forbids but faulty
        machines send, are written under another name, so that no received instance is overwritten.

        Raises:
            NoSpaceError: the disk is full.
        """
        first = path = self.path(uid)
        number = 0
        try:
            part.flush()
            with self._settling:
                while path.exists():
                    if filecmp.cmp(path, part.path, shallow=False):
                        return False
                    number += 1
                    path = first.with_name(f"{first.stem}-{number}.dcm")
                part.path.replace(path)
            self._flush_names()
        except OSError as error:
            if is_disk_full(error):
                raise no_space(path) from error
            raise
        finally:
            part.discard()
        return True

    def store(self, uid: str, content: bytes) -> bool:
        """Write one instance to the disk; return whether it is new. See `keep`."""
        part = self.begin()
        try:
            part.write(content)
        except BaseException:
            part.discard()
            raise
        return self.keep(part, uid)

    def _flush_names(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        remedy = "Wait until it is done, or name another folder"
        raise ExistsError("another pull or receive writes to this folder", where=folder, remedy=remedy) from error
