"""Reads one zip file within bounds on the sizes that it declares."""

from __future__ import annotations

import errno
import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from heart2heart.errors import DicomError, NoSpaceError
from heart2heart.schema.status import StatusCode

ZIP_MAGIC = b"PK\x03\x04"

MAX_MEMBER_BYTES = 2**32
"""Maximum size of one member, unpacked, bytes."""
MAX_COMPRESSION_RATIO = 200
"""Maximum unpacked bytes per packed byte, of a member and of all members; ultrasound reaches some tens."""
_SMALL = 2**24  # unpacked bytes below which the ratio does not matter: an empty picture is packed a thousandfold
_LONGEST_TABLE = 2**25  # maximum size of a table of contents, bytes: about 300,000 members
_PIECE = 2**20
_LOCKED = 0x1

_DOCUMENTS = frozenset({"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"})
"""Members that distinguish office documents, books and programs, which are zip files too, from archives."""

_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, LookupError, OverflowError,
               RuntimeError)  # fmt: skip
"""What zipfile raises on a member that is damaged, encrypted (RuntimeError) or compressed in an unknown way (a kind of
it)."""


def bounds_error(what: str) -> DicomError:
    """Return the error for an archive that exceeds a bound."""
    return DicomError(f"this zip file exceeds a limit: {what}", code=StatusCode.FAILED_ARCHIVE_BOUNDS)


class _BoundedFile(io.BufferedReader):
    """A file that refuses to read more at once than the maximum size of a table of contents."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes, or raise an error beyond the limit."""
        if size is not None and size > _LONGEST_TABLE:
            raise bounds_error("its table of contents")
        return super().read(size)


class ZipArchive:
    """An open zip file.

    Args:
        descriptor: Descriptor of the file; it is closed with the archive.
        known_as: Values that identify this archive and its version.

    Raises:
        DicomError: the archive is damaged, exceeds a bound, or is a document.
    """

    def __init__(self, descriptor: int, known_as: tuple[str | int, ...]) -> None:
        self.known_as = known_as
        self._base = _BoundedFile(io.FileIO(descriptor))
        try:
            self._file = self._read_table()
        except DicomError:
            self._base.close()
            raise
        self._infos = self._file.infolist()

    @staticmethod
    def stamp(path: Path) -> tuple[str | int, ...]:
        """Return values that identify the file at `path` and its current version.

        Raises:
            DicomError: `failed:unreadable`.
        """
        try:
            status = path.stat()
        except OSError:
            raise DicomError("the zip file cannot be read", code=StatusCode.FAILED_UNREADABLE) from None
        return os.fspath(path), status.st_size, status.st_mtime_ns

    @classmethod
    def open(cls, path: Path) -> ZipArchive:
        """Open the zip file at `path`."""
        known_as = cls.stamp(path)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            raise DicomError("the zip file cannot be read", code=StatusCode.FAILED_UNREADABLE) from None
        return cls(descriptor, known_as)

    def within(self, index: int) -> ZipArchive:
        """Open the member at `index`, which is a zip file itself."""
        with tempfile.TemporaryFile() as file:
            self.extract(index, file)
            file.flush()
            descriptor = os.dup(file.fileno())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return ZipArchive(descriptor, (*self.known_as, index))

    def close(self) -> None:
        """Close the archive."""
        self._file.close()
        self._base.close()

    def files(self) -> Iterator[tuple[int, str]]:
        """Yield index and name of every member that is not a folder."""
        for index, info in enumerate(self._infos):
            if not info.is_dir():
                yield index, info.filename

    def begins_with_magic(self, index: int) -> bool:
        """Return whether a member starts with the magic bytes of a zip file; False if it cannot be read."""
        try:
            self._check(self._infos[index])
            with self._file.open(self._infos[index]) as member:
                return member.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        except (*_ZIP_ERRORS, DicomError):
            return False

    def extract(self, index: int, out: IO[bytes]) -> None:
        """Write the member at `index` to `out`, at most as many bytes as it declares.

        Raises:
            DicomError: the member is encrypted, exceeds a bound, uses another compression, or fails its checksum.
            NoSpaceError: the disk is full.
        """
        if index >= len(self._infos):  # the file was changed since its members were listed
            raise _damaged()
        info = self._infos[index]
        self._check(info)
        try:
            with self._file.open(info) as member:
                while piece := member.read(_PIECE):
                    out.write(piece)
        except _ZIP_ERRORS as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                remedy = "Free some space, or set TMPDIR to a larger disk, and run the same command again"
                what = "no space left on the disk to unpack a zip file"
                raise NoSpaceError(what, where=tempfile.gettempdir(), remedy=remedy) from error
            raise _damaged() from None

    def _read_table(self) -> zipfile.ZipFile:
        try:
            file = zipfile.ZipFile(self._base)
        except DicomError:
            raise
        except _ZIP_ERRORS:
            raise _damaged() from None
        infos, size = file.infolist(), os.fstat(self._base.fileno()).st_size
        if sum(info.file_size for info in infos) > max(_SMALL, MAX_COMPRESSION_RATIO * size):
            raise bounds_error("what its members unpack to")
        if not _DOCUMENTS.isdisjoint(info.filename for info in infos):
            raise DicomError("this is a document or a program", code=StatusCode.EXCLUDED_NOT_DICOM)
        return file

    @staticmethod
    def _check(info: zipfile.ZipInfo) -> None:
        if info.flag_bits & _LOCKED:
            raise DicomError("a member of the zip file is encrypted", code=StatusCode.FAILED_ARCHIVE_ENCRYPTED)
        if info.file_size > MAX_MEMBER_BYTES or info.file_size > max(
            _SMALL, MAX_COMPRESSION_RATIO * info.compress_size
        ):
            raise bounds_error("what a member unpacks to")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _damaged()


def _damaged() -> DicomError:
    return DicomError("the zip file is damaged, or uses another compression", code=StatusCode.FAILED_ARCHIVE)
