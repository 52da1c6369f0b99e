"""Keeps the inputs that break a target: the first of each kind, so that a run goes on after a finding."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.errors import Heart2HeartError
from tests.fuzz.targets import TARGETS

UNEXPECTED: tuple[type[Exception], ...] = (*DECODE_ERRORS, MemoryError, SyntaxError, ImportError, Warning, TokenError)
"""Kinds of errors that a fault in a reader raises; other kinds end the run."""


def collector(target: str, findings: Path) -> Callable[[bytes], None]:
    """Return a function that gives an input to a target, and writes the first input of each kind of error to a file.

    Errors of one kind have the same type and come from the same line.
    """
    seen: set[str] = set()

    def run(data: bytes) -> None:
        try:
            TARGETS[target](data)
        except Heart2HeartError:
            return
        except UNEXPECTED as error:
            frames = traceback.extract_tb(error.__traceback__)
            kind = f"{type(error).__name__} {[(frame.filename, frame.lineno) for frame in frames[-3:]]}"
            if kind not in seen:
                seen.add(kind)
                findings.mkdir(parents=True, exist_ok=True)
                (findings / f"{target}-crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
                traceback.print_exc(file=sys.stderr)

    return run
