"""Unpacks compressed streams and archives piece by piece, within the limits of a file."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO

from heart2heart.verify.limits import Budget, LimitError

_PIECE = 2**20
_SMALL_PIECE = 4096  # packed bytes of formats that expand ten thousandfold
_DICTIONARY = 2**28  # bytes of memory that xz may ask for
_ENCRYPTED = 0x1

Member = tuple[str, Iterator[bytes] | str]
"""Name of a member, and its bytes or the reason why they cannot be read."""


def _inflated(handle: IO[bytes], budget: Budget, wbits: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits)
    while data := handle.read(_PIECE):
        while data:
            plain = stream.decompress(data, _PIECE)
            budget.spend(len(plain))
            yield plain
            data = stream.unconsumed_tail
            if stream.eof:
                data = stream.unused_data.lstrip(b"\0")
                if wbits != _GZIP or not data.startswith(b"\x1f\x8b"):
                    return
                stream = zlib.decompressobj(wbits)
    if not stream.eof:
        raise EOFError("cut short")


_GZIP, _ZLIB, _RAW = 31, 15, -15


def inflated_raw(handle: IO[bytes], budget: Budget) -> Iterator[bytes]:
    """Yield what a raw deflate stream at the position of `handle` unpacks to.

    Raises:
        LimitError: it unpacks to more than the budget.
    """
    return _inflated(handle, budget, _RAW)


def _streamed(
    handle: IO[bytes], budget: Budget, opened: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[bytes]:
    stream, whole = opened(), True
    while data := handle.read(_PIECE):
        while data or not stream.needs_input:
            plain = stream.decompress(data, _PIECE)
            budget.spend(len(plain))
            yield plain
            data, whole = b"", stream.eof
            if whole:
                data, stream = stream.unused_data.lstrip(b"\0"), opened()
    if not whole:
        raise EOFError("cut short")


def _by_arrow(handle: IO[bytes], budget: Budget, codec: str) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.PythonFile(handle, "r"), codec) as stream:
        while piece := stream.read(_PIECE):
            budget.spend(len(piece))
            yield bytes(piece)


def compression(first: bytes) -> str:
    """Return the name of the compression by the first bytes of a stream; empty if there is none."""
    for magic, name in (
        (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ):  # fmt: skip
        if first.startswith(magic):
            return name
    # RFC 1950: the two bytes of the header are a multiple of 31.
    header = int.from_bytes(first[:2], "big")
    return "zlib" if len(first) > 6 and header % 31 == 0 and first[0] == 0x78 and not header & 0x20 else ""


def unpacked(handle: IO[bytes], name: str, budget: Budget) -> Iterator[bytes]:
    """Yield what the stream in `handle` unpacks to.

    Args:
        handle: The packed bytes, at their beginning.
        name: Result of `compression`.
        budget: Limits.

    Raises:
        LimitError: it unpacks to more than the budget.
    """
    if name in ("gzip", "zlib"):
        return _inflated(handle, budget, _GZIP if name == "gzip" else _ZLIB)
    if name in ("zstd", "lz4"):
        return _by_arrow(handle, budget, name)
    if name == "bz2":
        return _streamed(handle, budget, bz2.BZ2Decompressor)
    return _streamed(handle, budget, lambda: lzma.LZMADecompressor(memlimit=_DICTIONARY))


def archive_kind(first: bytes) -> str:
    """Return `zip`, `tar`, `closed` (an archive that cannot be opened here) or nothing, by the first bytes."""
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if first[257:262] == b"ustar":
        return "tar"
    return "closed" if first.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF")) else ""


def members(handle: IO[bytes], kind: str, budget: Budget) -> Iterator[Member]:
    """Yield the files in an archive; read each before the next."""
    return _zip_members(handle, budget) if kind == "zip" else _tar_members(handle, budget)


def _zip_members(handle: IO[bytes], budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(handle) as archive:
        if archive.comment:
            yield "(comment)", iter((archive.comment,))
        for member in archive.infolist():
            if member.is_dir():
                continue
            if member.flag_bits & _ENCRYPTED:
                yield member.filename, "encrypted"
                continue
            deflated = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            try:
                plain = archive.open(member)
            # `zipfile` raises the one for a compression that it does not know, and the other for a broken header.
            except (RuntimeError, zipfile.BadZipFile):
                yield member.filename, "damaged, or packed in an unknown way"
                continue
            with plain:
                yield member.filename, _pieces(plain, budget, _PIECE if deflated else _SMALL_PIECE)


def _tar_members(handle: IO[bytes], budget: Budget) -> Iterator[Member]:
    with closing(tarfile.open(fileobj=handle, mode="r:")) as archive:
        for member in archive:
            plain = archive.extractfile(member) if member.isreg() else None
            if plain is not None:
                yield member.name, _pieces(plain, budget, _PIECE)


def _pieces(plain: IO[bytes], budget: Budget, size: int) -> Iterator[bytes]:
    while piece := plain.read(size):
        budget.spend(len(piece))
        yield piece


def inflate_bytes(packed: bytes, budget: Budget) -> bytes:
    """Return what a zlib stream unpacks to, as far as it is whole; at most 64 MiB.

    Raises:
        LimitError: it unpacks to more.
    """
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(packed, 64 * _PIECE)
    except zlib.error:
        return b""
    budget.spend(len(plain))
    if stream.unconsumed_tail:
        raise LimitError("unpacks to more than the limit")
    return plain
