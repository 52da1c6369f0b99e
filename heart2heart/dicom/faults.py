"""What pydicom and the codecs raise on a damaged file, kept in one place.

Their messages quote the values of tags, names among them. So these errors are caught by kind, replaced by one of ours,
and never chained or shown.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.errors import BytesLengthException, InvalidDicomError

DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, OSError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
)  # fmt: skip
"""Every kind of error that reading or decoding a damaged file was seen to raise, or reasonably may.

Not MemoryError: that is a fault of the limit, not of the bytes.
"""


@contextmanager
def hushed() -> Iterator[None]:
    """Read leniently, and let neither a warning nor a log line of pydicom quote a tag's value."""
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
