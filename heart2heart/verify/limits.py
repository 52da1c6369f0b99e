"""Limits for one file: bytes that its contents unpack to, and seconds that its search takes."""

from __future__ import annotations

import sqlite3
import struct
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from lzma import LZMAError

READ_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError,
    MemoryError, struct.error, sqlite3.Error, zipfile.BadZipFile, zlib.error, LZMAError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip
"""What reading a damaged, unsupported or hostile content raises."""

MAX_RATIO = 200
"""Unpacked bytes per byte of the file."""
SMALL = 64 * 2**20
"""Unpacked bytes below which the ratio does not matter."""
MAX_UNPACKED = 8 * 2**30
"""Unpacked bytes of one file at most."""
MAX_SECONDS = 1800.0
"""Seconds of one file at most."""


class LimitError(Exception):
    """A file exceeds a limit; the rest of it is not searched."""


@dataclass
class Budget:
    """What is left of the limits of one file.

    Attributes:
        unpacked: Bytes that may still be unpacked.
        deadline: Time of `time.monotonic` at which the search ends.
    """

    unpacked: int
    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    @classmethod
    def of_file(cls, size: int) -> Budget:
        """Return the limits of a file of `size` bytes."""
        return cls(min(MAX_UNPACKED, max(SMALL, MAX_RATIO * size)))

    def spend(self, count: int) -> None:
        """Count unpacked bytes.

        Raises:
            LimitError: there are more than the limit, or the time is over.
        """
        self.unpacked -= count
        if self.unpacked < 0:
            raise LimitError("unpacks to more than the limit")
        self.check_time()

    def check_time(self) -> None:
        """Raise LimitError if the time is over."""
        if time.monotonic() > self.deadline:
            raise LimitError("takes longer than the limit")

    def timed(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the same blocks while there is time."""
        for block in blocks:
            self.check_time()
            yield block
