"""Reads single header values leniently: a value that cannot be read, or is not finite, counts as missing.

The messages of pydicom and of the codecs quote the values of tags, which may be names. `DECODE_ERRORS` lists the errors
that they raise on a damaged file, so that callers catch these by kind, raise a `DicomError`, and never chain or show
them.
"""

from __future__ import annotations

import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

DECODE_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, OSError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
)  # fmt: skip
"""Every kind of error that reading or decoding a damaged file may raise.

MemoryError is not among them: its cause is the memory limit, not the file.
"""


@contextmanager
def silence_warnings() -> Iterator[None]:
    """Read leniently, and silence the warnings and log lines of pydicom, which may quote the value of a tag."""
    from pydicom import config

    settings, before = config.settings, config.settings.reading_validation_mode
    log = logging.getLogger("pydicom")
    muted = log.disabled
    settings.reading_validation_mode = config.IGNORE
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = before
        log.disabled = muted


def text(source: Dataset, name: str | BaseTag) -> str:
    """Return the value as text without padding; empty when there is none. The caller decides whether it may be kept."""
    try:
        value = source[name].value if name in source else None
    except DECODE_ERRORS:
        return ""
    return "" if value is None else str(value).strip().strip("\0").strip()


def numbers(source: Dataset, name: str | BaseTag) -> list[float]:
    """Return all values that are finite numbers; empty when there is none or one of them is not a number."""
    try:
        value = source[name].value if name in source else None
        items = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
        values = [float(item) for item in items if item is not None and item != ""]
    except DECODE_ERRORS:
        return []
    return values if all(math.isfinite(item) for item in values) else []


def number(source: Dataset, name: str | BaseTag) -> float | None:
    """Return the first value as a finite number, or None."""
    return next(iter(numbers(source, name)), None)


def texts(source: Dataset, name: str) -> list[str]:
    """Return all values as text without padding; empty when there is none. The caller decides what may be kept."""
    try:
        value = source[name].value if name in source else None
        items = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
        return [] if value is None else [str(item or "").strip().strip("\0").strip() for item in items]
    except DECODE_ERRORS:
        return []


def integer(source: Dataset, name: str) -> int | None:
    """Return the first value as a whole number, or None."""
    value = number(source, name)
    return None if value is None or value != int(value) else int(value)
